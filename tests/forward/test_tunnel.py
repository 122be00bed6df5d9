"""WebSocket tunnels: the handshake, bytes both ways, and the end of each half."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest

from proxy.config.model import Duration, Timeouts
from proxy.forward.tunnel import Tunnel
from tests.forward.rig import HANDSHAKE, OK, ONE_MIB, WEBSOCKET_KEY, refused, sidecar, until

pytestmark = pytest.mark.uvloop

FLOOD = 64 * ONE_MIB


async def test_the_handshake_carries_the_token() -> None:
    async with sidecar() as rig:
        assert rig.tokens.token is not None
        rig.tokens.token.proven = False
        caller, peer, head = await rig.exchange(HANDSHAKE)
        assert head == rig.forwarded(b"GET /ws", *WEBSOCKET_KEY, b"Connection: Upgrade", b"Upgrade: websocket")
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert await caller.head() == (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert rig.tokens.accepts == [1]
        assert rig.stats.in_flight == 1
        caller.reset()
        await rig.settled()
        await peer.gone()
        assert rig.stats.requests == {("GET", 101): 1}
        assert not rig.stats.errors


async def test_bytes_both_ways_from_the_first() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel(early=b"before", late=b"at once")
        assert await peer.take(6) == b"before"
        assert await caller.take(7) == b"at once"
        for data in (b"\x81\x05hello", b"GET / HTTP/1.1\r\n\r\n", b"\x00"):
            caller.send(data)
            assert await peer.take(len(data)) == data
            peer.send(data)
            assert await caller.take(len(data)) == data
        assert rig.pool.busy == 1


@pytest.mark.parametrize("first", ["caller", "upstream"])
async def test_each_half_ends_by_itself(first: str) -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        one, other = (caller, peer) if first == "caller" else (peer, caller)
        one.send(b"last words")
        one.end()
        assert await other.rest() == b"last words"
        other.send(b"and mine")
        assert await one.take(8) == b"and mine"
        other.end()
        assert await one.rest() == b""
        await rig.settled()
        assert rig.stats.requests == {("GET", 101): 1}


@pytest.mark.parametrize("first", ["caller", "upstream"])
async def test_what_was_sent_before_the_end_arrives_whole(first: str) -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        one, other = (caller, peer) if first == "caller" else (peer, caller)
        one.end()
        assert await other.rest() == b""
        flood = bytes(8 * ONE_MIB)
        other.send(flood)
        other.end()
        assert await one.take(len(flood)) == flood
        assert await one.rest() == b""
        await rig.settled()


async def test_a_caller_that_ended_its_half_with_its_request() -> None:
    async with sidecar() as rig:
        caller = await rig.call(HANDSHAKE + b"all I have to say")
        caller.end()
        peer = await rig.origin.serve(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhi")
        assert await peer.rest() == b"all I have to say"
        peer.send(b"!")
        await caller.head()
        assert await caller.take(3) == b"hi!"
        peer.end()
        assert await caller.rest() == b""


async def test_much_that_was_sent_before_the_101() -> None:
    early = bytes(FLOOD)
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(HANDSHAKE + early)
        [connection] = rig.connections()
        await until(lambda: not connection._reading)
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        await caller.head()
        assert await peer.take(FLOOD) == early


async def test_a_caller_that_is_slow_from_the_beginning() -> None:
    """It has yet to take the answer before this one: nobody tells the tunnel that it became slow."""
    loop, caller, connection = asyncio.get_running_loop(), Mock(writable=False), Mock()
    tunnel = Tunnel(caller, connection, loop=loop, idle_seconds=1.0, ended=Mock())
    connection.pause_reading.assert_called_once_with()
    tunnel.caller_ready()
    connection.resume_reading.assert_called_once_with()


@pytest.mark.parametrize("slow", ["caller", "upstream"])
async def test_a_slow_side_slows_the_other(slow: str) -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        one, other = (caller, peer) if slow == "caller" else (peer, caller)
        other.send(bytes(FLOOD))
        [connection], [busy] = rig.connections(), rig.pool._busy
        await until(lambda: not (connection if slow == "upstream" else busy)._reading)
        assert other.unsent > FLOOD // 4
        one.send(b"the other direction goes on")
        assert await other.take(27)
        for _ in range(FLOOD // ONE_MIB):
            await one.take(ONE_MIB)
        other.end()
        assert await one.rest() == b""
        one.end()


@pytest.mark.parametrize("who", ["caller", "upstream"])
async def test_a_reset_of_one_side_ends_the_other(who: str) -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        one, other = (caller, peer) if who == "caller" else (peer, caller)
        one.reset()
        await other.gone()
        await rig.settled()


async def test_a_tunnel_without_a_byte_is_closed() -> None:
    async with sidecar(timeouts=Timeouts(idle=Duration(0.1))) as rig:
        caller, peer = await rig.tunnel()
        for _ in range(3):
            caller.send(b"x")
            await peer.take(1)
        assert await caller.rest() == b""
        await peer.gone()
        await rig.settled()


async def test_an_abort_ends_a_tunnel() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        assert rig.listener.abort() == 1
        await caller.gone()
        await peer.gone()
        await rig.settled()
        assert rig.stats.requests == {("GET", 101): 1}


async def test_an_upstream_that_declines_answers_as_usual() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(HANDSHAKE)
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        assert rig.pool.idle == 1


async def test_a_401_to_a_handshake_is_tried_again() -> None:
    async with sidecar() as rig:
        caller, peer, head = await rig.exchange(HANDSHAKE)
        rig.tokens.recovers()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        assert await peer.head() == head.replace(b"tok.1", b"tok.2")
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        assert (await caller.head()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("fields", "method"),
    [
        (
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
            b"GET",
        ),
        (b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", b"GET"),
        (b"Upgrade: websocket\r\n", b"GET"),
        (b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"DELETE"),
    ],
)
async def test_any_other_upgrade_is_taken_off(fields: bytes, method: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, head = await rig.exchange(method + b" / HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
        assert head == rig.forwarded(method + b" /")
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_a_switch_to_another_protocol_than_was_asked_for() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(HANDSHAKE)
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\nPRI")
        assert refused(await caller.message())[:2] == (502, "upstream_protocol")
        await peer.gone()
