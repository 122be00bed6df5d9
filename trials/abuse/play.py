"""The rounds of abuse, on one real sidecar that lives through all of them.

1 and 2: every crowd by turns and all at once, with a pool that has room for all of them. The first round shows what
each kind of connection costs; after the second one everything must be as it was after the first.
3: all at once again, now with a pool that slow callers could fill twenty times over.
4: the same, and whoever is turned away or cut comes back at once.
5: with room for half of the idle ones, and with limits of a few seconds, that end all but slow readers by themselves.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.processes import Program, Sidecar
from trials.abuse.crowd import KINDS, Kind
from trials.abuse.report import HEADER, Row, line, unserved
from trials.healthy import Healthy
from trials.leftovers import AGAIN, FIRST, is_as_before, unfreed
from trials.readings import Readings, read, read_until
from trials.world import Surroundings, end, reload, running_sidecar, surroundings

WORDS: Final[dict[Kind, str]] = {
    "idle": "say nothing",
    "heads": "send a head slowly",
    "readers": "read slowly",
    "senders": "send a body slowly",
}
SHORT: Final = {"head_time": "3s", "body_time": "3s", "keepalive": "3s"}
SHORT_LIVED: Final[tuple[Kind, ...]] = ("idle", "heads", "senders")
"""Whom these limits end. A slow reader is ended when somebody else wants its connection."""
_REST: Final = 20.0
"""Seconds for everything to be freed."""
_TRIMMED: Final = 1.5
"""Seconds after which memory that can go back to the system has gone back."""


class Plan(NamedTuple):
    """How many of each, and how long each step is watched."""

    idle: int
    slow: int
    seconds: float
    port: int

    @property
    def places(self) -> int:
        """Connections of the small pool: by default as many as there are by default."""
        return max(2, self.slow // 10)

    def count(self, kind: Kind) -> int:
        return self.idle if kind == "idle" else self.slow


class Crowds:
    """The crowds that are there, each in a process of its own."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._there: dict[Kind, Program] = {}

    async def gather(self, kind: Kind, url: str, *, again: bool = False) -> None:
        """Bring one crowd, and wait until all of it is there."""
        command = ("-m", "trials.abuse.crowd", kind, str(self._plan.count(kind)), url)
        self._there[kind] = await Program.start(sys.executable, *command, *(("--again",) if again else ()))
        await self._there[kind].printed("there")

    async def ended(self, kind: Kind) -> None:
        """Wait until the sidecar has ended all of one crowd."""
        await self._there[kind].printed("gone")

    async def release(self) -> dict[Kind, dict[str, int]]:
        """Everybody goes away at once; what became of them until then."""
        told = {}
        for crowd in self._there.values():
            if crowd.running:
                crowd.send(signal.SIGTERM)
        for kind, crowd in self._there.items():
            await crowd.ended()
            last = crowd.output.rpartition("{")  # Nothing, where it was ended before it had begun.
            told[kind] = json.loads("{" + last[2]) if last[1] else {}
        self._there = {}
        return told


