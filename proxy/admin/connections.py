"""The admin listener's connections: none is held for longer than it is of use, and they cannot use up the process.

aiohttp drops a keep-alive connection that is idle, but it lets one stand whose peer sends half a request or does
not read its answer. Descriptors are shared with the way of the requests, so here every connection has a deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from proxy.clock import Cancellable, Clock

LIFE = 75.0
"""Seconds from a connection's beginning, or from its last whole request head, to its end, whatever it is doing.
Answers are ready at once, and scrapers come every 60 s or more often."""

MOST = 128
"""Connections at one time. One more ends the one that was silent longest, so that a probe always gets through."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connections(web.Server):
    """aiohttp's low-level server, with a deadline on each connection and a limit to their number."""

    def __init__(self, handler: Handler, clock: Clock, **options: Any) -> None:
        super().__init__(self._counted, keepalive_timeout=LIFE, lingering_time=1.0, **options)
        self._inner = handler
        self._clock = clock
        self._deadlines: dict[web.RequestHandler, Cancellable] = {}
        """In the order of last use: the oldest first."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._extend(handler)
        if len(self._deadlines) > MOST:
            self._abort(next(iter(self._deadlines)))

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        if deadline := self._deadlines.pop(handler, None):
            deadline.cancel()

    async def _counted(self, request: web.BaseRequest) -> web.StreamResponse:
        self._extend(request.protocol)
        return await self._inner(request)

    def _extend(self, handler: web.RequestHandler) -> None:
        if deadline := self._deadlines.pop(handler, None):
            deadline.cancel()
        self._deadlines[handler] = self._clock.call_later(LIFE, lambda: self._abort(handler))

    def _abort(self, handler: web.RequestHandler) -> None:
        """Without waiting for what is still to be sent: the peer had its time to read."""
        if deadline := self._deadlines.pop(handler, None):
            deadline.cancel()
        transport = handler.transport
        if transport is not None:
            transport.abort()
