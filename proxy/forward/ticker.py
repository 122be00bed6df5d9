"""Deadlines for many things by one timer: a handle for each request would cost more than the request's head.

What is watched has a `deadline` on the event loop's clock (infinity: none) and is called when it has passed,
at most one interval late. The timer stops by itself when nothing is watched.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Watched(Protocol):
    """Something with a deadline."""

    deadline: float

    def on_deadline(self) -> None:
        """The deadline has passed. It is called again at each tick until the deadline is moved."""


class Ticker:
    """Looks at all that it watches once an interval (seconds)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval: float) -> None:
        self._loop = loop
        self._interval = interval
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, item: Watched) -> None:
        """Watch `item` until `forget`."""
        self._watched.add(item)
        if self._timer is None:
            self._timer = self._loop.call_later(self._interval, self._tick)

    def forget(self, item: Watched) -> None:
        self._watched.discard(item)

    def close(self) -> None:
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if not self._watched:
            self._timer = None
            return
        self._timer = self._loop.call_later(self._interval, self._tick)
        now = self._loop.time()
        for item in [item for item in self._watched if item.deadline <= now]:
            if item in self._watched:  # One's deadline may have been the end of another.
                item.on_deadline()
