"""The connections to one upstream: which request gets which, and when one is opened or dropped.

The decisions are pure functions (`connections_to_open`, `outlived`); the pool carries them out. Connections
are used last in, first out, so that a burst's extra ones grow old and are dropped. A connection is opened
for the pool and not for the request that found none: it serves whoever has waited longest, and when that
request has gone or was served by another, it stays for the next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol

from proxy.errors import Refusal
from proxy.forward.connection import Owner, UpstreamConnection
from proxy.forward.ticker import Ticker
from proxy.stats import UpstreamStats
from proxy.tasks import spawn

Connect = Callable[[Owner], Awaitable[UpstreamConnection]]
"""Opens one connection that reports to its owner. Raises Refusal (`upstream_unreachable`)."""


class Waiter(Protocol):
    """A request that waits for a connection."""

    def connected(self, connection: UpstreamConnection) -> None: ...

    def not_connected(self, refusal: Refusal) -> None: ...


def connections_to_open(waiting: int, opening: int, open_now: int, limit: int) -> int:
    """How many connections to open now, so that each waiting request is to get one, within the limit."""
    return max(0, min(waiting - opening, limit - open_now - opening))


def outlived(idle_since: float, now: float, keepalive: float) -> bool:
    """Whether a connection has been idle for too long to be used again."""
    return now - idle_since >= keepalive


class Pool:
    """The connections to one upstream."""

    def __init__(
        self,
        connect: Connect,
        *,
        limit: int,
        keepalive: float,
        stats: UpstreamStats,
        loop: asyncio.AbstractEventLoop,
        ticker: Ticker,
    ) -> None:
        self._connect = connect
        self._limit = limit
        self._keepalive = keepalive
        self._stats = stats
        self._loop = loop
        self._ticker = ticker
        self._idle: list[UpstreamConnection] = []
        self._busy: set[UpstreamConnection] = set()
        self._waiting: deque[Waiter] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._retired = False
        self.deadline = inf
        """When the next idle connection may have outlived its time (see `proxy.forward.ticker`)."""

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def busy(self) -> int:
        return len(self._busy)

    @property
    def opening(self) -> int:
        return len(self._opening)

    def take(self) -> UpstreamConnection | None:
        """An idle connection, now busy; None where there is none."""
        now = self._loop.time()
        while self._idle:
            connection = self._idle.pop()
            if outlived(connection.idle_since, now, self._keepalive):
                connection.close()
            elif connection.usable:
                self._busy.add(connection)
                return connection
        return None

    def wait(self, waiter: Waiter, *, fresh: bool = False) -> None:
        """Queue for a connection. With `fresh`, make room for a new one where only old ones are left."""
        self._waiting.append(waiter)
        if fresh and self._idle and len(self._idle) + len(self._busy) + len(self._opening) >= self._limit:
            self._idle.pop(0).close()
        self._open_what_is_missing()

    def stop_waiting(self, waiter: Waiter) -> None:
        """The request has gone, or its time to wait is over."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)

    def release(self, connection: UpstreamConnection) -> None:
        """A busy connection has finished a response cleanly and may serve again."""
        if connection not in self._busy:
            return
        if not connection.usable:
            connection.close()
        elif self._waiting:
            self._waiting.popleft().connected(connection)
        elif self._retired:
            connection.close()
        else:
            self._busy.discard(connection)
            connection.idle_since = self._loop.time()
            self._idle.append(connection)
            if self.deadline == inf:
                self.deadline = connection.idle_since + self._keepalive
                self._ticker.watch(self)

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection has closed, whoever closed it."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._open_what_is_missing()

    def retire(self) -> None:
        """Serve what is under way and nobody new: idle connections close now, busy ones when they are done."""
        self._retired = True
        self._ticker.forget(self)
        for connection in [*self._idle]:
            connection.close()

    def on_deadline(self) -> None:
        """Drop the idle connections that have outlived their time, and note when to look again."""
        now = self._loop.time()
        for connection in [idle for idle in self._idle if outlived(idle.idle_since, now, self._keepalive)]:
            connection.close()
        oldest = min((connection.idle_since for connection in self._idle if connection.usable), default=None)
        if oldest is None:
            self.deadline = inf
            self._ticker.forget(self)
        else:
            self.deadline = oldest + self._keepalive

    def _open_what_is_missing(self) -> None:
        open_now = len(self._idle) + len(self._busy)
        for _ in range(connections_to_open(len(self._waiting), len(self._opening), open_now, self._limit)):
            task = spawn(self._open(), name="open an upstream connection")
            self._opening.add(task)
            task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._open_what_is_missing()

    async def _open(self) -> None:
        try:
            connection = await self._connect(self)
            if not connection.usable:  # `lost` has been called for it already, and will not be again.
                raise Refusal("upstream_unreachable", "the upstream closed the connection as soon as it was made")
        except Refusal as refusal:
            self._stats.connects["failure"] += 1
            if self._waiting:
                self._waiting.popleft().not_connected(refusal)
            return
        self._stats.connects["success"] += 1
        self._busy.add(connection)
        self.release(connection)
