"""The connections to one upstream: which request gets which, and when one is opened or dropped.

The decisions are pure functions (`connections_to_open`, `outlived`); the pool carries them out. Connections
are used last in, first out, so that a burst's extra ones grow old and are dropped. A connection is opened
for the pool and not for the request that found none: it serves whoever has waited longest, and when that
request has gone or was served by another, it stays for the next.

When all are busy and somebody waits, a request whose caller alone has kept its connection waiting gives it up: a
hundred callers that send or read a byte now and then must not shut everybody else out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from heapq import nsmallest
from math import inf
from typing import Final, Protocol

from proxy.errors import Refusal
from proxy.forward.connection import Owner, UpstreamConnection
from proxy.forward.queue import Line, Queue
from proxy.forward.ticker import Ticker
from proxy.stats import UpstreamStats
from proxy.tasks import spawn

_LEAST_PATIENCE: Final = 0.2
"""Seconds. Who reads or sends well may still be busy with something else for so long."""
_LOOK_SECONDS: Final = 0.02
"""To look through all busy connections takes its time, which must not be spent anew for each request that waits."""
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


def patience_left(usual: float, waiting: int, limit: int, longest: float) -> float:
    """For how long a connection may stand still while others wait: `usual`, as long as those do not wait long.

    `longest` is how long one of them has waited, and each waits twice the usual patience at most. Where that is at
    risk, it becomes so short that all who wait can have one of the `limit` connections in time, one after the other.
    """
    if longest < usual / 2:
        return usual
    return max(min(usual, _LEAST_PATIENCE), usual * min(1.0, limit / (2 * waiting)))


def to_reclaim(
    busy: Iterable[UpstreamConnection], now: float, patience: float, wanted: int
) -> list[UpstreamConnection]:
    """Of the busy connections those that are to be given up: at most `wanted`, who has stood still longest first."""
    stalled = [connection for connection in busy if now - connection.stalled_since >= patience]
    return nsmallest(wanted, stalled, key=lambda connection: connection.stalled_since)


class Pool:
    """The connections to one upstream."""

    def __init__(
        self,
        connect: Connect,
        *,
        limit: int,
        keepalive: float,
        patience: float,
        stats: UpstreamStats,
        loop: asyncio.AbstractEventLoop,
        ticker: Ticker,
    ) -> None:
        self._connect = connect
        self._limit = limit
        self._keepalive = keepalive
        self._patience = patience
        self._stats = stats
        self._loop = loop
        self._ticker = ticker
        self._idle: list[UpstreamConnection] = []
        self._busy: set[UpstreamConnection] = set()
        self._waiting: Queue[Waiter] = Queue()
        self._opening: set[asyncio.Task[None]] = set()
        self._looked_at = -inf
        """When those that stand still were last looked for."""
        self._retired = False
        self.deadline = inf
        """When the next idle connection may have outlived its time, or a busy one may have to be given up
        (see `proxy.forward.ticker`)."""

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def busy(self) -> int:
        return len(self._busy)

    @property
    def opening(self) -> int:
        return len(self._opening)

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return len(self._waiting)

    @property
    def cannot_connect(self) -> bool:
        """What those who wait are waiting for is a connection that is being made, and not one that others have."""
        return self.opening > 0 and (self.opening >= self.waiting or self.opening > self.busy)

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

    def wait(self, waiter: Waiter, line: Line) -> None:
        """Queue for a connection."""
        now = self._loop.time()
        self._waiting.put(waiter, line, now)
        self._provide()
        self.deadline = now
        self._ticker.watch(self)

    def displace(self, line: Line) -> bool:
        """Turn somebody away for a request that would wait in `line`; whether there was anybody to turn away."""
        other = self._waiting.displace(line)
        if other is not None:
            why = "too many requests wait for a connection to the upstream, and others came before this one"
            other.not_connected(Refusal("overloaded", why, retry_after=1))
        return other is not None

    def stop_waiting(self, waiter: Waiter) -> None:
        """The request has gone, or its time to wait is over."""
        self._waiting.remove(waiter)

    def release(self, connection: UpstreamConnection, *, new: bool = False) -> None:
        """A busy connection has finished a response cleanly and may serve again, or is a new one."""
        if connection not in self._busy:
            return
        if not connection.usable:
            connection.close()
        elif self._waiting and (waiter := self._waiting.take(new=new)):
            waiter.connected(connection)
        elif self._retired:
            connection.close()
        else:
            self._busy.discard(connection)
            connection.idle_since = self._loop.time()
            self._idle.append(connection)
            if self._waiting:
                self._provide()
            if self.deadline == inf:
                self.deadline = connection.idle_since + self._keepalive
                self._ticker.watch(self)

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection has closed, whoever closed it."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._provide()

    def retire(self) -> None:
        """Serve what is under way and nobody new: idle connections close now, busy ones when they are done."""
        self._retired = True
        for connection in [*self._idle]:
            connection.close()

    def on_deadline(self) -> None:
        """Drop the idle connections that have outlived their time, give up what stands still, look again later."""
        now = self._loop.time()
        for connection in [idle for idle in self._idle if outlived(idle.idle_since, now, self._keepalive)]:
            connection.close()
        self._provide()
        self._look_again()

    def _look_again(self) -> None:
        """Note when something may have to be done that nothing else will be the occasion for."""
        oldest = min((connection.idle_since for connection in self._idle if connection.usable), default=inf)
        # While somebody waits, at each tick: any moment may be the one at which a busy connection has stood too long.
        self.deadline = self._loop.time() if self._waiting else oldest + self._keepalive
        if self.deadline == inf:
            self._ticker.forget(self)
        else:
            self._ticker.watch(self)

    def _provide(self) -> None:
        """Open connections for those who wait; where there is no room, have others given up whose callers are slow."""
        waiting = len(self._waiting)
        # For who needs a new one the oldest makes room.
        while self._idle and self._to_open + len(self._opening) < self._waiting.wanting_new:
            self._idle.pop(0).close()
        for _ in range(self._to_open):
            task = spawn(self._open(), name="open an upstream connection")
            self._opening.add(task)
            task.add_done_callback(self._opened)
        if waiting > len(self._opening):  # In a rush that is still being opened for, nobody is looked for.
            self._reclaim(waiting)

    @property
    def _to_open(self) -> int:
        open_now = len(self._idle) + len(self._busy)
        return connections_to_open(len(self._waiting), len(self._opening), open_now, self._limit)

    def _reclaim(self, waiting: int) -> None:
        """Have connections given up that stand still, for those who wait and for whom none is being opened."""
        now = self._loop.time()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        patience = patience_left(self._patience, waiting, self._limit, now - self._waiting.since)
        wanted = waiting - len(self._opening) - sum(connection.closed for connection in self._busy)
        for connection in to_reclaim(self._busy, now, patience, max(0, wanted)):
            connection.give_up()

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._provide()

    async def _open(self) -> None:
        try:
            connection = await self._connect(self)
            if not connection.usable:  # `lost` has been called for it already, and will not be again.
                raise Refusal("upstream_unreachable", "the upstream closed the connection as soon as it was made")
        except Refusal as refusal:
            self._stats.connects["failure"] += 1
            if waiter := self._waiting.take(new=True):
                waiter.not_connected(refusal)
            return
        self._stats.connects["success"] += 1
        self._busy.add(connection)
        self.release(connection, new=True)
