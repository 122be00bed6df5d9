"""Connections without sockets: both sides of the sidecar's way of a request, with the real pool between them.

Everything of `proxy.forward` is the real thing on asyncio's own loop; only transports are made here, and they keep what
is written to them. Nothing sleeps: the loop turns until nothing more happens by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from proxy.config.model import Address, Limits
from proxy.forward.caller import CallerConnection
from proxy.forward.connection import Owner, UpstreamConnection
from proxy.forward.guard import make_guard
from proxy.forward.listener import Listener
from proxy.forward.pool import Pool
from proxy.forward.routes import Routes
from proxy.forward.ticker import Ticker
from proxy.forward.upstream import Upstream
from proxy.stats import UpstreamStats
from proxy.tokens.interface import AccessToken, Recovery
from tests.forward.make import settings

T = TypeVar("T")

_AFTER: Final = 4
"""Turns of the loop in which whatever an event set going, such as the renewal of a token, comes to its end."""
_MOST_TURNS: Final = 10_000
"""Of the loop, for one input. One that takes more never comes to rest."""


class Wire(asyncio.Transport):
    """One end that the sidecar holds."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.written = bytearray()
        self.reading = True
        self.over = False
        """Nothing passes any more, in either direction."""
        self.ending = False
        """The protocol has not been told yet."""
        self.aborted = False
        self.ended = False
        """The other end has closed its half."""

    def write(self, data: Any) -> None:
        if not self.over:
            self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.over

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """What the other end would see; nothing here depends on it."""

    def close(self) -> None:
        if not self.over:
            self.over = self.ending = True
            asyncio.get_running_loop().call_soon(self._lost)

    def abort(self) -> None:
        self.aborted = self.aborted or not self.over
        self.close()

    def _lost(self) -> None:
        self.ending = False
        self._protocol.connection_lost(None)

    # What the other end does.

    def deliver(self, data: bytes) -> None:
        if not self.over:
            self._protocol.data_received(data)

    def end(self) -> None:
        """The other end closes its half."""
        self.ended = True
        if not self.over and not self._protocol.eof_received():
            self.close()


class Tokens:
    """A token that is always there, and is replaced when it is refused."""

    def __init__(self) -> None:
        self._token = AccessToken("tok.1", 1)

    def current(self) -> AccessToken:
        return self._token

    async def wait(self, seconds: float) -> AccessToken:
        return self._token

    async def refused(self, number: int, seconds: float) -> Recovery:
        if number == self._token.number:
            self._token = AccessToken(f"tok.{number + 1}", number + 1, proven=False)
        return Recovery("renewed", self._token)

    def accepted(self, token: AccessToken) -> None:
        token.proven = True


class World:
    """A listener, one caller on it, and the connections that it makes to its upstream."""

    def __init__(self, **changes: Any) -> None:
        loop = asyncio.get_running_loop()
        self.ticker = Ticker(loop, 60.0)
        self.stats = UpstreamStats()
        self.wires: list[Wire] = []
        """To the upstream, in the order in which they were made."""
        self.pool = Pool(
            self._connect,
            limit=2,
            keepalive=50.0,
            patience=50.0,
            stats=self.stats,
            loop=loop,
            ticker=self.ticker,
        )
        upstream = Upstream(
            "orders",
            settings(**changes),
            provider=Tokens(),
            stats=self.stats,
            key_name=b"",
            loop=loop,
            ticker=self.ticker,
            pool=self.pool,
        )
        address = Address("127.0.0.1", 8080)
        listener = Listener(
            address,
            guard=make_guard(address, allow_browsers=False, key=None),
            routes=Routes([upstream]),
            limits=Limits(),
            access=False,
            loop=loop,
            exchanges=self.ticker,
            connections=self.ticker,
            nobody=UpstreamStats(),
        )
        connection = CallerConnection(listener)
        self.caller = Wire(connection)
        connection.connection_made(self.caller)

    async def _connect(self, owner: Owner) -> UpstreamConnection:
        connection = UpstreamConnection(owner)
        wire = Wire(connection)
        connection.connection_made(wire)
        self.wires.append(wire)
        return connection

    async def settle(self, serve: Callable[[], bool]) -> None:
        """Let the loop turn until nobody has anything to do; `serve` is the upstream: it says whether it did something.

        Raises AssertionError for what never comes to rest.
        """
        left = 0
        for _ in range(_MOST_TURNS):
            if serve() or self._restless():
                left = _AFTER
            elif not left:
                return
            left -= 1
            await asyncio.sleep(0)
        raise AssertionError("it does not come to rest")

    def _restless(self) -> bool:
        return self.pool.opening > 0 or self.caller.ending or any(wire.ending for wire in self.wires)

    async def leave(self) -> None:
        """The caller goes away. Whatever is left then is a leak. Raises AssertionError for that."""
        self.caller.abort()
        self.pool.retire()
        await self.settle(lambda: False)
        self.ticker.close()
        assert (self.pool.busy, self.pool.idle, self.stats.in_flight) == (0, 0, 0), "something stayed behind"
        assert all(wire.over for wire in self.wires), "a connection to the upstream stayed open"


_runner: asyncio.Runner | None = None


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop that is kept for the next one; an error that only the loop saw is raised here."""
    global _runner  # noqa: PLW0603 - a loop for each input would cost more than most inputs
    if _runner is None:
        _runner = asyncio.Runner()
    unheard: list[dict[str, Any]] = []
    _runner.get_loop().set_exception_handler(lambda _, context: unheard.append(context))
    result = _runner.run(scenario)
    assert unheard == [], unheard
    return result
