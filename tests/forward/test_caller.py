"""A caller's connection by itself: heads that are no heads, time limits, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.config.model import Duration, Limits
from proxy.forward import caller as module
from proxy.forward.caller import CallerConnection, State
from tests.forward.rig import GET, OK, ONE_MIB, Rig, refused, sidecar, until, within

pytestmark = pytest.mark.uvloop

HOST = b"Host: localhost\r\n"


def _padded(size: int) -> bytes:
    """A request whose head has `size` bytes."""
    head = b"GET / HTTP/1.1\r\n" + HOST + b"X: "
    return head + b"x" * (size - len(head) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="a TLS hello"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="bare LF"),
        pytest.param(b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", id="two spaces"),
        pytest.param(b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", id="another version"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", id="two Hosts"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X : y\r\n\r\n", id="a space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n z\r\n\r\n", id="obs-fold"),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="both framings",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", id="two lengths"
        ),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="another coding"),
        pytest.param(b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", id="chunked in 1.0"),
    ],
)
async def test_what_is_no_request_is_answered_and_ends_the_connection(sent: bytes) -> None:
    async with sidecar() as rig:
        caller = await rig.call(sent + GET)  # What follows is never taken for a request.
        answer = refused(await caller.rest())
        assert (answer.status, answer.name, answer.fields["Connection"]) == (400, "bad_request", "close")
        assert rig.stats.errors == {"bad_request": 1}
        assert not rig.origin.wires


async def test_a_head_that_ends_too_early() -> None:
    async with sidecar() as rig:
        caller = await rig.call(b"GET / HTTP/1.1\r\nHost: loc")
        caller.end()
        assert refused(await caller.rest())[:3] == (
            400,
            "bad_request",
            "the connection ended in the middle of the request head",
        )


async def test_the_limit_of_a_head() -> None:
    async with sidecar() as rig:
        caller = await rig.call(_padded(64 * 1024))
        await rig.origin.serve()
        assert await caller.take(len(OK)) == OK
        caller.send(_padded(64 * 1024 + 1))
        answer = refused(await caller.rest())
        assert (answer.status, answer.name, answer.fields["Connection"]) == (431, "headers_too_large", "close")


async def test_a_head_without_end_is_not_collected() -> None:
    async with sidecar() as rig:
        caller = await rig.call(_padded(64 * 1024 + 5)[:-4])
        assert refused(await caller.rest())[:2] == (431, "headers_too_large")


async def test_empty_lines_before_a_request_are_no_request() -> None:
    async with sidecar() as rig:
        caller = await rig.call(b"\r\n\r\n" + GET)
        peer = await rig.origin.serve()
        await caller.message()
        await caller.send_bytewise(b"\r\n" + GET)
        await peer.head()
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        caller.send(b"\r")
        caller.end()
        assert await caller.rest() == b""


async def test_many_pipelined_requests_wait_in_the_callers_own_buffers() -> None:
    async with sidecar() as rig:
        count = 300
        caller = await rig.call(_padded(10_000) * count)
        peer = await rig.origin.accept()
        await peer.head()
        [connection] = rig.connections()
        await until(lambda: not connection._reading)
        assert len(connection._buffer) < ONE_MIB
        for number in range(count):
            peer.send(OK)
            assert await caller.take(len(OK)) == OK
            if number < count - 1:
                await peer.head()
        assert rig.stats.requests == {("GET", 200): count}


async def test_more_than_fits_may_arrive_while_a_request_is_served() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(GET + b"GET")
        [connection] = rig.connections()
        await until(lambda: connection._buffer == b"GET")
        caller.send(GET[3:])
        await until(lambda: connection._buffer == GET)
        peer.send(OK)
        await peer.head()
        peer.send(OK)
        assert await caller.take(2 * len(OK)) == 2 * OK


# Time


async def test_an_idle_connection_is_closed() -> None:
    async with sidecar(limits=Limits(keepalive=Duration(0.05))) as rig:
        caller = await rig.call()
        assert await caller.rest() == b""
        assert not rig.stats.errors


async def test_a_head_that_does_not_arrive_in_time() -> None:
    async with sidecar(limits=Limits(head_time=Duration(0.05))) as rig:
        caller = await rig.call(b"GET / HT")
        answer = refused(await caller.rest())
        assert answer[:3] == (400, "bad_request", "the request head did not arrive in time")


async def test_a_caller_that_stays_after_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        peer.send(OK)
        assert (await caller.rest()).endswith(b"\r\nConnection: close\r\n\r\nok")
        await until(lambda: not rig.connections())  # It does not close its half, and is not waited for long.


async def test_a_caller_that_sends_for_ever_after_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER_BYTES", 100_000)
    async with sidecar() as rig:
        caller = await rig.call(b"\x00")
        await caller.rest()
        caller.send(bytes(200_000))
        await until(lambda: not rig.connections())


def _unread(connection: CallerConnection) -> int:
    """Bytes of the answer that the caller has not taken."""
    assert connection._transport is not None
    return connection._transport.get_write_buffer_size()


CLOSING = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
TAKEN = bytes(60_000)
"""Small enough that the upstream is done with it, too large for the system's buffers."""


