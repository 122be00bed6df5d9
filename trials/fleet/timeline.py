"""Virtual time: what is due when, in order. Seconds from the beginning; nothing waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Timeline:
    """A clock that jumps from one thing that is due to the next. What is due together comes as it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count().__next__

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Do `act` at `moment`, or now where that is past. Nothing takes it back: who acts looks whether it should."""
        heapq.heappush(self._due, (moment, self._order(), act))

    def run(self, until: float) -> None:
        """Go on to `until`. What is due then is done, and what is due later stays."""
        due = self._due
        while due and due[0][0] <= until:
            moment, _, act = heapq.heappop(due)
            self.now = max(moment, self.now)
            act()
        self.now = until
