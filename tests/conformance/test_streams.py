"""Large bodies through a real sidecar process, down and up, to the byte, and its memory does not notice.

The receiver does not read until everything between the two ends is full: what the sidecar would collect, it would
collect then. 128 MiB each, 1 GiB with FULL=1 in the environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.world import World, world
from tests.processes import StartSidecar

MIB = 1024 * 1024
SIZE = (1024 if os.environ.get("FULL") == "1" else 128) * MIB
MORE = 16 * MIB
"""By so much the sidecar's memory may grow."""
IN_FLIGHT = 48 * MIB
"""So much the system and both ends may hold between them at most; it is not the sidecar's."""
_BLOCK = random.Random(3).randbytes(2 * MIB)

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
    pytest.mark.timeout(900),
]


def _piece(number: int) -> bytes:
    """One MiB, different for each number."""
    return _BLOCK[number * 4099 % MIB :][:MIB]


def _digest() -> str:
    whole = hashlib.sha256()
    for number in range(SIZE // MIB):
        whole.update(_piece(number))
    return whole.hexdigest()


class _Sender:
    """Writes the whole content, as fast as the other side takes it."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
        for number in range(SIZE // MIB):
            writer.write(b"%x\r\n%b\r\n" % (MIB, _piece(number)) if chunked else _piece(number))
            await writer.drain()
            self.sent += MIB
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _received(reader: asyncio.StreamReader, *, chunked: bool) -> str:
    """The digest of the content that comes."""
    whole, left = hashlib.sha256(), SIZE
    while left or chunked:
        size = int(await reader.readuntil(b"\r\n"), 16) if chunked else min(left, MIB // 4)
        piece = await reader.readexactly(size)
        whole.update(piece)
        left -= len(piece)
        if chunked:
            assert await reader.readexactly(2) == b"\r\n"
            if not size:
                break
    assert left == 0
    return whole.hexdigest()


def _peak(pid: int) -> int:
    """The most resident memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


async def _until_full(world: World, moved: Callable[[], int]) -> None:
    """Wait until nothing moves any more, by questions to the sidecar, each a turn for it too."""
    seen, still = -1, 0
    while still < 25:
        assert (await world.page("/livez"))[0] == 200
        still = still + 1 if moved() == seen else 0
        seen = moved()


class _Upstream:
    """Speaks to one request at a time; `hold` keeps it from reading a body."""

    def __init__(self) -> None:
        self.sender = _Sender()
        self.may_read = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunked = b"/chunked " in head
        if head.startswith(b"POST "):
            await self.may_read.wait()
            digest = (await _received(reader, chunked=chunked)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + digest)
        elif b"/warm " in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + bytes(65536))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n" + _framing(chunked))
            await self.sender.send(writer, chunked=chunked)


def _framing(chunked: bool) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % SIZE


Stream = Callable[[World, _Upstream, asyncio.StreamReader, asyncio.StreamWriter, bool], Awaitable[None]]


async def _down(
    world: World, up: _Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunked: bool
) -> None:
    path = b"/chunked" if chunked else b"/plain"
    writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 OK\r\n" in await reader.readuntil(b"\r\n\r\n")
    await _until_full(world, lambda: up.sender.sent)
    assert up.sender.sent < IN_FLIGHT
    assert await _received(reader, chunked=chunked) == _digest()


async def _up(
    world: World, up: _Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunked: bool
) -> None:
    path, sender = b"/chunked" if chunked else b"/plain", _Sender()
    writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + _framing(chunked))
    sending = asyncio.ensure_future(sender.send(writer, chunked=chunked))
    await _until_full(world, lambda: sender.sent)
    assert sender.sent < IN_FLIGHT
    up.may_read.set()
    await sending
    assert b" 200 OK\r\n" in await reader.readuntil(b"\r\n\r\n")
    assert (await reader.readexactly(64)).decode() == _digest()


@asynccontextmanager
async def _upstream(tls: Authority | None) -> AsyncIterator[tuple[_Upstream, str]]:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls.issue("127.0.0.1"))
    upstream = _Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=context, limit=MIB // 4)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield upstream, f"{'https' if tls else 'http'}://127.0.0.1:{port}"


@pytest.mark.parametrize("stream", [_down, _up])
@pytest.mark.parametrize(("over_tls", "chunked"), [(False, True), (True, False)])
async def test_a_stream_is_whole_and_leaves_no_trace_in_memory(
    sidecar_process: StartSidecar, tmp_path: Path, stream: Stream, over_tls: bool, chunked: bool
) -> None:
    authority = Authority(tmp_path) if over_tls else None
    async with _upstream(authority) as (upstream, url):
        settings = {"url": url, "tls": {"ca_file": authority.ca_file}} if authority else {"url": url}
        async with world(sidecar_process, tmp_path, upstream=settings) as here:
            host, port = here.sidecar.config["upstreams"]["http"]["listen"].split(":")
            for _ in range(20):
                assert (await here.get("http", "/warm"))[0] == 200
            before = _peak(here.sidecar.pid)
            reader, writer = await asyncio.open_connection(host, int(port), limit=MIB // 4)
            await stream(here, upstream, reader, writer, chunked)
            grown = _peak(here.sidecar.pid) - before
            assert grown < MORE, f"{grown / MIB:.1f} MiB"
            writer.close()
            await writer.wait_closed()