@asynccontextmanager
async def _not_reading(rig: Rig, request: bytes) -> AsyncIterator[tuple[socket.socket, CallerConnection]]:
    """A caller that has taken a part of its answer, which the upstream has given whole."""
    loop = asyncio.get_running_loop()
    with socket.socket() as caller:
        caller.setblocking(False)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(caller, (rig.listener.address.host, rig.listener.address.port))
        await loop.sock_sendall(caller, request)
        peer = await rig.origin.accept()
        await peer.head()
        [connection] = rig.connections()
        assert connection._transport is not None
        connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(TAKEN) + TAKEN)
        await until(lambda: connection._state in (State.IDLE, State.LINGER))
        assert _unread(connection) > 0
        assert rig.pool.idle == 1
        yield caller, connection


async def _takes_all(caller: socket.socket) -> None:
    """What one that comes back to it finds: all of the answer."""
    read = b""
    while not read.endswith(b"\r\n\r\n" + TAKEN):
        data = await within(asyncio.get_running_loop().sock_recv(caller, ONE_MIB))
        assert data, f"the answer was cut after {len(read)} bytes"
        read += data


@pytest.mark.parametrize("request_", [GET, CLOSING], ids=["kept", "closing"])
async def test_a_caller_that_never_takes_its_answer(monkeypatch: pytest.MonkeyPatch, request_: bytes) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    monkeypatch.setattr(module, "STALLED_SECONDS", 0.05)
    async with sidecar(limits=Limits(keepalive=Duration(0.05))) as rig, _not_reading(rig, request_):
        await until(lambda: not rig.connections())


@pytest.mark.parametrize("request_", [GET, CLOSING], ids=["kept", "closing"])
async def test_a_caller_that_takes_its_answer_late(monkeypatch: pytest.MonkeyPatch, request_: bytes) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    async with sidecar(limits=Limits(keepalive=Duration(0.05))) as rig:
        async with _not_reading(rig, request_) as (caller, connection):
            until_then = connection.deadline
            await until(lambda: connection.deadline > until_then)
            await _takes_all(caller)


@pytest.mark.parametrize("request_", [GET, CLOSING], ids=["kept", "closing"])
async def test_an_answer_that_is_still_going_out_is_waited_for_in_the_end(request_: bytes) -> None:
    async with sidecar() as rig, _not_reading(rig, request_) as (caller, _):
        await rig.listener.stop_accepting()
        draining = asyncio.ensure_future(rig.listener.drained())
        await _takes_all(caller)
        await within(draining)
        assert rig.listener.abort() == 0


@pytest.mark.parametrize("request_", [GET, CLOSING], ids=["kept", "closing"])
async def test_and_is_not_cut_to_make_room(request_: bytes) -> None:
    async with sidecar(limits=Limits(connections=1)) as rig, _not_reading(rig, request_) as (caller, _):
        await rig.call()
        await until(lambda: rig.listener.connections == 2)
        await _takes_all(caller)


# Draining


async def test_while_draining_new_requests_are_refused_and_the_connection_ends() -> None:
    async with sidecar() as rig:
        caller = await rig.call()
        await until(rig.connections)
        await rig.listener.stop_accepting()
        caller.send(GET + GET)
        answer = refused(await caller.rest())
        assert (answer.status, answer.name, answer.fields["Connection"]) == (503, "shutting_down", "close")
        assert rig.stats.errors == {"shutting_down": 1}


async def test_an_answer_that_comes_while_draining_says_close() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        await rig.listener.stop_accepting()
        peer.send(OK)
        assert await caller.rest() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


async def test_winding_down_it_serves_and_ends_each_connection_with_its_answer() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        rig.listener.wind_down()
        caller.send(GET)
        await peer.head()
        peer.send(OK)
        assert await caller.rest() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        other = await rig.call(b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert refused(await other.rest()).fields["Connection"] == "close"


async def test_a_request_behind_an_answer_that_had_begun_gets_a_word_too() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK[:-1])
        assert await caller.take(len(OK) - 1) == OK[:-1]
        await rig.listener.stop_accepting()
        caller.send(GET)
        peer.send(OK[-1:])
        assert await caller.take(1) == OK[-1:]
        assert refused(await caller.rest()).name == "shutting_down"


async def test_a_refusal_while_draining_says_close() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        await rig.listener.stop_accepting()
        peer.close()
        assert refused(await caller.rest()).fields["Connection"] == "close"


@pytest.mark.parametrize("request_bytes", [GET, b"GET / HTTP/1.0\r\n\r\n"])
async def test_an_abort_cuts_visibly(request_bytes: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(request_bytes)
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await caller.until(b"ab")
        assert rig.listener.abort() == 1
        if b"1.0" in request_bytes:
            with pytest.raises(ConnectionResetError):
                await caller.rest()
        else:
            assert b"0\r\n" not in await caller.rest()
        await peer.gone()
        await rig.settled()
        assert rig.stats.requests == {("GET", 200): 1}


# What an event loop does seldom


async def test_calls_that_come_after_the_end_do_nothing() -> None:
    async with sidecar() as rig:
        caller = await rig.call()
        await until(rig.connections)
        [connection] = rig.connections()
        assert repr(connection) == "<caller connection idle>"
        caller.reset()
        await until(lambda: not rig.connections())
        connection.write(b"x")
        connection.write_eof()
        connection.data_received(b"x")
        connection.on_deadline()
        connection.finished(keep=True)
        connection.cut(reset=True)
        connection.abort()
        connection.close_if_idle()
        connection._linger()
        assert repr(connection) == "<caller connection closed>"
