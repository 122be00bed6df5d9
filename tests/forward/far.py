"""The two ends of a TLS connection on loopback: ours as the program makes it, the server's moved by hand."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from proxy.config.model import Tls
from proxy.forward.secure import TlsSessions, TlsTransport
from proxy.tls import client_context
from tests.certificates import Authority
from tests.forward.rig import until

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def trusting(authority: Authority) -> ssl.SSLContext:
    return client_context(Tls(ca_file=authority.ca_file), replace_trust=True)


def make_server(authority: Authority, version: ssl.TLSVersion = TLS13) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*authority.issue("api.test"))
    return context


def reset(raw: socket.socket) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raw.close()


class Above(asyncio.Protocol):
    """The protocol above: keeps what it is told."""

    def __init__(self) -> None:
        self.transport: TlsTransport | None = None
        self.pieces: list[bytes] = []
        self.events: list[str] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.on_data: Callable[[bytes], object] = lambda _: None

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    async def more_than(self, count: int) -> None:
        await until(lambda: len(self.pieces) > count)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsTransport)
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.on_data(data)

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, error: Exception | None) -> None:
        self.events.append("lost")
        self.lost.set_result(error)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


class Far:
    """The server's end, by hand: a blocking-free socket below, an SSL object in memory above."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        self.raw = raw
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def handshake(self, *, hold_tickets: bool = False) -> None:
        """Up to its end. The tickets of TLS 1.3 are sent along, or held back for `sealed`."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self.flush()
                await self.fill()
        if not hold_tickets:
            await self.flush()

    async def fill(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.raw, 65536)
        if not data:
            raise ConnectionResetError
        self._in.write(data)

    def sealed(self, *pieces: bytes) -> bytes:
        """What waits to be sent, and then each piece as a record of its own."""
        for piece in pieces:
            self.tls.write(piece)
        return self._out.read()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.raw, data)

    async def flush(self) -> None:
        await self.send(self._out.read())

    async def read(self, count: int) -> bytes:
        parts = b""
        while len(parts) < count:
            try:
                data = self.tls.read(count - len(parts))
                if not data:
                    break
                parts += data
            except ssl.SSLWantReadError:
                await self.fill()
        return parts

    async def handshake_and_read(self) -> bytes:
        """In TLS 1.3 what the client thinks of the handshake comes after it."""
        await self.handshake()
        return await self.read(1)

    async def goodbye(self) -> bytes:
        """close_notify, sealed."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()


@asynccontextmanager
async def connecting(
    client: ssl.SSLContext,
    server: ssl.SSLContext,
    *,
    name: str = "api.test",
    sessions: TlsSessions | None = None,
) -> AsyncIterator[tuple[TlsTransport, Above, Far]]:
    """A TCP connection over which nothing has been said by the server yet."""
    loop = asyncio.get_running_loop()
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        above = Above()
        secure = TlsTransport(above, client, name, sessions or TlsSessions())
        made = asyncio.ensure_future(loop.create_connection(lambda: secure, *listening.getsockname()))
        raw, _ = await loop.sock_accept(listening)
        raw.setblocking(False)
        await made
        try:
            async with asyncio.timeout(20):
                yield secure, above, Far(raw, server)
        finally:
            secure.abort()
            await until(lambda: secure._below is None)
            raw.close()
    del made
    gc.collect()
    assert unheard == []


@asynccontextmanager
async def connected(
    authority: Authority, version: ssl.TLSVersion = TLS13, **more: Any
) -> AsyncIterator[tuple[TlsTransport, Above, Far]]:
    client = more.pop("client", None) or trusting(authority)
    server = more.pop("server", None) or make_server(authority, version)
    async with connecting(client, server, **more) as (secure, above, far):
        await far.handshake(hold_tickets=version is TLS13)
        await secure.ready
        secure.data_received(far.sealed())  # Now, so that nothing is on its way when a test begins.
        yield secure, above, far
