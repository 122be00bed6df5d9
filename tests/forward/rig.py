"""A sidecar's listener on loopback between a scripted caller and a scripted upstream.

Both ends speak bytes and are driven by the test line by line, so that a test reads as the order of events on the
two wires. Nothing here knows HTTP beyond where a head ends, nothing sleeps, and a rig that is left checks that
nothing of it stayed behind: no request under way, no busy connection, no error that only the event loop saw.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from proxy.config.model import Address, Auth, Limits, RequireHeader, Tls, Url, Value
from proxy.config.model import Upstream as Settings
from proxy.errors import StartError
from proxy.forward.caller import CallerConnection
from proxy.forward.guard import make_guard
from proxy.forward.listener import Listener
from proxy.forward.routes import Routes
from proxy.forward.ticker import Ticker
from proxy.forward.upstream import Upstream
from proxy.stats import UpstreamStats
from proxy.tokens.interface import AccessToken, Recovery

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds after which what a test waits for will not come. Never reached in a good run."""

ONE_MIB = 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nX-From: upstream\r\nContent-Length: 4\r\n\r\nnope"
WEBSOCKET_KEY = (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    + b"\r\n".join(WEBSOCKET_KEY)
    + b"\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)


async def within(work: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await work


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for is the sidecar's inner state, which tells nobody
            await asyncio.sleep(0)


class Wire:
    """One end of a connection that a test holds: it sends bytes and reads what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def unsent(self) -> int:
        """Bytes that wait here because the other side, and the system between, take no more."""
        return self._writer.transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        """Write, unless the connection has ended in the meantime."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def send_bytewise(self, data: bytes) -> None:
        """Send one byte at a time; the loop turns in between, so that each is read before the next is there."""
        for at in range(len(data)):
            self.send(data[at : at + 1])
            for _ in range(4):
                await asyncio.sleep(0)

    async def head(self) -> bytes:
        """Read up to and with the next empty line."""
        return await self.until(b"\r\n\r\n")

    async def until(self, mark: bytes) -> bytes:
        return await within(self._reader.readuntil(mark))

    async def take(self, count: int) -> bytes:
        return await within(self._reader.readexactly(count))

    async def message(self) -> bytes:
        """Read a head and the body that its Content-Length announces."""
        head = await self.head()
        lengths = [line[16:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")]
        return head + await self.take(int(lengths[0]) if lengths else 0)

    async def rest(self) -> bytes:
        """Read to the end of the connection. Raises ConnectionResetError where it ends with a reset."""
        return await within(self._reader.read())

    async def gone(self) -> None:
        """Wait for the other side to close, in whichever way."""
        with suppress(ConnectionError):
            await self.rest()

    def end(self) -> None:
        """Close this half; the other may still send."""
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Go away without a good-bye."""
        raw = self._writer.get_extra_info("socket")
        if self._writer.is_closing() or raw is None:
            return
        with suppress(OSError):  # The other side may have been first.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def closed(self) -> None:
        self._writer.transport.abort()
        with suppress(OSError):
            await within(self._writer.wait_closed())


class Origin:
    """The upstream: accepts connections and leaves it to the test what is said on them."""

    def __init__(self) -> None:
        self._server: asyncio.Server
        self._came: asyncio.Queue[Wire] = asyncio.Queue()
        self.wires: list[Wire] = []
        self.port = 0

    async def start(self, tls: ssl.SSLContext | None, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, ssl=tls, limit=ONE_MIB)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self.wires.append(wire)
        self._came.put_nowait(wire)

    async def accept(self) -> Wire:
        """The next connection that the sidecar makes."""
        return await within(self._came.get())

    async def serve(self, answer: bytes = OK) -> Wire:
        """Accept a connection, read a head without a body from it, answer; what is sent next is the test's."""
        wire = await self.accept()
        await wire.head()
        wire.send(answer)
        return wire

    def stop_accepting(self) -> None:
        self._server.close()

    async def close(self) -> None:
        self._server.close()
        for wire in self.wires:
            await wire.closed()


class Tokens:
    """A token provider that does what the test says."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.token: AccessToken | None = AccessToken("tok.1", 1)
        self.coming: asyncio.Future[AccessToken] = loop.create_future()
        """What a request that waits for a token gets."""
        self.recovery: asyncio.Future[Recovery] = loop.create_future()
        """What a request that was answered 401 gets."""
        self.waits: list[float] = []
        self.refusals: list[int] = []
        self.accepts: list[int] = []
        self.cancelled = 0

    def recovers(self, outcome: str = "renewed", text: str = "tok.2", number: int = 2) -> None:
        """Decide what becomes of refused tokens."""
        token = AccessToken(text, number, proven=False) if outcome == "renewed" else None
        self.recovery.set_result(Recovery(outcome, token))  # type: ignore[arg-type]

    def current(self) -> AccessToken | None:
        return self.token

    async def wait(self, seconds: float) -> AccessToken:
        self.waits.append(seconds)
        return await self._given(self.coming)

    async def refused(self, number: int, seconds: float) -> Recovery:
        self.refusals.append(number)
        recovery = await self._given(self.recovery)
        self.token = recovery.token or self.token
        return recovery

    def accepted(self, token: AccessToken) -> None:
        token.proven = True
        self.accepts.append(token.number)

    async def _given(self, future: asyncio.Future[T]) -> T:
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Rig:
    """All of it."""

    def __init__(self, origin: Origin, tokens: Tokens, upstream: Upstream, listener: Listener, ticker: Ticker) -> None:
        self.origin = origin
        self.tokens = tokens
        self.upstream = upstream
        self.listener = listener
        self.ticker = ticker
        self.stats = upstream.stats
        self.pool = upstream.pool
        self._callers: list[Wire] = []

    async def call(self, data: bytes = b"") -> Wire:
        """Connect as a caller, and send."""
        address = self.listener.address
        if address.unix:
            wire = Wire(*await asyncio.open_unix_connection(address.unix, limit=ONE_MIB))
        else:
            wire = Wire(*await asyncio.open_connection(address.host, address.port, limit=ONE_MIB))
        self._callers.append(wire)
        if data:
            wire.send(data)
        return wire

    async def exchange(self, data: bytes = GET) -> tuple[Wire, Wire, bytes]:
        """Send a request without a body: the caller, the upstream's new connection and the head that came there."""
        caller = await self.call(data)
        peer = await self.origin.accept()
        return caller, peer, await peer.head()

    async def tunnel(self, early: bytes = b"", late: bytes = b"") -> tuple[Wire, Wire]:
        """A WebSocket; `early` was sent by the caller with its request, `late` by the upstream with its 101."""
        caller, peer, _ = await self.exchange(HANDSHAKE + early)
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        peer.send(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" + late)
        assert await caller.head() == SWITCHED
        return caller, peer

    def forwarded(self, line: bytes, *fields: bytes, token: str = "tok.1") -> bytes:
        """What the upstream reads for a request: its first line, the fields, and what the sidecar adds."""
        host = b"Host: " + self.upstream.settings.url.authority.encode()
        own = (b"Via: 1.1 cognito-sidecar", b"Authorization: Bearer " + token.encode(), b"", b"")
        return b"\r\n".join((line + b" HTTP/1.1", host, *fields, *own))

    def connections(self) -> list[CallerConnection]:
        """The sidecar's side of the callers' connections."""
        return self.listener._all()

    async def settled(self) -> None:
        """Wait until no request is under way and no upstream connection is at work."""
        await until(lambda: not self.stats.in_flight and not self.pool.busy and not self.pool.opening)

    async def leave(self) -> None:
        """All callers go away, so that nobody can take it for the end of one half."""
        for wire in self._callers:
            wire.reset()
            await wire.closed()


class Refused(NamedTuple):
    """An answer that the sidecar gave itself."""

    status: int
    name: str
    detail: str
    fields: dict[str, str]


def refused(raw: bytes) -> Refused:
    """Read one, and check the form that all of them have."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    fields = dict(field.split(": ", 1) for field in rest)
    assert fields["Content-Type"] == "application/problem+json", raw
    assert fields["Content-Length"] == str(len(body))
    document = json.loads(body)
    status, name = int(line.split(" ")[1]), fields["X-Sidecar-Error"]
    assert (document["status"], document["type"]) == (status, f"urn:cognito-sidecar:error:{name}")
    return Refused(status, name, document["detail"], fields)


LOCAL = Address("127.0.0.1", 0)


@asynccontextmanager
async def sidecar(
    *,
    listen: Address = LOCAL,
    tls: ssl.SSLContext | None = None,
    url: Url | None = None,
    key: RequireHeader | None = None,
    allow_browsers: bool = False,
    base: str = "",
    tls_settings: Tls | None = None,
    limits: Limits | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Start everything. `settings` are an upstream's, as the configuration has them; `tls` makes the upstream https."""
    loop = asyncio.get_running_loop()
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    origin, tokens, ticker = Origin(), Tokens(), Ticker(loop, 0.01)
    await origin.start(tls)
    token_url = Url("http", "127.0.0.1", 9, "/oauth2/token")
    auth = Auth(token_url=token_url, client_id=Value("id"), client_secret=(Value("secret"),))
    where = url or Url("https" if tls else "http", "127.0.0.1", origin.port, base)
    upstream = Upstream(
        "orders",
        Settings(**{"listen": listen, "url": where, "auth": auth, "tls": tls_settings or Tls(), **settings}),
        provider=tokens,
        stats=UpstreamStats(),
        key_name=key.name.lower().encode() if key else b"",
        loop=loop,
        ticker=ticker,
        limits=limits or Limits(),
    )
    listener = Listener(
        listen,
        guard=make_guard(listen, allow_browsers, key),
        routes=Routes([upstream]),
        limits=limits or Limits(),
        access=False,
        loop=loop,
        exchanges=ticker,
        connections=ticker,
        nobody=UpstreamStats(),
    )
    try:
        await listener.start()
    except StartError:
        await origin.close()
        raise
    rig = Rig(origin, tokens, upstream, listener, ticker)
    try:
        yield rig
        await rig.leave()
        await rig.settled()
    finally:
        await rig.leave()
        await listener.close()
        upstream.pool.retire()
        await origin.close()
        await until(lambda: not rig.connections() and not rig.pool.idle)
        ticker.close()
    assert rig.listener.nobody.in_flight == 0
    assert unheard == []
