"""What a request may take up: time for its body, a place in a queue, an upstream's connection while others wait."""

from __future__ import annotations

import pytest

from proxy.config.model import Duration, Limits, Pool, Timeouts
from proxy.forward.pace import QUANTUM
from proxy.tokens.interface import AccessToken
from tests.forward.rig import GET, OK, ONE_MIB, Rig, Wire, refused, sidecar, until

pytestmark = pytest.mark.uvloop

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
ONE = Pool(max_connections=1)
SOON = Timeouts(connect=Duration(0.2))
"""Half of that is how long a caller may keep a connection waiting that others wait for."""
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (16 * ONE_MIB)


async def _later(rig: Rig, seconds: float) -> None:
    """Let the listener's own time pass: how long is what these rules are about."""
    end = rig.listener.loop.time() + seconds
    await until(lambda: rig.listener.loop.time() >= end)


# Slow bodies.


async def test_a_body_that_comes_byte_by_byte_is_cut() -> None:
    limits = Limits(body_time=Duration(0.1))
    async with sidecar(limits=limits) as rig:
        caller, peer, _ = await rig.exchange(POST)
        while not rig.stats.errors:
            caller.send(b"x")
            await _later(rig, 0.01)
        answer = refused(await caller.rest())
        assert answer[:3] == (400, "bad_request", "the request body did not arrive in time")
        assert answer.fields["Connection"] == "close"
        await peer.gone()


