"""What a request waits for, token and connection, and callers that do not wait as long."""

from __future__ import annotations

import asyncio

import pytest

from proxy.config.model import Duration, Limits, Pool, Timeouts
from proxy.errors import Refusal, TokenUnavailable
from proxy.forward.admission import Admission, admit
from proxy.forward.body import Piece
from proxy.forward.door import Served
from proxy.forward.exchange import Exchange
from proxy.forward.http1 import parse_request_head
from proxy.forward.record import Record
from proxy.tokens.interface import AccessToken
from tests.forward.rig import GET, OK, ONE_MIB, refused, sidecar, until

pytestmark = pytest.mark.uvloop

ONE = Pool(max_connections=1)


async def test_a_request_waits_for_a_token() -> None:
    async with sidecar() as rig:
        rig.tokens.token = None
        caller = await rig.call(GET)
        await until(lambda: rig.tokens.waits)
        assert rig.tokens.waits == [rig.upstream.settings.auth.wait]
        assert rig.stats.in_flight == 1
        rig.tokens.coming.set_result(AccessToken("tok.9", 9))
        rig.tokens.token = AccessToken("tok.9", 9)
        peer = await rig.origin.accept()
        assert await peer.head() == rig.forwarded(b"GET /", token="tok.9")
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_a_body_that_arrives_while_its_request_waits() -> None:
    """A little of it is taken in, the rest waits with the caller."""
    size = 16 * ONE_MIB
    async with sidecar() as rig:
        rig.tokens.token = None
        caller = await rig.call(b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        await until(lambda: rig.tokens.waits)
        [connection] = rig.connections()
        caller.send(b"\0")
        await until(lambda: connection._buffer)
        caller.send(bytes(size - 1))
        await until(lambda: not connection._reading)
        assert len(connection._buffer) < ONE_MIB
        rig.tokens.token = AccessToken("tok.1", 1)
        rig.tokens.coming.set_result(rig.tokens.token)
        peer = await rig.origin.accept()
        await peer.head()
        assert await peer.take(size) == bytes(size)
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_no_token_in_time() -> None:
    async with sidecar() as rig:
        rig.tokens.token = None
        caller = await rig.call(GET)
        await until(lambda: rig.tokens.waits)
        rig.tokens.coming.set_exception(TokenUnavailable("invalid_client: who is this", retry_after=11.2))
        answer = refused(await caller.message())
        assert answer[:3] == (503, "token_unavailable", "invalid_client: who is this")
        assert answer.fields["Retry-After"] == "12"
        assert "Connection" not in answer.fields
        assert rig.stats.errors == {"token_unavailable": 1}
        assert not rig.origin.wires
        rig.tokens.token = AccessToken("tok.1", 1)
        caller.send(GET)
        await rig.origin.serve()
        assert await caller.take(len(OK)) == OK


async def test_a_refusal_of_head_has_no_body() -> None:
    async with sidecar() as rig:
        rig.tokens.token = None
        rig.tokens.coming.set_exception(TokenUnavailable("later", retry_after=1))
        caller = await rig.call(b"HEAD" + GET[3:])
        assert (await caller.head()).startswith(b"HTTP/1.1 503 ")
        caller.end()
        assert await caller.rest() == b""


async def test_a_caller_that_goes_while_it_waits_for_a_token() -> None:
    async with sidecar() as rig:
        rig.tokens.token = None
        caller = await rig.call(GET)
        await until(lambda: rig.tokens.waits)
        caller.reset()
        await until(lambda: rig.tokens.cancelled)
        await rig.settled()
        assert not rig.tokens.coming.cancelled()
        assert rig.stats.requests == {("GET", 499): 1}
        assert not rig.stats.errors


async def test_a_token_that_expires_while_the_request_waits_for_a_connection() -> None:
    async with sidecar(pool=ONE) as rig:
        first, peer, _ = await rig.exchange()
        second = await rig.call(GET)
        await until(lambda: len(rig.pool._waiting) == 1)
        rig.tokens.token = None
        peer.send(OK)
        await first.message()
        await until(lambda: rig.tokens.waits)
        rig.tokens.token = AccessToken("tok.2", 2)
        rig.tokens.coming.set_result(rig.tokens.token)
        assert await peer.head() == rig.forwarded(b"GET /", token="tok.2")
        peer.send(OK)
        assert await second.take(len(OK)) == OK
        assert rig.stats.connects == {"success": 1}


class _Nobody:
    """A caller that takes everything and says nothing."""

    writable = True
    known = False

    def read_body(self) -> None: ...
    def pause_body(self) -> None: ...
    def resume_body(self) -> None: ...
    def write(self, data: Piece) -> None: ...
    def write_eof(self) -> None: ...
    def begin_tunnel(self, tunnel: Served) -> None: ...
    def finished(self, *, keep: bool, served: bool = False) -> None: ...
    def cut(self, *, reset: bool) -> None: ...


async def test_a_token_that_expires_while_very_many_wait_for_a_connection() -> None:
    async with sidecar(pool=ONE, limits=Limits(waiting=2000)) as rig:
        first, peer, _ = await rig.exchange()
        head = parse_request_head(GET)
        admission = admit(head, rig.listener.guard, rig.listener.routes, draining=False)
        assert isinstance(admission, Admission)
        waiting = []
        for _ in range(2000):
            record = Record(0.0, b"GET", b"/", rig.upstream, rig.listener.nobody)
            waiting.append(Exchange(_Nobody(), rig.listener, head, admission, record, bodiless=True))
            waiting[-1].start()
        rig.tokens.token = None
        peer.send(OK)
        await first.message()
        await until(lambda: len(rig.tokens.waits) == len(waiting))
        assert rig.pool.idle == 1
        for exchange in waiting:
            exchange.caller_gone()
        assert repr(waiting[0]) == "<exchange done>"


async def test_no_connection_is_free_in_time() -> None:
    async with sidecar(pool=ONE, timeouts=Timeouts(connect=Duration(0.05))) as rig:
        first, peer, _ = await rig.exchange()
        second = await rig.call(GET)
        answer = refused(await second.message())
        assert answer[:3] == (503, "overloaded", "all 1 connections to the upstream were busy for 0.05 s")
        assert answer.fields["Retry-After"] == "1"
        assert rig.stats.errors == {"overloaded": 1}
        peer.send(OK)
        assert await first.take(len(OK)) == OK
        second.send(GET)
        await peer.head()
        peer.send(OK)
        assert await second.take(len(OK)) == OK
        assert rig.stats.connects == {"success": 1}


async def test_requests_in_the_queue_are_served_in_order() -> None:
    async with sidecar(pool=ONE) as rig:
        first, peer, _ = await rig.exchange()
        callers = []
        for number in range(3):
            callers.append(await rig.call(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number))
            await until(lambda: len(rig.pool._waiting) == len(callers))
        callers[1].reset()
        await until(lambda: len(rig.pool._waiting) == 2)
        peer.send(OK)
        assert await peer.head() == rig.forwarded(b"GET /0")
        peer.send(OK)
        assert await peer.head() == rig.forwarded(b"GET /2")
        peer.send(OK)
        for caller in (first, callers[0], callers[2]):
            assert await caller.take(len(OK)) == OK


async def test_the_connection_used_last_is_used_next() -> None:
    async with sidecar() as rig:
        one, older, _ = await rig.exchange()
        two, newer, _ = await rig.exchange()
        older.send(OK)
        await one.message()
        newer.send(OK)
        await two.message()
        one.send(GET)
        assert await newer.head()
        newer.send(OK)
        assert await one.take(len(OK)) == OK
        assert rig.pool.idle == 2


async def test_an_idle_connection_is_closed_in_time() -> None:
    async with sidecar(pool=Pool(keepalive=Duration(0.05))) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK)
        await caller.message()
        assert await peer.rest() == b""
        assert rig.pool.idle == 0


