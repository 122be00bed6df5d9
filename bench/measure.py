"""The measurements: rounds, and in each round every contender in turn, in short turns.

What is counted is a window in the middle of a load: the connections to the upstream have then been made, and their
handshakes do not pass for the price of a request. How many requests fell into it is the upstream's to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.callers import Target, answers, calling, idle_connections
from bench.contenders import Contender
from bench.figures import Life, Results, Sample, Scenario, Transfer
from bench.processes import (
    Cores,
    DidNotStart,
    cpu_seconds,
    free_port,
    pinned,
    resident_mib,
    running,
    wait_until,
)
from bench.site import LISTEN, TOKEN, Site
from bench.streams import Broken, download, upload
from bench.world import Counts, World

DIRECT = "direct"
"""The key of what has no proxy at all: the callers ask the upstream themselves, over TLS and with the token."""
LEAD = 0.75
"""Seconds of a load before the window, and a little of it after."""
TAIL = 0.25
SETTLE = 0.5
"""Seconds between an event and a look at the memory after it."""
IDLE_CONNECTIONS = 1000
_NEW_CONNECTIONS = 0.01
"""More new connections to the upstream for each request than this, and it is handshakes that are measured."""


class Plan(NamedTuple):
    """What is to be measured."""

    contenders: Sequence[Contender]
    scenarios: Sequence[Scenario]
    many: Scenario
    """The load after which memory is looked at."""
    rounds: int
    seconds: float
    """Of each window."""
    stream_bytes: int


class Serving(NamedTuple):
    """A contender that has answered."""

    pid: int
    port: int
    start_seconds: float


class _Look(NamedTuple):
    """One edge of a window."""

    at: float
    counts: Counts
    cpu_seconds: float


class Measurement:
    """One run of a plan; the results are in `results`, also those of what came before an interruption."""

    def __init__(self, plan: Plan, world: World, cores: Cores, directory: Path, say: Callable[[str], None]) -> None:
        self.results = Results()
        self._plan = plan
        self._world = world
        self._cores = cores
        self._directory = directory
        self._say = say
        self._started = 0
        self._broken: set[str] = set()

    def run(self) -> None:
        for number in range(self._plan.rounds):
            self._say(f"round {number + 1} of {self._plan.rounds}")
            self._requests(number)
            for contender in self._turn(number):
                self._say(f"  start and memory: {contender.title}")
                self._guarded(contender, self._life)
            for contender in self._turn(number):
                self._say(f"  long bodies: {contender.title}")
                self._guarded(contender, self._streams)

    def _turn(self, number: int) -> list[Contender]:
        """Each round begins with another contender, so that none always follows the same one."""
        taking_part = [one for one in self._plan.contenders if one.key not in self._broken]
        first = number % len(taking_part) if taking_part else 0
        return taking_part[first:] + taking_part[:first]

    def _guarded(self, contender: Contender, measure: Callable[[Contender], None]) -> None:
        """One contender's fault ends its own part, not the run."""
        try:
            measure(contender)
        except (DidNotStart, Broken, RuntimeError, OSError) as error:
            self._give_up(contender, error)

    def _give_up(self, contender: Contender, error: Exception) -> None:
        self._broken.add(contender.key)
        self.results.notes.append(f"{contender.title} took no further part: {error}")
        self._say(f"  {self.results.notes[-1]}")

    @contextmanager
    def _serving(self, contender: Contender, site: Site) -> Iterator[Serving]:
        """A contender from its start. Raises DidNotStart where it does not come to its first answer."""
        self._started += 1
        directory = self._directory / f"{self._started}-{contender.key}"
        directory.mkdir()
        port = free_port()
        command, log = pinned(contender.command(site, directory, port), self._cores.contender), directory / "log"
        began = time.perf_counter()
        with running(command, log) as process:
            wait_until(lambda: answers(port), process, log)
            yield Serving(process.pid, port, time.perf_counter() - began)

    def _requests(self, number: int) -> None:
        """All contenders run, and wait without work for their turn: a pair that is compared is seconds apart."""
        with ExitStack() as stack:
            serving: dict[str, Serving] = {}
            for contender in self._turn(number):
                try:
                    serving[contender.key] = stack.enter_context(self._serving(contender, self._world.api))
                except (DidNotStart, OSError) as error:
                    self._give_up(contender, error)
            for scenario in self._plan.scenarios:
                self._say(f"  {scenario.title}, connections: {scenario.connections}")
                self._take(scenario, DIRECT, self._direct(), None)
                for contender in self._turn(number):
                    one = serving[contender.key]
                    try:
                        self._take(scenario, contender.key, Target(f"http://{LISTEN}:{one.port}"), one.pid)
                    except (RuntimeError, OSError) as error:
                        self._give_up(contender, error)

    def _direct(self) -> Target:
        site = self._world.api
        return Target(site.url, str(site.ca_file), (("Authorization", f"Bearer {TOKEN}"),))

    def _take(self, scenario: Scenario, key: str, target: Target, pid: int | None) -> None:
        with calling(scenario, target, LEAD + self._plan.seconds + TAIL, self._directory) as callers:
            time.sleep(LEAD)
            before = self._look(pid)
            time.sleep(self._plan.seconds)
            after = self._look(pid)
            seen = callers.seen()
        requests = max(1, after.counts.requests - before.counts.requests - 1)  # One of them asked for the counts.
        connections = after.counts.connections - before.counts.connections - 1
        cost = None if pid is None else (after.cpu_seconds - before.cpu_seconds) / requests * 1e6
        sample = Sample(requests / (after.at - before.at), seen.p50_ms, seen.p99_ms, cost, seen.failures)
        self.results.requests.setdefault((scenario.key, key), []).append(sample)
        if connections > requests * _NEW_CONNECTIONS:
            note = f"{key} made {connections} new connections for {requests} requests ({scenario.key})"
            self.results.notes.append(note)
            self._say(f"  {note}")

    def _look(self, pid: int | None) -> _Look:
        counts = self._world.counts()
        return _Look(time.perf_counter(), counts, 0.0 if pid is None else cpu_seconds(pid))

    def _life(self, contender: Contender) -> None:
        with self._serving(contender, self._world.api) as one:
            time.sleep(SETTLE)
            idle = resident_mib(one.pid)
            target = Target(f"http://{LISTEN}:{one.port}")
            with calling(self._plan.many, target, self._plan.seconds, self._directory) as callers:
                callers.seen()
            time.sleep(SETTLE)
            loaded = resident_mib(one.pid)
            with idle_connections(one.port, IDLE_CONNECTIONS):
                time.sleep(SETTLE)
                life = Life(one.start_seconds, idle, loaded, resident_mib(one.pid))
        self.results.lives.setdefault(contender.key, []).append(life)

    def _streams(self, contender: Contender) -> None:
        size = self._plan.stream_bytes
        with self._serving(contender, self._world.streams) as one:
            for results, transfer in ((self.results.down, download), (self.results.up, upload)):
                before = cpu_seconds(one.pid)
                seconds = transfer(one.port, size)
                spent = cpu_seconds(one.pid) - before
                results.setdefault(contender.key, []).append(Transfer(size / 1e6 / seconds, spent))
