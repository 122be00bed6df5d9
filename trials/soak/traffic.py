"""Callers of every sort at once: what a sidecar meets in a day, in a minute.

Each sort is a handful of callers that ask, one request after the other, until they are told to stop. All they ask and
when they leave is drawn from a seed; what they are answered is checked byte by byte. `Tally` keeps what was wrong.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from tests.processes import PATIENCE
from trials.asks import Ask, Kind
from trials.caller import Line, Manner
from trials.healthy import wrong

MIB: Final = 2**20
_KEPT: Final = 60_000
"""Bytes of a body that can be sent again after a 401 (`replay_limit` is 64 KiB)."""


class Tally:
    """What came of all asks so far."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        """By the sort of the caller."""
        self.wrong: Counter[str] = Counter()
        """What was not as it should be, with the sort."""


class Traffic:
    """All the callers."""

    def __init__(self, url: str, seed: int) -> None:
        self._url = url
        self._random = Random(seed)
        self._numbers = itertools.count()
        self._stopping = asyncio.Event()
        self.tally = Tally()

    async def run(self) -> None:
        """Until `stop`; then each ends the request it is at."""
        sorts: list[tuple[int, str, float, Callable[[], tuple[Ask, Manner]]]] = [
            (3, "bodies", 0.05, self._body),
            (1, "large bodies", 0.5, self._large_body),
            (1, "streams", 0.2, self._stream),
            (2, "sockets", 0.2, self._socket),
            (2, "events", 0.1, self._events),
            (2, "leavers", 0.05, self._leaver),
            (2, "odd answers", 0.1, self._odd),
        ]
        callers = [self._caller(name, pause, make) for count, name, pause, make in sorts for _ in range(count)]
        await asyncio.gather(*callers)

    def stop(self) -> None:
        self._stopping.set()

    async def _caller(self, name: str, pause: float, make: Callable[[], tuple[Ask, Manner]]) -> None:
        line: Line | None = None
        while not self._stopping.is_set():
            ask, manner = make()
            line = await self._ask(name, line, ask, manner)
            await _unless(self._stopping.wait(), pause * (0.5 + self._random.random()))
        if line is not None and line.usable:
            await line.close()

    async def _ask(self, name: str, line: Line | None, ask: Ask, manner: Manner) -> Line | None:
        """One request, on the connection that is there or on a new one; the one for the next request."""
        self.tally.asked[name] += 1
        try:
            line = line if line is not None and line.usable else await Line.open(self._url)
        except OSError:
            self.tally.wrong[f"{name}: unconnected"] += 1
            return None
        [outcome] = await line.call([ask], manner)
        word = wrong(outcome)
        if word and not _expected(ask, manner, word):
            self.tally.wrong[f"{name}: {word}"] += 1
        return line

    # The sorts.

    def _body(self) -> tuple[Ask, Manner]:
        draw = self._random
        method, chunked = draw.choice(("POST", "PUT", "PATCH")), draw.random() < 0.5
        ask = Ask(self._id(), method, size=draw.randrange(5_000), body=draw.randrange(_KEPT), chunked=chunked)
        return ask, Manner(keep=draw.random() < 0.8, waits_for_100=draw.random() < 0.2)

    def _large_body(self) -> tuple[Ask, Manner]:
        draw = self._random
        return Ask(self._id(), "PUT", size=10, body=draw.randrange(_KEPT, MIB), chunked=draw.random() < 0.5), Manner()

    def _stream(self) -> tuple[Ask, Manner]:
        return Ask(self._id(), kind="long", size=self._random.randrange(MIB, 16 * MIB)), Manner()

    def _socket(self) -> tuple[Ask, Manner]:
        return Ask(self._id(), kind="socket", body=self._random.randrange(50_000)), Manner(keep=False)

    def _events(self) -> tuple[Ask, Manner]:
        return Ask(self._id(), kind="events", size=self._random.randrange(1, 20), seconds=1.0), Manner()

    def _leaver(self) -> tuple[Ask, Manner]:
        draw = self._random
        kind: Kind = draw.choice(("sized", "slow", "late"))
        ask = Ask(self._id(), "POST", kind, size=50_000, seconds=0.3, body=20_000)
        return ask, Manner(keep=False, leaves_after=draw.choice((0.1, 0.5, 1.0)), resets=draw.random() < 0.5)

    def _odd(self) -> tuple[Ask, Manner]:
        draw = self._random
        method = draw.choice(("GET", "GET", "DELETE", "OPTIONS", "HEAD"))
        kind: Kind = draw.choice(("chunked", "close", "cut", "eof", "early", "slow"))
        return Ask(self._id(), method, kind, size=draw.randrange(1, 20_000), seconds=0.2), Manner()

    def _id(self) -> str:
        return f"soak-{next(self._numbers)}"


def _expected(ask: Ask, manner: Manner, word: str) -> bool:
    """What is the asks' own doing, and not a fault of the sidecar's."""
    if manner.leaves_after is not None:
        return word in ("left", "nothing", "cut")
    if ask.kind == "socket":
        return word == "101"
    if ask.kind == "cut":
        return word == "cut"
    if ask.kind == "eof":
        return word == "upstream_protocol"
    # After a rotation of the issuer's keys a body that was too large to be kept cannot be sent again.
    return word == "401" and ask.body > _KEPT


async def _unless(event: Awaitable[object], seconds: float) -> None:
    """Wait so long, or until the event comes."""
    try:
        async with asyncio.timeout(min(seconds, PATIENCE)):
            await event
    except TimeoutError:
        pass
