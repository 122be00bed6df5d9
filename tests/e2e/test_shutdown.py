"""What the end of a sidecar is to those who are connected: callers, WebSockets, streams, probes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.certificates import Authority
from tests.e2e.world import World, world
from tests.processes import PATIENCE, StartSidecar, run_command

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def chatter(connection: ServerConnection) -> None:
    """Never stops talking, in messages of all lengths, some in fragments."""
    number = 0
    while True:
        number += 1
        await connection.send(f"{number}:" + "x" * (number * 97 % 70_000))
        await connection.send([f"{number}", " in", " fragments"])
        await asyncio.sleep(0)  # What compresses well never has to wait.


class Upstream:
    """A WebSocket server that remembers how its connections ended."""

    def __init__(self, server: Server, closed: asyncio.Future[tuple[int | None, bool]], scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._closed = closed

    async def closed(self) -> tuple[int | None, bool]:
        """The code that the caller closed with, and whether the server was told so before the connection ended."""
        async with asyncio.timeout(PATIENCE):
            return await self._closed


@asynccontextmanager
async def upstream(handler: Handler, authority: Authority | None = None) -> AsyncIterator[Upstream]:
    closed: asyncio.Future[tuple[int | None, bool]] = asyncio.get_running_loop().create_future()

    async def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await handler(connection)
        await connection.wait_closed()
        told = connection.protocol.close_rcvd
        closed.set_result((connection.close_code, told is not None))

    tls = authority.server_context("127.0.0.1") if authority else None
    async with serve(handle, "127.0.0.1", 0, ssl=tls) as server:
        yield Upstream(server, closed, "https" if tls else "http")


@asynccontextmanager
async def websocket(
    start: StartSidecar, folder: Path, handler: Handler, authority: Authority | None = None, **options: Any
) -> AsyncIterator[tuple[World, Upstream, Any]]:
    async with upstream(handler, authority) as far:
        settings = {"url": far.url, **({"tls": {"ca_file": authority.ca_file}} if authority else {})}
        async with world(start, folder, upstream=settings) as w:
            address = w.sidecar.url("http").replace("http:", "ws:")
            async with connect(address + "/", proxy=None, **options) as near:
                yield w, far, near


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS to the upstream"])
async def test_a_websocket_hears_that_the_sidecar_goes_away(
    sidecar_process: StartSidecar, tmp_path: Path, tls: bool
) -> None:
    authority = Authority(tmp_path) if tls else None
    async with websocket(sidecar_process, tmp_path, echo, authority) as (w, far, near):
        await near.send("hello")
        assert await near.recv() == "hello"
        w.sidecar.send(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await near.wait_closed()
        assert (near.close_code, near.protocol.close_rcvd.code, near.protocol.close_sent.code) == (1001, 1001, 1001)
        assert await far.closed() == (1001, True)
        assert await w.sidecar.ended() == 0
        assert "requests_cut" not in w.sidecar.output


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_in_the_middle_of_messages_none_is_broken(
    sidecar_process: StartSidecar, tmp_path: Path, compression: str | None
) -> None:
    async with websocket(sidecar_process, tmp_path, chatter, compression=compression) as (w, far, near):
        number = 0
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    number += 1
                    message = await near.recv()
                    assert message == f"{number}:" + "x" * (number * 97 % 70_000)
                    assert await near.recv() == f"{number} in fragments"
                    if number == 20:
                        w.sidecar.send(signal.SIGTERM)
        except ConnectionClosed:
            assert number > 20
        assert near.close_code == 1001
        assert await far.closed() == (1001, True)
        assert await w.sidecar.ended() == 0
        assert "requests_cut" not in w.sidecar.output


class Stream:
    """An upstream that sends events when it is told to, and one caller of it."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while (event := await self.said.get()) is not None:
                writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def events(
    start: StartSidecar, folder: Path, grace: str
) -> AsyncIterator[tuple[World, Stream, asyncio.StreamReader]]:
    stream = Stream()
    async with await asyncio.start_server(stream.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        top = {"shutdown": {"grace": grace}}
        async with world(start, folder, upstream={"url": url}, top=top) as w:
            reader, writer = await call(w)
            await reader.readuntil(b"\r\n\r\n")
            stream.said.put_nowait(b"data: 1\n\n")
            assert await reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: 1\n\n\r\n"
            yield w, stream, reader
            stream.said.put_nowait(None)
            writer.close()


async def call(w: World, text: bytes = GET) -> tuple[Any, Any]:
    host, port = w.sidecar.url("http").removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(text)
    return reader, writer


async def test_a_stream_goes_on_within_grace_and_ends_whole(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with events(sidecar_process, tmp_path, "1h") as (w, stream, reader):
        w.sidecar.send(signal.SIGTERM)
        await w.sidecar.printed("draining")
        stream.said.put_nowait(b"data: 2\n\n")
        assert await reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: 2\n\n\r\n"
        stream.said.put_nowait(None)
        assert await reader.read() == b"0\r\n\r\n"
        assert await w.sidecar.ended() == 0
        assert "requests_cut" not in w.sidecar.output


@pytest.mark.parametrize("grace", ["0s", "300ms"])
async def test_a_stream_that_goes_on_beyond_grace_is_cut_visibly(
    sidecar_process: StartSidecar, tmp_path: Path, grace: str
) -> None:
    async with events(sidecar_process, tmp_path, grace) as (w, _, reader):
        w.sidecar.send(signal.SIGTERM)
        with suppress(ConnectionResetError):
            assert await reader.read() == b"", "no last chunk: nobody takes it for whole"
        assert await w.sidecar.ended() == 0
        assert "requests_cut" in w.sidecar.output


async def test_kept_connections_are_answered_to_the_last(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with events(sidecar_process, tmp_path, "1h") as (w, stream, reader):
        kept, writer = await call(w, b"GET /nowhere HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
        head = await kept.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 ")
        assert b"close" not in head
        await kept.readuntil(b"}\n")
        w.sidecar.send(signal.SIGTERM)
        await refuses(w)
        writer.write(GET)
        answer = await kept.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nX-Sidecar-Error: shutting_down\r\n" in answer
        assert b"\r\nConnection: close\r\n" in answer
        writer.close()
        stream.said.put_nowait(None)
        assert (await reader.read()).endswith(b"0\r\n\r\n")
        assert await w.sidecar.ended() == 0


async def refuses(w: World) -> None:
    """Wait until nobody new is accepted."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await call(w, b"")
                writer.close()
            except ConnectionRefusedError:
                return
            except ConnectionError:
                pass  # It stood in the queue of a listener that has just closed.


async def test_during_the_delay_it_serves_and_sends_callers_away(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    top = {"shutdown": {"delay": "1h"}}
    async with world(sidecar_process, tmp_path, top=top) as w:
        kept, writer = await call(w)
        assert b"\r\nConnection: close\r\n" not in await kept.readuntil(b"}")
        w.sidecar.send(signal.SIGTERM)
        await w.sidecar.printed("draining")
        writer.write(GET)
        for reader, its_writer in ((kept, writer), await call(w)):
            answer = await reader.read()
            its_writer.close()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nConnection: close\r\n" in answer

        # Who asks is told.
        admin = ("--admin", w.sidecar.admin.removeprefix("http://"))
        ready = await run_command("healthcheck", "--ready", *admin)
        assert (ready.code, b"draining: the sidecar is shutting down" in ready.stderr) == (1, True)
        waited = await run_command("wait", "--timeout", "0s", *admin)
        assert (waited.code, b"draining: the sidecar is shutting down" in waited.stderr) == (1, True)
        assert (await run_command("healthcheck", *admin)).code == 0, "it is alive, and must not be restarted"
        w.sidecar.send(signal.SIGTERM)
        assert await w.sidecar.ended() == 0


async def test_signals_that_are_none_of_its_business(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path) as w:
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH):
            w.sidecar.send(number)
        assert (await w.get())[0] == 200


async def test_a_storm_of_reloads_does_not_hold_up_the_end(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path) as w:
        for number in [signal.SIGHUP] * 20 + [signal.SIGTERM] + [signal.SIGHUP] * 20:
            w.sidecar.send(number)
        assert await w.sidecar.ended() == 0
        assert "drained" in w.sidecar.output
        assert "Traceback" not in w.sidecar.output
