"""The callers that deserve an answer: a few, each asking again as soon as it was answered, and what they got."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

from bench.figures import percentile
from trials.asks import Ask
from trials.caller import Line, Manner, Outcome

KEPT, NEW = 4, 2
"""Callers that keep their connections, and callers that make one for each request."""
_PAUSE: Final = 0.01
"""Seconds between an answer and the next request of the same caller."""
_SIZES: Final = (20, 2_000, 50_000)


class Service(NamedTuple):
    """What some callers got in one span of time."""

    answers: int
    p50: float
    """Seconds, of the answers that were right; infinity where there is none."""
    p99: float
    wrong: Counter[str]
    """Everything else, by what it was."""


class Served(NamedTuple):
    """What the healthy callers got."""

    kept: Service
    """On connections that were there before."""
    new: Service
    """On new ones."""


class Healthy:
    """Healthy callers of one upstream."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lines: list[Line | None] = [None] * KEPT
        self._numbers = itertools.count()

    async def ask(self, seconds: float) -> Served:
        """Ask for so long."""
        until = time.monotonic() + seconds
        kept = asyncio.gather(*(self._keeping(place, until) for place in range(KEPT)))
        new = asyncio.gather(*(self._renewing(until) for _ in range(NEW)))
        return Served(summary([*chain(*await kept)]), summary([*chain(*await new)]))

    async def leave(self) -> None:
        """Close the kept connections."""
        for line in self._lines:
            if line is not None and line.usable:
                await line.close()
        self._lines = [None] * KEPT

    async def _keeping(self, place: int, until: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while time.monotonic() < until:
            line = self._lines[place]
            outcome, self._lines[place] = await self._call(line, Manner())
            outcomes.append(outcome)
            await asyncio.sleep(_PAUSE)
        return outcomes

    async def _renewing(self, until: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while time.monotonic() < until:
            outcome, _ = await self._call(None, Manner(keep=False))
            outcomes.append(outcome)
            await asyncio.sleep(_PAUSE)
        return outcomes

    async def _call(self, line: Line | None, manner: Manner) -> tuple[Outcome, Line | None]:
        """One request, and the connection that it was made on, if there was one."""
        number = next(self._numbers)
        method, body = ("POST", number % 2000) if number % 4 == 0 else ("GET", 0)
        ask = Ask(f"healthy-{number}", method, size=_SIZES[number % 3], body=body)
        began = time.time()
        try:
            line = line if line is not None and line.usable else await Line.open(self._url)
        except OSError:  # TimeoutError is one.
            return Outcome(ask.id, "", method, ask.kind, True, began, time.time(), "unconnected"), None
        [outcome] = await line.call([ask], manner)
        return outcome, line


def summary(outcomes: Sequence[Outcome]) -> Service:
    """Figures of what came."""
    right = sorted(one.ended - one.began for one in outcomes if not wrong(one)) or [float("inf")]
    found = Counter(word for one in outcomes if (word := wrong(one)))
    return Service(len(outcomes), percentile(right, 0.5), percentile(right, 0.99), found)


def wrong(one: Outcome) -> str:
    """What was not as it should be, in a word or two; nothing, if all was."""
    if one.end != "whole":
        return one.end
    if one.status != 200:
        return one.error or str(one.status)
    if one.differs_at >= 0 or one.length != one.expected or one.extra or one.bearer != one.id:
        return "another's bytes"
    return one.improper
