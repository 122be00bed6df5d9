"""A sidecar process between the emulator and callers: what all end-to-end tests stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from proxy.emulator import Emulator, Settings
from tests.processes import Sidecar, StartSidecar


class World:
    """One emulator, one sidecar with an upstream for each gateway asked for, one HTTP client."""

    def __init__(self, emulator: Emulator, sidecar: Sidecar, session: aiohttp.ClientSession, secret: Path) -> None:
        self.emulator = emulator
        self.sidecar = sidecar
        self.session = session
        self.secret_file = secret
        """Where the sidecar reads its client secret."""

    async def get(self, upstream: str = "http", path: str = "/") -> tuple[int, bytes]:
        """One request through the sidecar: its status and body."""
        async with self.session.get(self.sidecar.url(upstream) + path) as response:
            return response.status, await response.read()

    async def page(self, path: str) -> tuple[int, str]:
        """One page of the admin listener."""
        async with self.session.get(self.sidecar.admin + path) as response:
            return response.status, await response.text()

    async def status(self, upstream: str = "http") -> dict[str, Any]:
        """What `/status` says of one upstream."""
        async with self.session.get(self.sidecar.admin + "/status") as response:
            told = await response.json()
        found: dict[str, Any] = told["upstreams"][upstream]
        return found

    async def load(self, goes_on: Callable[[], bool], *, callers: int = 8) -> list[tuple[int, bytes]]:
        """Requests one after the other from so many callers while `goes_on` says so; all their answers."""
        answers: list[tuple[int, bytes]] = []

        async def caller() -> None:
            while goes_on():
                answers.append(await self.get())

        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())
        return answers


@asynccontextmanager
async def world(
    start: StartSidecar,
    directory: Path,
    *,
    kinds: tuple[str, ...] = ("http",),
    settings: Settings | None = None,
    before: Callable[[Emulator], None] = lambda _: None,
    ready: bool = True,
    upstream: dict[str, Any] | None = None,
    auth: dict[str, Any] | None = None,
    top: dict[str, Any] | None = None,
    output: int | None = None,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """`before` prepares the emulator; `upstream`, `auth` and `top` go over the configuration's defaults."""
    async with Emulator(settings) as emulator, aiohttp.ClientSession() as session:
        before(emulator)
        secret = directory / "client_secret"
        secret.write_text(emulator.settings.client_secrets[0] + "\n")
        config = {
            "upstreams": {
                kind: {
                    "url": emulator.gateway_url(kind),
                    "auth": {
                        "token_url": emulator.token_url,
                        "client_id": emulator.settings.client_id,
                        "client_secret": {"file": str(secret)},
                        "scopes": list(emulator.settings.scopes),
                        **(auth or {}),
                    },
                    **(upstream or {}),
                }
                for kind in kinds
            },
            "log": {"level": "debug", "format": "json"},
            **(top or {}),
        }
        async with start(config, env, ready=ready, output=output) as sidecar:
            yield World(emulator, sidecar, session, secret)


async def until(asked: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Ask again and again until it is so; each question is a round trip to another process, so nothing sleeps."""
    async with asyncio.timeout(seconds):
        while not await asked():
            pass
