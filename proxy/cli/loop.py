"""The event loop that commands run on, signals as something to wait for instead of something that strikes, and the
end of a process whatever still hangs in it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Event, Timer
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

from proxy import outflow

T = TypeVar("T")

HURRY_SECONDS: Final = 0.8
"""Between the second signal and the end."""
LAST_WORDS_SECONDS: Final = 0.2
"""For log lines, where the process is ended."""


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None  # asyncio's own loop does the same, slower.
    return uvloop.new_event_loop


_ends = Event()
"""The end of the process is certain."""


class Signals:
    """While entered, the given signals are queued, in order, and `next` waits for one.

    The second that asks for the end gets it within a second, even where the event loop hangs and nobody takes it from
    here: these are Python's own handlers and not the loop's, so that they run as soon as a call to the system can be
    interrupted.
    """

    def __init__(self, *watched: signal.Signals) -> None:
        self._watched = watched
        self._arrived: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self.stop = asyncio.Event()
        """Set as soon as one has arrived that asks the program to end, whoever takes it out of the queue."""
        self._stops = 0
        self._before: dict[signal.Signals, Any] = {}
        self._loop: asyncio.AbstractEventLoop

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for number in self._watched:
            self._before[number] = signal.signal(number, self._strike)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._watched)  # Those that wait (see `proxy.cli.root`) come now.
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _ends.is_set():
            return  # A signal must not change the exit code of a process that is as good as over.
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _strike(self, number: int, _: FrameType | None) -> None:
        with suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(self._arrive, signal.Signals(number))
        self._stops += number != signal.SIGHUP
        if self._stops == 2:
            end_within(HURRY_SECONDS)

    def _arrive(self, number: signal.Signals) -> None:
        self._arrived.put_nowait(number)
        if number != signal.SIGHUP:
            self.stop.set()

    async def next(self) -> signal.Signals:
        return await self._arrived.get()


def end_within(seconds: float) -> None:
    """End this process after so long with exit code 0, unless it has ended by itself.

    For when all that matters is done. What may hang then is nothing that anybody waits for: the look-up of a name in a
    thread, for one, which cannot be called off, and which both Python and libuv would wait for on their way out.
    """
    _ends.set()
    timer = Timer(seconds, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    outflow.settle(LAST_WORDS_SECONDS)
    os._exit(0)
