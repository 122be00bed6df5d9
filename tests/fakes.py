"""Time that a test turns by hand. No test sleeps: it moves the clock, and lets what that woke run."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from proxy.clock import Reading


class FakeTimer:
    """A call that has been scheduled on a FakeClock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    @property
    def pending(self) -> bool:
        return self._callback is not None

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class FakeClock:
    """A `proxy.clock.Clock`. Its two clocks stand still until they are moved, together or apart."""

    def __init__(self, monotonic: float = 1000.0, wall: float = 1_800_000_000.0) -> None:
        self.monotonic = monotonic
        self.wall = wall
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._order = count()

    def read(self) -> Reading:
        return Reading(self.monotonic, self.wall)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self.monotonic + max(0.0, seconds), next(self._order), timer))
        return timer

    @property
    def timers(self) -> list[float]:
        """In how many seconds each scheduled call is due, soonest first."""
        return [when - self.monotonic for when, _, timer in sorted(self._timers) if timer.pending]

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks, and make the calls that fall due, each at its own moment."""
        end = self.monotonic + seconds
        while self._fire_next(end):
            pass
        self._move_to(end)

    async def turn(self, seconds: float) -> None:
        """As `advance`, but what each call woke has run before the next one is made."""
        end = self.monotonic + seconds
        await settle()
        while self._fire_next(end):
            await settle()
        self._move_to(end)
        await settle()

    def sleep(self, seconds: float) -> None:
        """The machine sleeps: the wall clock goes on, the monotonic one and all timers stand still."""
        self.wall += seconds

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock, forward or (below 0) back."""
        self.wall += seconds

    def _fire_next(self, end: float) -> bool:
        """Make the next call that is due until `end`, if there is one."""
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            if timer.pending:
                self._move_to(max(when, self.monotonic))
                timer.fire()
                return True
        return False

    def _move_to(self, monotonic: float) -> None:
        self.wall += monotonic - self.monotonic
        self.monotonic = monotonic


async def settle(rounds: int = 30) -> None:
    """Let the event loop run what is ready, and what that makes ready, without any time passing."""
    loop = asyncio.get_running_loop()
    for _ in range(rounds):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