async def test_a_caller_that_goes_while_it_waits_for_a_connection() -> None:
    async with sidecar(pool=ONE) as rig:
        first, peer, _ = await rig.exchange()
        second = await rig.call(GET)
        await until(lambda: rig.pool._waiting)
        second.reset()
        await until(lambda: not rig.pool._waiting)
        assert rig.stats.requests == {("GET", 499): 1}
        peer.send(OK)
        await first.message()
        assert rig.pool.idle == 1


@pytest.mark.parametrize(("began", "status"), [(b"", 499), (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", 200)])
async def test_a_caller_that_goes_closes_the_upstreams_connection(began: bytes, status: int) -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(began)
        assert await caller.take(len(began)) == began
        caller.reset()
        await peer.gone()
        await rig.settled()
        assert rig.pool.idle == 0
        assert rig.stats.requests == {("GET", status): 1}
        assert not rig.stats.errors


async def test_a_caller_that_closed_and_does_not_read_is_noticed_by_its_reset() -> None:
    """Closing both halves looks like closing one: only writing to it shows the difference."""
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\nab")
        await caller.head()
        caller.close()
        while rig.stats.in_flight:
            peer.send(b"more")
            await asyncio.sleep(0)
        assert rig.stats.requests == {("GET", 200): 1}


async def test_a_failure_after_the_caller_has_gone_changes_nothing() -> None:
    async with sidecar() as rig:
        head = parse_request_head(GET)
        admission = admit(head, rig.listener.guard, rig.listener.routes, draining=False)
        assert isinstance(admission, Admission)
        record = Record(0.0, b"GET", b"/", rig.upstream, rig.listener.nobody)
        exchange = Exchange(_Nobody(), rig.listener, head, admission, record, bodiless=True)
        exchange.start()
        exchange.caller_gone()
        exchange.caller_gone()
        exchange.body_malformed("too late")
        exchange.not_connected(Refusal("upstream_unreachable", "too late"))
        await until(lambda: rig.pool.idle == 1)  # The connection that was being made is kept for the next.
        assert rig.stats.requests == {("GET", 499): 1}
