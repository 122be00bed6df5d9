"""Time, handed in. Rules take a `Reading`; what waits takes a `Clock`, so that a test can turn it by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol


class Reading(NamedTuple):
    """One moment on two clocks, in seconds.

    `monotonic` never jumps, but stands still while a machine sleeps; `wall`, Unix time, may jump, but does not.
    """

    monotonic: float
    wall: float


stopwatch = time.perf_counter
"""Seconds since no particular moment, fine enough for what takes microseconds; uvloop's own time is in milliseconds."""


class Cancellable(Protocol):
    """A call that has been scheduled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """The time, and a way to be called later."""

    def read(self) -> Reading: ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable: ...


class SystemClock:
    """The machine's clocks and the running event loop's timers."""

    def read(self) -> Reading:
        # The same as Reading(…) in half the time: this is called for each request.
        return tuple.__new__(Reading, (time.monotonic(), time.time()))

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        return asyncio.get_running_loop().call_later(seconds, callback)
