"""The event loop that commands run on, and signals as something to wait for instead of something that strikes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


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


class Signals:
    """While entered, the given signals are queued, in order, and `next` waits for one."""

    def __init__(self, *watched: signal.Signals) -> None:
        self._watched = watched
        self._arrived: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self.stop = asyncio.Event()
        """Set as soon as one has arrived that asks the program to end, whoever takes it out of the queue."""

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in self._watched:
            loop.add_signal_handler(number, self._arrive, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in self._watched:
            loop.remove_signal_handler(number)

    def _arrive(self, number: signal.Signals) -> None:
        self._arrived.put_nowait(number)
        if number != signal.SIGHUP:
            self.stop.set()

    async def next(self) -> signal.Signals:
        return await self._arrived.get()
