"""One listen address: aiohttp's runner and sites start and stop it, each connection speaks `proxy.forward.caller`.

aiohttp binds, accepts and closes (TCP and unix sockets alike); its own request handler is not used, because
the rules need what it hides: the bytes of a head, when a 100 is said, how an answer is cut. A reload swaps
`routes` and `guard` between two requests; what is under way goes on as it began.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from heapq import nsmallest
from typing import Final

from aiohttp import web

from proxy.binding import Binding, bind
from proxy.config.model import Address, Limits
from proxy.descriptors import SLACK
from proxy.errors import StartError
from proxy.forward.caller import CallerConnection
from proxy.forward.guard import Guard
from proxy.forward.memory import Memory
from proxy.forward.routes import Routes
from proxy.forward.ticker import Ticker
from proxy.socketfile import Access
from proxy.stats import UpstreamStats

_LOOK_SECONDS: Final = 0.1
_EXPECTED_SECONDS: Final = 0.25
"""Within this time after a caller has connected, or has begun a head, the rest of it is on its way. So many seconds are
enough for a caller that shares the processor with others, and too few to be noticed in the end of a process."""


class _Connections(web.Server):
    """What aiohttp's runner takes for a server: makes a protocol for each connection that is accepted."""

    def __init__(self, make: Callable[[], CallerConnection]) -> None:
        super().__init__(_never)
        self._make = make

    def __call__(self) -> CallerConnection:  # type: ignore[override]  # aiohttp types its own handler here
        return self._make()


async def _never(request: web.BaseRequest) -> web.StreamResponse:
    """aiohttp's handler, which no connection here ever calls."""
    raise web.HTTPNotImplemented


class Listener:
    """Accepts callers at one address."""

    def __init__(
        self,
        address: Address,
        *,
        guard: Guard,
        routes: Routes,
        limits: Limits,
        access: bool,
        loop: asyncio.AbstractEventLoop,
        exchanges: Ticker,
        connections: Ticker,
        nobody: UpstreamStats,
    ) -> None:
        self.address = address
        self.memory = Memory()
        self.configure(guard, routes, limits, access=access)
        self.loop = loop
        self.exchanges = exchanges
        """Watches the deadlines of requests."""
        self.nobody = nobody
        """Counts what belongs to no upstream."""
        # The steps of its end, in this order; none is taken back.
        self.closing = False
        """Each answer ends its connection, and says so in its head."""
        self.draining = False
        """No request is admitted any more."""
        self.leaving = False
        """Tunnels are told to end."""
        self._deadlines = connections
        self._open: dict[CallerConnection, None] = {}
        """In the order in which they came."""
        self._ending: set[CallerConnection] = set()
        """Those that were told to make room, until they have gone: nobody has to make room for them."""
        self._all_at_work_until = 0.0
        """Nobody was found who could make room, and so soon that is not tried again."""
        self._left = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self._binding: Binding

    def configure(self, guard: Guard, routes: Routes, limits: Limits, *, access: bool) -> None:
        """Serve by another configuration from the next request on."""
        self.guard = guard
        self.routes = routes
        self._most = limits.connections
        self.idle_seconds = float(limits.keepalive)
        """For a connection between two requests."""
        self.head_seconds = float(limits.head_time)
        """From a head's first byte to its last."""
        self.access = access
        """Write a line to the log for each request."""
        self.memory.forget()

    @property
    def connections(self) -> int:
        """How many connections of callers are open, busy and idle ones."""
        return len(self._open) + len(self._ending)

    @property
    def authority(self) -> bytes:
        """How to reach this listener, for callers that did not say how they did."""
        return b"localhost" if self.address.unix else str(self.address).encode()

    async def start(self) -> None:
        """Bind and accept. Raises StartError, one line that names the address."""
        runner = web.ServerRunner(_Connections(lambda: CallerConnection(self)), handle_signals=False)
        await runner.setup()
        try:
            self._binding = await bind(runner, self.address, f"upstreams.{self.routes.names[0]}.listen")
        except StartError:
            await runner.cleanup()
            raise
        self.address = replace(self.address, port=self._binding.port)
        self._runner = runner

    def permit(self, access: Access) -> None:
        """Change who may connect to its unix socket. Raises StartError, and then it is as before."""
        self._binding.permit(access, f"upstreams.{self.routes.names[0]}.listen")
        self.address = replace(self.address, access=access)

    def wind_down(self) -> None:
        """Go on serving, but end each connection with its next answer, so that callers go elsewhere."""
        self.closing = True

    async def stop_accepting(self) -> None:
        """Close the listening socket; connections stay. New requests on them are refused."""
        self.closing = self.draining = True
        self.memory.forget()  # Nothing is admitted any more.
        if self._runner is not None:
            await self._binding.stop()

    def send_away(self) -> None:
        """Tell tunnels to end, those too that a handshake under way will open."""
        self.leaving = True
        for connection in self._all():
            connection.leave()

    async def drained(self) -> None:
        """Return when no request is under way any more, nor on its way; then the idle connections are closed."""
        while any(connection.busy or self._expected(connection) for connection in self._all()):
            self._left.clear()
            with contextlib.suppress(TimeoutError):
                # Nobody says when the last bytes of an answer have been taken: that is looked for.
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._left.wait()
        for connection in self._all():
            connection.close_if_idle()

    def _expected(self, connection: CallerConnection) -> bool:
        """Its request may come any moment: whoever connected in time is to have an answer, if only a refusal."""
        return self.loop.time() - connection.expected_since < _EXPECTED_SECONDS

    def abort(self) -> int:
        """Cut what is still under way. Returns how many requests that were."""
        busy = sum(connection.busy for connection in self._all())
        for connection in self._all():
            connection.abort()
        return busy

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        await self.stop_accepting()
        self.abort()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _all(self) -> list[CallerConnection]:
        return [*self._open, *self._ending]

    # What its connections call.

    def joined(self, connection: CallerConnection) -> None:
        self._open[connection] = None
        self._deadlines.watch(connection)
        if len(self._open) > self._most:
            self._make_room(connection)

    def left(self, connection: CallerConnection) -> None:
        self._open.pop(connection, None)
        self._ending.discard(connection)
        self._deadlines.forget(connection)
        self.settled()

    def _make_room(self, newcomer: CallerConnection) -> None:
        """One more than there may be: end those that are of least use, or turn the new one away."""
        # To tell somebody why takes the connection for a while; beyond the slack there is none for that.
        crowd = self.connections > self._most * SLACK + 1
        full = f"this listener has the {self._most} connections that it may have, and all are at work"
        useless = self._of_least_use(newcomer)
        for connection in useless or [newcomer]:
            del self._open[connection]
            self._ending.add(connection)
            if crowd:
                connection.abort()
            elif useless:
                connection.make_room("the request head came slowly, and others needed this connection's place")
            else:
                connection.turn_away(full)

    def _of_least_use(self, newcomer: CallerConnection) -> list[CallerConnection]:
        """Connections to end for a new one; none where all are at work."""
        now = self.loop.time()
        if now < self._all_at_work_until:
            return []
        ranks = {connection: rank for connection in self._open if (rank := connection.rank) is not None}
        del ranks[newcomer]
        if not ranks:
            self._all_at_work_until = now + _LOOK_SECONDS
        # Some more than are needed now: to look for them costs time, and where one comes others will.
        return nsmallest(max(1, self._most // 100), ranks, key=ranks.__getitem__)

    def settled(self) -> None:
        """A request has ended."""
        if self.draining:
            self._left.set()
