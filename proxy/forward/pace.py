"""How fast a request's body comes. Pure.

A byte now and then would satisfy `timeouts.idle` for ever and hold one of the upstream's connections all the while.
So what counts here is the last whole QUANTUM, not the last byte, and only while the sidecar wants the body.
"""

from __future__ import annotations

from math import inf
from typing import Final

QUANTUM: Final = 1024
"""Bytes that are progress."""


class Pace:
    """Times are the event loop's, in seconds; `span` is how long a quantum may take, infinity: for ever."""

    __slots__ = ("_mark", "_span", "since")

    def __init__(self, span: float) -> None:
        self._span = span
        self._mark = 0
        self.since = inf
        """The last moment of progress; infinity while nobody waits for the body."""

    @property
    def due(self) -> float:
        """When the next quantum has to be here, or the end of the body."""
        return self.since + self._span

    def begin(self, now: float, size: int) -> None:
        """The body is wanted from now on; `size` bytes of it have come so far."""
        self.since = now
        self._mark = size

    def came(self, now: float, size: int) -> None:
        if size - self._mark >= QUANTUM:
            self.begin(now, size)

    def stop(self) -> None:
        """The body is not wanted for now, or it is whole."""
        self.since = inf


NO_BODY: Final = Pace(inf)
"""Of all requests without one: nobody waits for it, ever."""
