"""The soak itself: processes, callers, what happens to them meanwhile, and a row for each interval."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

from tests.processes import Sidecar, free_port
from trials.healthy import Healthy, Served
from trials.leftovers import FIRST, is_as_before, unfreed
from trials.readings import Readings, read, read_until, status
from trials.soak.report import MIB, Row
from trials.soak.traffic import Traffic
from trials.world import Surroundings, end, reload, running_sidecar, surroundings

LIFETIME: Final = 30
"""Seconds of a token: it is renewed two or three times a minute."""
_LOOK: Final = 1.0
"""Seconds between two readings."""
_REST: Final = 20.0
_MARGIN: Final = 3.0
"""Seconds between a rotation and the next renewal; a stopped upstream and a busy machine are much faster."""


class Plan(NamedTuple):
    """How long, in seconds, and what is drawn."""

    seconds: float
    interval: float
    seed: int
    rotate_every: float = 40.0
    """The issuer's keys change, and every token that is out is refused. After ten renewals in five minutes that 401s
    were the cause of the sidecar lets those pass (proxy/tokens/refusals.py); this is less often."""
    reload_every: float = 12.0
    """The configuration changes, and SIGHUP comes."""


class Soak:
    """One run. `rows` grows while it lasts; `faults` is what was wrong besides."""

    def __init__(
        self,
        plan: Plan,
        around: Surroundings,
        sidecar: Sidecar,
        port: int,
        admin: aiohttp.ClientSession,
        say: Callable[[Row], None],
    ) -> None:
        self._plan = plan
        self._around = around
        self._sidecar = sidecar
        self._port = port
        self._admin = admin
        self._say = say
        self._healthy = Healthy(sidecar.url("orders"))
        self._traffic = Traffic(sidecar.url("orders"), plan.seed)
        self._readings: list[Readings] = []
        """Of the present interval."""
        self._peak: Readings | None = None
        self.rows: list[Row] = []
        self.faults: list[str] = []

    async def run(self) -> None:
        """Raises what goes wrong with the soak itself."""
        await self._healthy.ask(_LOOK)
        await self._healthy.leave()
        before = await self._at_rest(lambda one: one.at_rest)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._traffic.run())
            events = [group.create_task(event) for event in (self._look(), self._rotate(), self._reload())]
            await self._intervals()
            self._traffic.stop()
            for event in events:
                event.cancel()
        await self._healthy.leave()
        after = await self._at_rest(lambda one: is_as_before(one, before))
        left = unfreed(before, self._peak or before, after, FIRST)
        self.faults += [f"at the end, {fault}" for fault in left]
        self.faults += [f"{count} times {what}" for what, count in self._traffic.tally.wrong.most_common()]

    async def _intervals(self) -> None:
        tally = self._traffic.tally
        began = time.monotonic()
        asked = wrong = 0
        while time.monotonic() - began < self._plan.seconds:
            served = await self._healthy.ask(self._plan.interval)
            readings, self._readings = self._readings or [await self._read()], []
            minute = (time.monotonic() - began) / 60
            row = make_row(
                minute, served, readings, asked=tally.asked.total() - asked, wrong=tally.wrong.total() - wrong
            )
            asked, wrong = tally.asked.total(), tally.wrong.total()
            self.faults += [f"{count} times healthy: {what}" for what, count in _wrong(served).items()]
            self.rows.append(row)
            self._say(row)

    # What happens meanwhile, each for as long as it is let.

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            self._readings.append(await self._read())

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(self._plan.rotate_every)
            await self._far_from_renewal()
            # Nobody judges a token between the moments at which issuer and upstream hear of it: one of the new key
            # would be refused as well, and the sidecar would rightly take renewal for no help.
            self._around.upstream.stop()
            try:
                await self._around.issuer.rotate_keys(keep_old=False)
            finally:
                self._around.upstream.go_on()

    async def _far_from_renewal(self) -> None:
        """Until no renewal is near. A token of the old key that came in the very moment would be taken for the help
        against a 401 to the one before it, and requests are sent again only once."""
        while True:
            told = await status(self._admin, self._sidecar.admin)
            due = told["upstreams"]["orders"]["renew_at"]
            if due and datetime.fromisoformat(due).timestamp() - time.time() > _MARGIN:
                return
            await asyncio.sleep(_LOOK)

    async def _reload(self) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(self._plan.reload_every)
            await reload(self._admin, self._sidecar, configuration(self._around, self._port, number))

    async def _read(self) -> Readings:
        found = await read(self._admin, self._sidecar.admin)
        if self._peak is None or found.resident_bytes > self._peak.resident_bytes:
            self._peak = found
        return found

    async def _at_rest(self, good: Callable[[Readings], bool]) -> Readings:
        return await read_until(self._admin, self._sidecar.admin, good, seconds=_REST)


def make_row(minute: float, served: Served, readings: Sequence[Readings], *, asked: int, wrong: int) -> Row:
    """One interval: `asked` and `wrong` are those of the callers that are not in `served`."""

    def middle(value: Callable[[Readings], float]) -> float:
        return statistics.median(map(value, readings))

    return Row(
        minute=minute,
        requests=served.kept.answers + served.new.answers + asked,
        p50=served.kept.p50 * 1000,
        p99=served.kept.p99 * 1000,
        memory=middle(lambda one: one.resident_bytes) / MIB,
        descriptors=middle(lambda one: one.open_fds),
        other=middle(lambda one: one.open_fds - one.caller_connections - one.idle - one.busy),
        tasks=middle(lambda one: one.tasks),
        callers=middle(lambda one: one.caller_connections),
        upstreams=middle(lambda one: one.idle + one.busy),
        wrong=_wrong(served).total() + wrong,
    )


def _wrong(served: Served) -> Counter[str]:
    return served.kept.wrong + served.new.wrong


def configuration(around: Surroundings, port: int, number: int) -> dict[str, Any]:
    """The configuration, the same but for a `number` in it that makes it another one."""
    settings = {
        "listen": f"127.0.0.1:{port}",
        "pool": {"keepalive": "5s"},
        "headers": {"set": {"X-Configuration": str(number)}},
    }
    return around.configuration({"orders": settings})


async def soak(plan: Plan, directory: Path, say: Callable[[Row], None]) -> tuple[list[Row], list[str]]:
    """The whole run: its rows, and what was not as it should be besides growth."""
    port = free_port()
    async with surroundings(directory, token_lifetime=LIFETIME) as around:
        async with running_sidecar(directory, configuration(around, port, 0)) as sidecar:
            # One connection for all readings, so that how many there are is no reading itself.
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as admin:
                run = Soak(plan, around, sidecar, port, admin, say)
                await run.run()
            code = await end(sidecar)
            return run.rows, run.faults + ([f"exit code {code} after SIGTERM"] if code != 0 else [])
