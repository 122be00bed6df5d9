"""Several sidecar processes that share tokens through one engine: how they are started, called and looked into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from proxy.emulator import Emulator, Settings
from tests.processes import Sidecar, StartSidecar
from tests.serving import events

PACE: Final = 0.1
"""Seconds that the upstream takes for an answer: what keeps callers from asking all that the machine can carry."""
WAVE: Final = 8
"""Processes that are started at once."""


class Fleet:
    """An emulator, and sidecars whose callers never stop asking."""

    def __init__(self, emulator: Emulator, start: StartSidecar, session: aiohttp.ClientSession, folder: Path) -> None:
        self.emulator = emulator
        self.sidecars: list[Sidecar] = []
        self.answers: list[int] = []
        """The status of each answer so far."""
        self._start = start
        self._session = session
        self._folder = folder
        self._stack = AsyncExitStack()
        self._callers: list[asyncio.Task[None]] = []

    async def grow(
        self, count: int, cache: dict[str, Any], *, secret: str = "", ready: bool = True, **auth: Any
    ) -> list[Sidecar]:
        """So many more sidecars with this `token_cache`, ready and called. `secret` is for those with a file of it;
        with `ready=False` they have said their first word, and nobody calls them."""
        file = self._folder / (secret or "secret")
        if not file.exists():
            file.write_text(self.emulator.settings.client_secrets[0] + "\n")
        config = {
            "upstreams": {
                "orders": {
                    "url": self.emulator.gateway_url("http"),
                    "auth": {
                        "token_url": self.emulator.token_url,
                        "client_id": self.emulator.settings.client_id,
                        "client_secret": {"file": str(file)},
                        "scopes": list(self.emulator.settings.scopes),
                        **auth,
                    },
                }
            },
            "token_cache": cache,
            "log": {"format": "json"},
        }
        grown: list[Sidecar] = []
        for first in range(0, count, WAVE):
            wave = [self._start(config, ready=False) for _ in range(min(WAVE, count - first))]
            started = await asyncio.gather(*(self._stack.enter_async_context(one) for one in wave))
            grown += started
            if not ready:
                continue
            await asyncio.gather(*(self._ready(sidecar) for sidecar in started))
            self._callers += [asyncio.ensure_future(self._call(sidecar)) for sidecar in started]
        self.sidecars += grown
        return grown

    async def _ready(self, sidecar: Sidecar) -> None:
        await sidecar.printed('"token_obtained"')

        async def serving() -> bool:
            try:
                async with self._session.get(sidecar.admin + "/readyz") as response:
                    return response.status == 200
            except aiohttp.ClientConnectionError:
                return False

        await until(serving)

    async def _call(self, sidecar: Sidecar) -> None:
        """One caller. The end of a process that the test kills is no failure of it."""
        while sidecar.running:
            try:
                async with self._session.get(sidecar.url("orders") + "/") as response:
                    await response.read()
                    self.answers.append(response.status)
            except aiohttp.ClientConnectionError:
                return

    async def close(self) -> None:
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        await self._stack.aclose()

    @property
    def alive(self) -> list[Sidecar]:
        return [sidecar for sidecar in self.sidecars if sidecar.running]

    def obtained(self, sidecars: Sequence[Sidecar] | None = None) -> list[tuple[str, str]]:
        """Token and origin of each that these sidecars have got so far."""
        found = []
        for sidecar in sidecars if sidecars is not None else self.sidecars:
            found += [(line["token_id"], line["origin"]) for line in events(sidecar.output, "token_obtained")]
        return found

    def holds(self, sidecar: Sidecar) -> str:
        """The token that a sidecar has got last."""
        return self.obtained([sidecar])[-1][0]

    async def next_token(self, sidecars: Sequence[Sidecar] | None = None) -> str:
        """Wait until all of these have one and the same token, which none of them has now."""
        asked = self.alive if sidecars is None else sidecars
        before = {self.holds(sidecar) for sidecar in asked}

        async def changed() -> bool:
            await self.turn()
            now = {self.holds(sidecar) for sidecar in asked}
            return len(now) == 1 and not now & before

        await until(changed, 45)
        return self.holds(asked[0])

    async def turn(self) -> None:
        """Some answers later: all that passes here takes its time from the upstream."""
        target = len(self.answers) + max(1, len(self._callers) // 2)

        async with asyncio.timeout(20):
            while len(self.answers) < target:
                async with self._session.get(self.alive[0].url("orders") + "/") as response:
                    self.answers.append(response.status)

    def renewals(self) -> list[datetime]:
        """When tokens came from the token endpoint, in order."""
        lines = [line for line in self.events("token_obtained") if line["origin"] == "endpoint"]
        return sorted(datetime.fromisoformat(line["timestamp"]) for line in lines)

    async def delay_a_call(self, seconds: float) -> Callable[[], Awaitable[bool]]:
        """The next call of the token endpoint takes so long. Gives what tells whether it has come."""
        async with self._session.put(f"{self.emulator.base_url}/_emulator/faults", json=_paced(seconds)):
            pass

        async def come() -> bool:
            async with self._session.get(f"{self.emulator.base_url}/_emulator/faults") as response:
                return not (await response.json())["token"]

        return come

    async def metric(self, sidecar: Sidecar, line: str) -> float:
        """A value of `/metrics`, by all of its line but the value."""
        async with self._session.get(sidecar.admin + "/metrics") as response:
            text = await response.text()
        return next(float(one.rpartition(" ")[2]) for one in text.splitlines() if one.rpartition(" ")[0] == line)

    async def operations(self, operation: str, result: str) -> float:
        """How often that came of it, in all that run together."""
        name = "cognito_sidecar_token_cache_operations_total"
        line = f'{name}{{operation="{operation}",result="{result}"}}'
        return sum([await self.metric(sidecar, line) for sidecar in self.alive])

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for sidecar in self.sidecars for line in events(sidecar.output, name)]


def _paced(*token_delays: float) -> dict[str, Any]:
    return {
        "token": [{"fault": "delay", "seconds": seconds} for seconds in token_delays],
        "http": [{"fault": "delay", "seconds": PACE, "count": "all"}],
    }


@asynccontextmanager
async def fleet(start: StartSidecar, folder: Path, *, life: int) -> AsyncIterator[Fleet]:
    """Nobody is in it yet. Left, it has answered every request, each with 200."""
    async with Emulator(Settings(token_lifetime=life)) as emulator:
        emulator.set_faults(_paced())
        limits = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=limits) as session:
            made = Fleet(emulator, start, session, folder)
            try:
                yield made
                await made.turn()
                assert set(made.answers) == {200}
            finally:
                await made.close()


async def until(asked: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """As `tests.e2e.world.until`."""
    async with asyncio.timeout(seconds):
        while not await asked():
            pass
