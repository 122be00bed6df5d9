"""Request bodies on their way: framing, 100-continue, early answers, back-pressure both ways, and limits."""

from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.config.model import Duration, Size, Timeouts
from proxy.errors import TokenUnavailable
from proxy.tokens.interface import AccessToken
from tests.forward.rig import GET, OK, ONE_MIB, Rig, Wire, refused, sidecar, until

pytestmark = pytest.mark.uvloop

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
FLOOD = 64 * ONE_MIB
"""More than all buffers of a system between two sockets take."""


@pytest.mark.parametrize(
    ("request_bytes", "fields", "body"),
    [
        (POST + b"Content-Length: 5\r\n\r\nhello", (b"Content-Length: 5",), b"hello"),
        (POST + b"content-LENGTH: 0\r\n\r\n", (b"Content-Length: 0",), b""),
        (POST + b"\r\n", (), b""),
        (b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", (b"Content-Length: 2",), b"hi"),
        (
            CHUNKED + b"3;e=1\r\nabc\r\n00\r\nTrailer: x\r\n\r\n",
            (b"Transfer-Encoding: chunked",),
            b"3\r\nabc\r\n0\r\n\r\n",
        ),
        (CHUNKED + b"0\r\n\r\n", (b"Transfer-Encoding: chunked",), b"0\r\n\r\n"),
    ],
)
async def test_framing_is_rebuilt(request_bytes: bytes, fields: tuple[bytes, ...], body: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, head = await rig.exchange(request_bytes)
        assert head == rig.forwarded(b"POST /", *fields)
        assert await peer.take(len(body)) == body
        peer.send(OK)
        await caller.message()
        # Nothing was sent after the body, and the connection is as good as new.
        again = await rig.call(GET)
        assert await peer.head() == rig.forwarded(b"GET /")
        peer.send(OK)
        assert await again.take(len(OK)) == OK


async def test_a_body_goes_on_as_it_comes() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: 6\r\n\r\n")
        for piece in (b"ab", b"c", b"def"):
            caller.send(piece)
            assert await peer.take(len(piece)) == piece
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        assert rig.pool.idle == 1


async def test_what_follows_a_body_is_the_next_request() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(
            POST + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + GET
        )
        assert await peer.take(3) == b"abc"
        peer.send(OK)
        await peer.head()
        assert await peer.until(b"0\r\n\r\n") == b"1\r\nx\r\n0\r\n\r\n"
        peer.send(OK)
        await peer.head()
        peer.send(OK)
        assert await caller.take(3 * len(OK)) == 3 * OK


# 100-continue


async def test_100_is_said_once_token_and_connection_are_there() -> None:
    async with sidecar() as rig:
        rig.tokens.token = None
        caller = await rig.call(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        await until(lambda: rig.tokens.waits)
        rig.tokens.token = AccessToken("late", 1)
        rig.tokens.coming.set_result(rig.tokens.token)
        peer = await rig.origin.accept()
        assert await peer.head() == rig.forwarded(b"POST /", b"Content-Length: 2", token="late")
        assert await caller.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.send(b"hi")
        assert await peer.take(2) == b"hi"
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_no_100_before_a_refusal() -> None:
    async with sidecar() as rig:
        rig.tokens.token = None
        caller = await rig.call(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        await until(lambda: rig.tokens.waits)
        rig.tokens.coming.set_exception(TokenUnavailable("throttled: later", retry_after=1))
        answer = refused(await caller.rest())
        assert (answer.status, answer.name, answer.fields["Connection"]) == (503, "token_unavailable", "close")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", id="body already here"),
        pytest.param(POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", id="no body"),
        pytest.param(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", id="HTTP/1.0"),
    ],
)
async def test_no_100_where_none_is_waited_for(head: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, forwarded = await rig.exchange(head)
        assert b"xpect" not in forwarded
        peer.send(OK)
        assert (await caller.head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_another_expectation_is_a_bad_request() -> None:
    async with sidecar() as rig:
        caller = await rig.call(POST + b"Expect: the unexpected\r\nContent-Length: 2\r\n\r\n")
        assert refused(await caller.rest()).name == "bad_request"


# Early answers


async def test_an_early_answer_passes_while_the_body_still_comes() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: 4\r\n\r\nab")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert (await caller.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        caller.send(b"cd")
        assert await peer.take(4) == b"abcd"
        peer.send(b"cd")
        assert await caller.take(4) == b"abcd"
        assert rig.pool.idle == 1
        caller.send(GET)
        assert await peer.head()
        peer.send(OK)
        await caller.message()


async def test_an_answer_that_is_whole_before_its_request_ends_both_connections() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: 100\r\n\r\nab")
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await peer.gone()
        caller.send(b"still coming")  # Read past, so that no reset overtakes the answer.
        # A caller that is not told would send its next request on a connection that ends.
        assert (await caller.rest()).endswith(b"\r\nConnection: close\r\n\r\nno")
        assert rig.stats.requests == {("POST", 413): 1}
        assert not rig.stats.errors


# Back-pressure


async def _flood(rig: Rig, caller: Wire) -> None:
    """Send more than anybody reads, until the sidecar has stopped reading it."""
    caller.send(bytes(FLOOD))
    [connection] = rig.connections()
    await until(lambda: not connection._reading)
    assert caller.unsent > FLOOD // 4


def _buffered(rig: Rig) -> int:
    """Bytes that the sidecar holds for the upstream."""
    [busy] = rig.pool._busy
    assert busy._transport is not None
    return busy._transport.get_write_buffer_size()


async def test_a_slow_upstream_slows_the_caller() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: %d\r\n\r\n" % FLOOD)
        await _flood(rig, caller)
        assert _buffered(rig) < ONE_MIB
        for _ in range(FLOOD // ONE_MIB):
            assert await peer.take(ONE_MIB) == bytes(ONE_MIB)
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_an_early_answer_does_not_end_back_pressure() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: %d\r\n\r\n" % FLOOD)
        await _flood(rig, caller)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await caller.head()
        [connection] = rig.connections()
        await asyncio.sleep(0)
        assert not connection._reading
        assert _buffered(rig) < ONE_MIB
        await peer.take(FLOOD)
        peer.send(b"cd")
        assert await caller.take(4) == b"abcd"


async def test_a_slow_caller_slows_the_upstream() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FLOOD + bytes(FLOOD))
        [busy] = rig.pool._busy
        await until(lambda: not busy._reading)
        assert peer.unsent > FLOOD // 4
        [connection] = rig.connections()
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 2 * ONE_MIB
        await caller.head()
        for _ in range(FLOOD // ONE_MIB):
            assert await caller.take(ONE_MIB) == bytes(ONE_MIB)
        assert rig.pool.idle == 1


async def test_a_connection_is_read_again_after_a_slow_callers_answer() -> None:
    """The bytes that fill the caller's buffer may be the answer's last: the upstream's connection is free then."""
    async with sidecar() as rig:
        slow, peer, _ = await rig.exchange()
        [connection] = rig.connections()
        assert connection._transport is not None
        connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n" + bytes(150_000)
        peer.send(answer)
        assert await slow.take(len(answer)) == answer
        quick = await rig.call(GET)
        await peer.head()
        peer.send(OK)
        assert await quick.take(len(OK)) == OK
        peer.close()
        await until(lambda: not rig.pool.idle)


# Bodies that are wrong, too large or too slow


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"2\r\nabc\r\n", "a chunk is longer than its size"),
        (b"2\r\nab\r\nx\r\n", "a chunk size is not a hexadecimal number"),
        (b"2\r\nab", "the connection ended in the middle of the request body"),
    ],
)
async def test_a_malformed_body_is_a_bad_request(body: bytes, why: str) -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(CHUNKED + body)
        caller.end()
        answer = refused(await caller.rest())
        assert (answer.status, answer.name, answer.detail, answer.fields["Connection"]) == (
            400,
            "bad_request",
            why,
            "close",
        )
        assert b"0\r\n\r\n" not in await peer.rest()  # The upstream does not take it for whole.
        assert rig.stats.errors == {"bad_request": 1}


async def test_a_body_cut_before_anything_was_asked_of_the_upstream() -> None:
    async with sidecar() as rig:
        rig.tokens.token = None
        caller = await rig.call(POST + b"Content-Length: 2\r\n\r\n")
        await until(lambda: rig.tokens.waits)
        caller.end()
        assert refused(await caller.rest()).name == "bad_request"
        await until(lambda: rig.tokens.cancelled == 1)


async def test_a_body_that_turns_bad_after_the_answer_began_cuts_it() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(CHUNKED)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await caller.head()
        caller.send(b"oops\r\n")
        assert await caller.rest() == b"ab"
        await peer.gone()
        assert rig.stats.requests == {("POST", 200): 1}
        assert rig.stats.errors == {"bad_request": 1}


async def test_a_body_over_the_limit_by_its_length_never_reaches_the_upstream() -> None:
    def write_all_then_read(host: str, port: int) -> bytes:
        """Most client libraries work like this."""
        with socket.create_connection((host, port), timeout=20) as plain:
            plain.sendall(POST + b"Content-Length: %d\r\n\r\n" % (8 * ONE_MIB) + bytes(8 * ONE_MIB))
            return b"".join(iter(lambda: plain.recv(65536), b""))

    async with sidecar(max_body=Size(10)) as rig:
        address = rig.listener.address
        answer = refused(await asyncio.to_thread(write_all_then_read, address.host, address.port))
        assert (answer.status, answer.name, answer.fields["Connection"]) == (413, "body_too_large", "close")
        assert not rig.origin.wires


async def test_a_chunked_body_over_the_limit() -> None:
    async with sidecar(max_body=Size(10)) as rig:
        caller, peer, _ = await rig.exchange(CHUNKED + b"a\r\n0123456789\r\n")
        await peer.until(b"0123456789\r\n")
        caller.send(b"1\r\nx\r\n")
        assert refused(await caller.rest())[:2] == (413, "body_too_large")
        assert b"x" not in await peer.rest()


async def test_a_body_that_stops_coming() -> None:
    async with sidecar(timeouts=Timeouts(idle=Duration(0.05))) as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: 5\r\n\r\nab")
        answer = refused(await caller.rest())
        assert (answer.name, answer.detail) == ("bad_request", "the request body did not arrive in time")
        await peer.gone()


async def test_a_body_that_the_upstream_does_not_take() -> None:
    async with sidecar(timeouts=Timeouts(idle=Duration(0.2))) as rig:
        caller, _, _ = await rig.exchange(POST + b"Content-Length: %d\r\n\r\n" % FLOOD)
        await _flood(rig, caller)
        answer = await caller.message()
        assert refused(answer)[:3] == (504, "upstream_timeout", "the upstream did not take the request in time")
        caller.reset()
