"""An egress proxy on loopback that opens tunnels by CONNECT, or does to whoever asks what a test wants."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from proxy.config.model import Proxy, Value

PASSWORD = "pa:ss/word"
AUTHORIZATION = "Basic " + base64.b64encode(f"us er:{PASSWORD}".encode()).decode()
USER_INFO = "us%20er:pa:ss%2Fword"
"""The same as it is written in a URL."""
LEAKS = (PASSWORD, "pa:ss%2Fword", AUTHORIZATION.removeprefix("Basic "))
"""What must be found nowhere but in the proxy's own hands."""


class ConnectProxy:
    """`asked` has the head of each request; `answer`, where it is not None, goes out instead of a tunnel."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.answer: bytes | None = None
        self.hangs_up = True
        """After `answer`. Otherwise it says nothing more, until the other side goes away."""
        self.opened = b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n"
        self.routes: dict[str, int] = {}
        """Ports on loopback by what is asked for, as `host:port`: names that no machine knows can be reached."""
        self.port = 0
        self.gone = asyncio.Event()
        """A client has gone away."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def places(self) -> list[str]:
        """What was asked for, as `host:port`."""
        return [head.split(b" ")[1].decode() for head in self.asked]

    @property
    def url(self) -> str:
        return f"http://{USER_INFO}@127.0.0.1:{self.port}"

    def as_proxy(self, *, authorization: str | None = AUTHORIZATION, scheme: str = "http") -> Proxy:
        """The structure that leads here."""
        secret = None if authorization is None else Value(authorization)
        return Proxy(scheme, "127.0.0.1", self.port, secret)  # type: ignore[arg-type]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self.gone.set()
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        if self.answer is not None:
            writer.write(self.answer)
            if self.hangs_up:
                await writer.drain()
                writer.close()
            else:
                await reader.read()
            return
        place = self.places[-1]
        port = self.routes.get(place) or int(place.rpartition(":")[2])
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(self.opened)
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        finally:
            there_writer.transport.abort()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def connect_proxy(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[ConnectProxy]:
    proxy = ConnectProxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
