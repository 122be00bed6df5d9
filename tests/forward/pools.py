"""A pool by itself: connections that are made when a test says so, and requests that wait for them."""

from __future__ import annotations

import asyncio
from math import inf
from typing import cast

from proxy.errors import Refusal
from proxy.forward.connection import Owner, UpstreamConnection
from proxy.forward.pool import Pool
from proxy.forward.queue import Line
from proxy.forward.ticker import Ticker
from proxy.stats import UpstreamStats
from tests.forward.make import HandLoop

PATIENCE = 2.5
"""Seconds for which a busy connection may stand still while others wait."""


class Connection:
    """What a connection is to a pool. Its end shows when `gone` is called, as with a socket's."""

    def __init__(self, pool: Owner) -> None:
        self._pool = pool
        self.usable = True
        self.closed = False
        self.idle_since = 0.0
        self.stalled_since = inf
        self.given_up = False

    def give_up(self) -> None:
        self.given_up = True
        self.stalled_since = inf
        self.close()

    def close(self) -> None:
        self.closed, self.usable = True, False

    def gone(self) -> None:
        self.usable = False
        self._pool.lost(self.real)

    @property
    def real(self) -> UpstreamConnection:
        return cast(UpstreamConnection, self)


class Request:
    """Waits for a connection."""

    def __init__(self) -> None:
        self.given: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    def connected(self, connection: UpstreamConnection) -> None:
        self.given.set_result(cast(Connection, connection))

    def not_connected(self, refusal: Refusal) -> None:
        self.given.set_exception(refusal)


class House:
    """A pool, whose connections are made when a test says so."""

    def __init__(self, *, limit: int = 2, keepalive: float = 50) -> None:
        self.loop = HandLoop()
        self.stats = UpstreamStats()
        self.asked: asyncio.Queue[asyncio.Future[bool]] = asyncio.Queue()
        self.pool = Pool(
            self._connect,
            limit=limit,
            keepalive=keepalive,
            patience=PATIENCE,
            stats=self.stats,
            loop=self.loop.as_loop,
            ticker=Ticker(self.loop.as_loop, 1),
        )

    async def _connect(self, owner: Owner) -> UpstreamConnection:
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(answer)
        connection = Connection(owner)
        if not await answer:
            connection.gone()
        return connection.real

    async def accept(self, refusal: Refusal | None = None, *, stays: bool = True) -> None:
        """Let the connection that was asked for longest ago come about, or fail."""
        answer = await self.asked.get()
        if refusal is None:
            answer.set_result(stays)
        else:
            answer.set_exception(refusal)

    async def settle(self) -> None:
        """Wait until no connection is being opened, and the pool has heard of it."""
        while opening := [task for task in asyncio.all_tasks() if task.get_name() == "open an upstream connection"]:
            await asyncio.wait(opening)
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(heard.set_result, None)
        await heard

    def wait(self, line: Line = Line.WHOLE) -> Request:
        request = Request()
        self.pool.wait(request, line)
        return request

    async def get(self) -> Connection:
        """A new connection, busy."""
        request = self.wait()
        await self.accept()
        return await request.given

    def take(self) -> Connection | None:
        return cast(Connection | None, self.pool.take())

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.pool.idle, self.pool.busy, self.pool.opening


# The decisions.
