"""Where requests wait for news of a fetch. Each waits on a future of its own, so that one that goes away takes
nothing from the others, and never on the fetch itself, so that it cannot cancel it."""

from __future__ import annotations

import asyncio
from functools import partial

from proxy.clock import Clock


class News:
    """Something may happen; some wait for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()

    async def listen(self, seconds: float) -> None:
        """Wait until there are news, at most so long."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        timer = self._clock.call_later(seconds, partial(_resolve, future))
        try:
            await future
        finally:
            timer.cancel()
            self._waiting.discard(future)

    def tell(self) -> None:
        """There are news: whoever waits should look again."""
        for future in tuple(self._waiting):
            _resolve(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