async def test_a_body_that_makes_progress_may_take_its_time() -> None:
    limits = Limits(body_time=Duration(0.5))
    async with sidecar(limits=limits) as rig:
        size = 6 * QUANTUM
        caller, peer, _ = await rig.exchange(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        began = rig.listener.loop.time()
        for _ in range(6):
            caller.send(bytes(QUANTUM))
            await peer.take(QUANTUM)
            await _later(rig, 0.1)
        assert rig.listener.loop.time() - began > 0.5
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_once_the_upstream_answers_only_silence_ends_a_body() -> None:
    limits = Limits(body_time=Duration(0.05))
    async with sidecar(limits=limits) as rig:
        caller, peer, _ = await rig.exchange(POST)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx")
        await caller.until(b"\r\n\r\nx")
        await _later(rig, 0.2)
        caller.send(b"y")
        assert await peer.take(1) == b"y"


async def test_an_upstream_that_does_not_take_the_body_is_not_the_callers_fault() -> None:
    limits = Limits(body_time=Duration(0.3))
    async with sidecar(limits=limits) as rig:
        size = 16 * ONE_MIB
        caller, peer, _ = await rig.exchange(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        caller.send(bytes(size))
        await until(lambda: caller.unsent > 0 and rig.pool.busy)
        await _later(rig, 0.5)
        await peer.take(size)
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


# Queues.


async def test_no_more_requests_wait_for_a_token_than_may() -> None:
    async with sidecar(pool=ONE, limits=Limits(waiting=2)) as rig:
        rig.tokens.token = None
        waiting = [await rig.call(GET) for _ in range(2)]
        await until(lambda: len(rig.tokens.waits) == 2)
        answer = refused(await (await rig.call(GET)).message())
        assert answer[:3] == (503, "overloaded", "2 requests wait for a token already")
        assert answer.fields["Retry-After"] == "1"
        waiting[0].reset()
        await until(lambda: rig.upstream.token_waiters == 1)
        third = await rig.call(GET)
        await until(lambda: len(rig.tokens.waits) == 3)
        rig.tokens.token = AccessToken("tok.1", 1)
        rig.tokens.coming.set_result(rig.tokens.token)
        peer = await rig.origin.serve()
        await peer.head()
        peer.send(OK)
        for caller in (waiting[1], third):
            assert await caller.take(len(OK)) == OK
        assert rig.upstream.token_waiters == 0


async def test_no_more_requests_wait_for_a_connection_than_may() -> None:
    async with sidecar(pool=ONE, limits=Limits(waiting=2)) as rig:
        first, peer, _ = await rig.exchange()
        waiting = [await rig.call(GET) for _ in range(2)]
        await until(lambda: rig.pool.waiting == 2)
        answer = refused(await (await rig.call(GET)).message())
        assert answer[:3] == (503, "overloaded", "2 requests wait for a connection to the upstream already")
        peer.send(OK)
        for _ in waiting:
            await peer.head()
            peer.send(OK)
        for caller in (first, *waiting):
            assert await caller.take(len(OK)) == OK
        assert rig.stats.errors == {"overloaded": 1}


async def test_a_request_that_is_all_here_takes_the_place_of_one_that_is_not() -> None:
    async with sidecar(pool=ONE, limits=Limits(waiting=1)) as rig:
        first, peer, _ = await rig.exchange()
        partial = await rig.call(POST)
        await until(lambda: rig.pool.waiting)
        whole = await rig.call(GET)
        answer = refused(await partial.rest())
        assert answer[:2] == (503, "overloaded")
        assert "others came before" in answer.detail
        peer.send(OK)
        await _served(whole, peer)
        assert await first.take(len(OK)) == OK


async def test_a_caller_that_has_been_answered_before_takes_the_place_of_one_that_has_not() -> None:
    async with sidecar(pool=ONE, limits=Limits(waiting=1)) as rig:
        known, peer, _ = await rig.exchange()
        peer.send(OK)
        assert await known.take(len(OK)) == OK
        first = await rig.call(GET)
        await peer.head()
        new = await rig.call(GET)
        await until(lambda: rig.pool.waiting)
        known.send(GET)
        assert refused(await new.message())[:2] == (503, "overloaded")
        peer.send(OK)
        await _served(known, peer)
        assert await first.take(len(OK)) == OK


# Slow callers and those who wait for them.


async def _served(caller: Wire, peer: Wire) -> None:
    await peer.head()
    peer.send(OK)
    assert await caller.take(len(OK)) == OK


async def test_a_slow_sender_gives_its_connection_to_a_request_that_waits() -> None:
    async with sidecar(pool=ONE, timeouts=SOON) as rig:
        slow, peer, _ = await rig.exchange(POST)
        quick = await rig.call(GET)
        answer = refused(await slow.rest())
        assert answer[:2] == (503, "overloaded")
        assert "other requests waited" in answer.detail
        await peer.gone()
        await _served(quick, await rig.origin.accept())


async def test_a_slow_reader_gives_its_connection_to_a_request_that_waits() -> None:
    async with sidecar(pool=ONE, timeouts=SOON) as rig:
        slow, peer, _ = await rig.exchange()
        peer.send(LARGE)
        peer.send(bytes(16 * ONE_MIB))
        await until(lambda: rig.pool.busy and peer.unsent)
        quick = await rig.call(GET)
        await peer.gone()
        await _served(quick, await rig.origin.accept())
        assert rig.stats.errors == {"overloaded": 1}
        with pytest.raises((EOFError, ConnectionError)):
            await slow.take(len(LARGE) + 16 * ONE_MIB)  # It is visibly cut.


async def test_nobody_gives_way_to_nobody() -> None:
    async with sidecar(pool=ONE, timeouts=SOON) as rig:
        slow, peer, _ = await rig.exchange(POST)
        await _later(rig, 0.4)
        slow.send(bytes(100_000))
        await peer.take(100_000)
        peer.send(OK)
        assert await slow.take(len(OK)) == OK


async def test_an_upstream_that_takes_its_time_keeps_its_connection() -> None:
    async with sidecar(pool=ONE, timeouts=SOON) as rig:
        first, peer, _ = await rig.exchange()
        answer = refused(await (await rig.call(GET)).message())
        assert answer[:3] == (503, "overloaded", "all 1 connections to the upstream were busy for 0.2 s")
        peer.send(OK)
        assert await first.take(len(OK)) == OK


async def test_a_quick_request_does_not_wait_behind_all_who_send_slowly() -> None:
    async with sidecar(pool=ONE, timeouts=Timeouts(connect=Duration(1))) as rig:
        slow = [(await rig.exchange(POST))[0]]
        for number in range(1, 4):
            slow.append(await rig.call(POST))
            await until(lambda number=number: rig.pool.waiting == number)  # type: ignore[misc]
        quick = await rig.call(b"GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await _served(quick, await rig.origin.accept())
        for caller in slow:
            caller.reset()
