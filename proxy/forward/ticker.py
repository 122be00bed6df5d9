"""Deadlines for many things by one timer: a handle for each request would cost more than the request's head.

What is watched has a `deadline` on the event loop's clock (infinity: none) and is called when it has passed,
at most one interval late. The timer stops by itself when nothing is watched.

A tick that comes much too late means that the process stood still (a frozen container, a laptop that slept). What
came in the meantime waits in the sockets, and the event loop calls timers before it reads those; so that tick judges
nobody, and the next one finds who is late in earnest.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

STOOD_STILL: Final = 1.0
"""Seconds by which no tick is late while the event loop turns."""


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
        self._due = 0.0
        self._spared = False
        """The last tick judged nobody. Two in a row do not: a loop that is slow all the time must end requests too."""

    def watch(self, item: Watched) -> None:
        """Watch `item` until `forget`."""
        self._watched.add(item)
        if self._timer is None:
            self._start()

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
        now = self._loop.time()
        self._spared = now - self._due > STOOD_STILL and not self._spared
        self._start()
        if self._spared:
            return
        for item in [item for item in self._watched if item.deadline <= now]:
            if item in self._watched:  # One's deadline may have been the end of another.
                item.on_deadline()

    def _start(self) -> None:
        self._due = self._loop.time() + self._interval
        self._timer = self._loop.call_later(self._interval, self._tick)
