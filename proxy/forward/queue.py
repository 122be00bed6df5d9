"""Requests that wait for a connection: who is next, and who makes room when too many wait. Pure.

They stand in three lines that are served in turn, each in the order in which its requests came. In one line, a crowd of
callers that send or read slowly would keep everybody behind them waiting for as long as they please. In a line of their
own, before all others, stand those whose connection was used before and died: only a new one helps them, as the next
used one may be as dead.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(IntEnum):
    """Where a request stands; the first are the last to make room."""

    AGAIN = 0
    """Its connection was lost, and a new one is to take its place."""
    KNOWN = 1
    """Of a connection that has brought an answer to its caller before: who is slow never gets so far."""
    WHOLE = 2
    """All here: nothing is still to come from its caller."""
    PARTIAL = 3
    """Its body is still to come."""


class Queue(Generic[T]):
    """The lines. Who waits is in one of them, once. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        # Of all containers the one from whose ends and whose middle somebody leaves without a search.
        self._lines: tuple[OrderedDict[T, float], ...] = tuple(OrderedDict() for _ in Line)
        self._turn = 0

    def __bool__(self) -> bool:
        return any(self._lines)

    def __len__(self) -> int:
        again, known, whole, partial = self._lines
        return len(again) + len(known) + len(whole) + len(partial)

    @property
    def wanting_new(self) -> int:
        """How many need a new connection."""
        return len(self._lines[Line.AGAIN])

    @property
    def since(self) -> float:
        """When the one that has waited longest came. Raises ValueError where nobody waits."""
        return min(next(iter(line.values())) for line in self._lines if line)

    def put(self, item: T, line: Line, now: float) -> None:
        self._lines[line][item] = now

    def take(self, *, new: bool) -> T | None:
        """Whom a connection that is new, or was used, is for: who has waited longest in the line whose turn it is.
        None where nobody waits for such a one."""
        again, *in_turn = self._lines
        if new and again:
            return again.popitem(last=False)[0]
        for _ in in_turn:
            line = in_turn[self._turn]
            self._turn = (self._turn + 1) % len(in_turn)
            if line:
                return line.popitem(last=False)[0]
        return None

    def displace(self, line: Line) -> T | None:
        """Who is to make room for one that would stand in `line`: the newest of the last line behind that."""
        for other in reversed(Line):
            if other > line and self._lines[other]:
                return self._lines[other].popitem()[0]
        return None

    def remove(self, item: T) -> None:
        """Somebody waits no longer; nothing happens where they had been taken already."""
        for line in self._lines:
            line.pop(item, None)
