"""How many connections a listener holds, and who makes room for whom."""

from __future__ import annotations

import socket

import pytest

from proxy.config.model import Limits
from tests.forward.rig import GET, OK, Rig, Wire, refused, sidecar, until

pytestmark = pytest.mark.uvloop

HALF = b"GET / HTTP/1.1\r\nHost: local"


async def _connected(rig: Rig, count: int, data: bytes = b"") -> list[Wire]:
    """So many more callers, each known to the listener before the next one comes."""
    callers = []
    for _ in range(count):
        before = {*rig.connections()}
        callers.append(await rig.call(data))
        await until(lambda before=before: {*rig.connections()} - before)  # type: ignore[misc]
    return callers


async def _served(caller: Wire, peer: Wire) -> None:
    caller.send(GET)
    await peer.head()
    peer.send(OK)
    assert await caller.take(len(OK)) == OK


async def test_the_connection_that_was_never_used_makes_room() -> None:
    async with sidecar(limits=Limits(connections=3)) as rig:
        used, peer, _ = await rig.exchange()
        peer.send(OK)
        assert await used.take(len(OK)) == OK
        oldest, newer = await _connected(rig, 2)
        [newest] = await _connected(rig, 1)
        assert await oldest.rest() == b""
        for caller in (used, newer, newest):
            await _served(caller, peer)
        assert not rig.stats.errors


async def test_the_one_that_was_idle_longest_makes_room() -> None:
    async with sidecar(limits=Limits(connections=2)) as rig:
        first, peer, _ = await rig.exchange()
        peer.send(OK)
        assert await first.take(len(OK)) == OK
        [second] = await _connected(rig, 1)
        await _served(second, peer)
        [third] = await _connected(rig, 1)
        assert await first.rest() == b""
        await _served(third, peer)
        await _served(second, peer)


async def test_where_all_are_at_work_a_new_caller_is_told_so() -> None:
    async with sidecar(limits=Limits(connections=1)) as rig:
        caller, peer, _ = await rig.exchange()
        other = await rig.call(GET)
        answer = refused(await other.rest())
        assert answer[:2] == (503, "overloaded")
        assert answer.detail == "this listener has the 1 connections that it may have, and all are at work"
        assert answer.fields["Connection"] == "close"
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        assert rig.stats.errors == {"overloaded": 1}


async def test_a_crowd_beyond_the_limit_is_not_even_told() -> None:
    async with sidecar(limits=Limits(connections=20)) as rig:
        peers = []
        busy = []
        for _ in range(20):
            caller, peer, _ = await rig.exchange()
            busy.append(caller)
            peers.append(peer)
        told = await _connected(rig, 2, GET)
        silent = await rig.call(GET)
        await silent.gone()
        for caller in told:
            assert refused(await caller.rest()).name == "overloaded"
        for caller, peer in zip(busy, peers, strict=True):
            peer.send(OK)
            assert await caller.take(len(OK)) == OK


async def test_half_a_head_makes_room_as_well_and_hears_why() -> None:
    async with sidecar(limits=Limits(connections=2)) as rig:
        slow = await _connected(rig, 2, HALF)
        await until(lambda: [connection.rank and connection.rank[0] for connection in rig.connections()] == [2, 2])
        [quick] = await _connected(rig, 1)
        answer = refused(await slow[0].rest())
        assert answer[:2] == (503, "overloaded")
        assert "came slowly" in answer.detail
        quick.send(GET)
        peer = await rig.origin.serve()
        assert await quick.take(len(OK)) == OK
        slow[1].send(b"host\r\n\r\n")
        await peer.head()
        peer.send(OK)
        assert await slow[1].take(len(OK)) == OK


async def test_a_crowd_of_slow_heads_stays_within_the_limit_and_its_slack() -> None:
    """To those who are told why, it takes a while to go."""
    async with sidecar(limits=Limits(connections=20)) as rig:
        for _ in range(60):
            await rig.call(HALF)
            await until(lambda: all(connection.rank != (0, connection.deadline) for connection in rig.connections()))
            assert rig.listener.connections <= 22
        quick = await rig.call(GET)
        await rig.origin.serve()
        assert await quick.take(len(OK)) == OK


async def test_a_rush_that_comes_in_one_turn_of_the_loop_stays_within_the_limit() -> None:
    async with sidecar(limits=Limits(connections=20)) as rig:
        await _connected(rig, 20)
        rush = [socket.create_connection(("127.0.0.1", rig.listener.address.port)) for _ in range(60)]
        last = await rig.call(GET)
        await rig.origin.serve()
        assert await last.take(len(OK)) == OK
        await until(lambda: rig.listener.connections == 20)
        for one in rush:
            one.close()


async def test_a_reload_changes_the_limit_for_those_that_come() -> None:
    async with sidecar() as rig:
        first, second = await _connected(rig, 2)
        rig.listener.configure(rig.listener.guard, rig.listener.routes, Limits(connections=2), access=False)
        [third] = await _connected(rig, 1)
        assert await first.rest() == b""
        third.send(GET)
        peer = await rig.origin.serve()
        assert await third.take(len(OK)) == OK
        await _served(second, peer)