class Play:
    """One trial from its beginning to its end: `faults` is what was not as it should be."""

    def __init__(self, plan: Plan, around: Surroundings, sidecar: Sidecar, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._around = around
        self._sidecar = sidecar
        self._say = say
        self._crowds = Crowds(plan)
        self._healthy = {name: Healthy(sidecar.url(name)) for name in ("roomy", "crowded")}
        self.faults: list[str] = []

    async def run(self) -> None:
        """All rounds. Raises what goes wrong with the trial itself; the crowds are gone in any case."""
        try:
            await self._rounds()
        finally:
            await self._crowds.release()

    async def _rounds(self) -> None:
        self._say(HEADER)
        start = await self._rest()
        peak = await self._roomy()
        first = await self._rest(start)
        self._note("after the first round", unfreed(start, peak, first, FIRST))
        await self._roomy()
        self._note("after the second round", unfreed(first, peak, await self._rest(first), AGAIN))
        await self._crowded(again=False)
        await self._crowded(again=True)
        await self._limited()
        self._note("at the end", unfreed(first, peak, await self._rest(first), AGAIN))

    async def _roomy(self) -> Readings:
        """Each crowd after the other. What was used with all of them."""
        peak = await self._readings()
        for kind in KINDS:
            before = await self._readings()
            await self._crowds.gather(kind, self._sidecar.url("roomy"))
            if kind in ("readers", "senders"):
                await self._busy(before.busy + self._plan.count(kind))
            row = await self._row(f"{self._plan.count(kind):,} {WORDS[kind]}", "roomy", kind=kind, before=before)
            self._note_unserved(row)
            peak = row.readings
        self._tell(await self._crowds.release())
        return peak

    async def _crowded(self, *, again: bool) -> None:
        """Slow callers that are many times more than there are places. With `again` they come back whatever happens to
        them: then nobody can tell a new healthy caller from them."""
        url = self._sidecar.url("crowded")
        await self._row(f"(a pool of {self._plan.places})", "crowded")
        coming = asyncio.gather(*(self._crowds.gather(kind, url, again=again) for kind in KINDS))
        self._note_unserved(await self._row("all of them, coming", "crowded"), new_may_get=("overloaded",))
        await coming
        if not again:
            await self._settled(lambda one: one.in_flight <= one.busy)  # Nobody waits for a connection any more.
        row = await self._row("all of them, again and again" if again else "all of them, there", "crowded")
        self._note_unserved(row, new_may_get=("overloaded",) if again else ())
        self._tell(await self._crowds.release())
        await self._rest()

    async def _limited(self) -> None:
        """There is room for half of them, and limits of a few seconds end what is slow, without anybody's help."""
        room = self._plan.idle // 2
        config = configuration(self._plan, self._around, **SHORT, connections=room)
        await reload(self._around.session, self._sidecar, config)
        began = time.monotonic()
        for kind in SHORT_LIVED:
            await self._crowds.gather(kind, self._sidecar.url("roomy"))
        self._note_unserved(await self._row(f"with room for {room:,}", "roomy"))
        for kind in SHORT_LIVED:
            await self._crowds.ended(kind)
        self._say(f"With limits of {SHORT['keepalive']} all of them were ended after {time.monotonic() - began:.1f} s:")
        self._tell(await self._crowds.release())

    async def _rest(self, before: Readings | None = None) -> Readings:
        """Healthy callers come once more, and leave; then wait until all is as it was before, if it ever is."""
        self._note_unserved(await self._row("nobody else", "roomy"))
        for healthy in self._healthy.values():
            await healthy.leave()
        at_rest = await self._settled(lambda one: one.at_rest)
        # Memory goes back to the system a moment after a rush.
        return await self._settled(
            lambda one: is_as_before(one, before or at_rest) and one.at > at_rest.at + _TRIMMED,
        )

    async def _busy(self, connections: int) -> None:
        await self._settled(lambda one: one.busy >= connections)

    async def _settled(self, good: Callable[[Readings], bool]) -> Readings:
        return await read_until(self._around.session, self._sidecar.admin, good, seconds=_REST)

    async def _row(self, title: str, upstream: str, *, kind: Kind | None = None, before: Readings | None = None) -> Row:
        served = await self._healthy[upstream].ask(self._plan.seconds)
        readings = await self._readings()
        more = self._plan.count(kind) if kind is not None else 0
        took = readings.resident_bytes - before.resident_bytes if before is not None else 0
        row = Row(title, readings, served, more, took)
        self._say(line(row))
        return row

    async def _readings(self) -> Readings:
        return await read(self._around.session, self._sidecar.admin)

    def _tell(self, crowds: Mapping[Kind, Mapping[str, int]]) -> None:
        for kind, counts in crowds.items():
            self._say(f"    {kind}: " + ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items())))

    def _note_unserved(self, row: Row, *, new_may_get: Collection[str] = ()) -> None:
        self.faults += unserved(f"{row.title}, kept connections", row.served.kept)
        self.faults += unserved(f"{row.title}, new connections", row.served.new, new_may_get)

    def _note(self, when: str, faults: list[str]) -> None:
        self.faults += [f"{when}: {fault}" for fault in faults]


def configuration(plan: Plan, around: Surroundings, **limits: Any) -> dict[str, Any]:
    """One listener; below one path there is room for everybody, below the other a pool as it is by default."""
    upstreams: Mapping[str, Mapping[str, Any]] = {
        "roomy": {"prefix": "/roomy", "pool": {"max_connections": 2 * plan.slow + 100, "keepalive": "1s"}},
        "crowded": {"prefix": "/crowded", "pool": {"max_connections": plan.places, "keepalive": "1s"}},
    }
    config = around.configuration(upstreams, limits=limits)
    for settings in config["upstreams"].values():
        settings["listen"] = f"127.0.0.1:{plan.port}"
    return config


async def play(plan: Plan, directory: Path, say: Callable[[str], None]) -> list[str]:
    """The whole trial. Returns what was not as it should be."""
    async with surroundings(directory) as around:
        async with running_sidecar(directory, configuration(plan, around)) as sidecar:
            trial = Play(plan, around, sidecar, say)
            await trial.run()
            code = await end(sidecar)
            return trial.faults + ([f"exit code {code} after SIGTERM"] if code != 0 else [])
