"""No peer holds a connection for long, whatever it does not do; and many of them lock nobody out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiohttp import web

from proxy.admin.connections import LIFE, MOST, Connections
from tests.admin.fakes import FakeClock

pytestmark = pytest.mark.uvloop

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = 8 * 1024 * 1024


class Peer(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Site:
    def __init__(self, clock: FakeClock, port: int) -> None:
        self.clock = clock
        self._port = port
        self._peers: list[Peer] = []

    async def connect(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self._port))
        self._peers.append(peer)
        return peer

    async def close(self) -> None:
        for peer in self._peers:
            peer.writer.transport.abort()


async def answer(peer: Peer) -> bytes:
    """Ask once, and read the whole answer."""
    peer.writer.write(GET)
    head = await peer.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    return await peer.reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))


async def ended(peer: Peer) -> bool:
    """Read until the connection is over, by an end or by a reset."""
    try:
        while await peer.reader.read(65_536):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.fixture
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    body = getattr(request, "param", b"fine")

    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body)

    clock = FakeClock()
    runner = web.ServerRunner(Connections(handle, clock, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site = Site(clock, runner.addresses[0][1])
    yield site
    await site.close()
    await runner.cleanup()


async def test_a_peer_that_sends_half_a_request_is_cut_at_its_deadline(site: Site) -> None:
    peer = await site.connect()
    peer.writer.write(GET[:-2])
    await answer(await site.connect())  # By now the server has taken both.
    assert [timer.seconds for timer in site.clock.timers] == [LIFE, LIFE]
    site.clock.timers[0].callback()
    assert await ended(peer)


@pytest.mark.parametrize("site", [b"x" * BIG], indirect=True)
async def test_a_peer_that_does_not_read_its_answer_is_cut_at_its_deadline(site: Site) -> None:
    peer = await site.connect()
    peer.writer.write(GET)
    await peer.reader.readuntil(b"\r\n\r\n")  # The answer is under way, and far larger than what sockets hold.
    (timer,) = site.clock.timers
    timer.callback()
    assert await ended(peer)


async def test_each_whole_request_begins_the_time_anew(site: Site) -> None:
    peer = await site.connect()
    assert await answer(peer) == b"fine"
    (first,) = site.clock.timers
    assert await answer(peer) == b"fine"
    assert len(site.clock.timers) == 1
    assert site.clock.timers != [first]


async def test_a_connection_that_ends_leaves_nothing_behind(site: Site) -> None:
    peer = await site.connect()
    peer.writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert await ended(peer)
    other = await site.connect()
    await answer(other)
    assert len(site.clock.timers) == 1


async def test_one_connection_too_many_ends_the_one_that_was_silent_longest(site: Site) -> None:
    crowd = [await site.connect() for _ in range(MOST)]
    await answer(crowd[0])  # Which makes the second one the oldest.
    probe = await site.connect()
    assert await answer(probe) == b"fine"
    assert await ended(crowd[1])
    assert await answer(crowd[0]) == b"fine"
    assert len(site.clock.timers) == MOST


async def test_a_deadline_that_strikes_late_is_harmless(site: Site) -> None:
    peer = await site.connect()
    await answer(peer)
    (timer,) = site.clock.timers
    timer.callback()
    timer.callback()
    assert await ended(peer)
    timer.callback()
