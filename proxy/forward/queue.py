"""Requests that wait for a connection: who is next, and who makes room when too many wait. Pure.

They stand in three lines that are served in turn, each in the order in which its requests came. In one line, a crowd of
callers that send or read slowly would keep everybody behind them waiting for as long as they please.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(IntEnum):
    """Where a request stands; the first are the last to make room."""

    KNOWN = 0
    """Of a connection that has brought an answer to its caller before: who is slow never gets so far."""
    WHOLE = 1
    """All here: nothing is still to come from its caller."""
    PARTIAL = 2
    """Its body is still to come."""


class Queue(Generic[T]):
    """The three lines. Who waits is in one of them, once. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        # Of all containers the one from whose ends and whose middle somebody leaves without a search.
        self._lines: tuple[OrderedDict[T, float], ...] = tuple(OrderedDict() for _ in Line)
        self._turn = 0

    def __bool__(self) -> bool:
        return any(self._lines)

    def __len__(self) -> int:
        known, whole, partial = self._lines
        return len(known) + len(whole) + len(partial)

    @property
    def since(self) -> float:
        """When the one that has waited longest came. Raises ValueError where nobody waits."""
        return min(next(iter(line.values())) for line in self._lines if line)

    def put(self, item: T, line: Line, now: float) -> None:
        self._lines[line][item] = now

    def take(self) -> T:
        """Who has waited longest in the line whose turn it is. Raises IndexError where nobody waits."""
        for _ in self._lines:
            line = self._lines[self._turn]
            self._turn = (self._turn + 1) % len(self._lines)
            if line:
                return line.popitem(last=False)[0]
        raise IndexError("nobody waits")

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
