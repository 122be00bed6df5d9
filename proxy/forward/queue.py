"""Requests that wait for a connection: who is next. Pure.

Requests whose body is all here, or who have none, and those whose body is still on its way stand in two lines that
are served in turn. In one line, a crowd of callers that send slowly would keep everybody behind them waiting for
as long as they please.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Queue(Generic[T]):
    """Two lines, served in turn; within each, whoever came first is first."""

    def __init__(self) -> None:
        self._lines: tuple[deque[T], deque[T]] = deque(), deque()
        """Of the whole ones, and of those whose body is still to come."""
        self._turn = 0

    def __len__(self) -> int:
        return len(self._lines[0]) + len(self._lines[1])

    def put(self, item: T, *, whole: bool) -> None:
        self._lines[0 if whole else 1].append(item)

    def take(self) -> T:
        """Who has waited longest in the line whose turn it is. Raises IndexError where nobody waits."""
        line = self._lines[self._turn] or self._lines[1 - self._turn]
        self._turn = 0 if line is self._lines[1] else 1
        return line.popleft()

    def remove(self, item: T) -> None:
        """Somebody waits no longer; nothing happens where they had been taken already."""
        for line in self._lines:
            if item in line:
                line.remove(item)
