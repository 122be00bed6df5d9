"""Upstreams that fail: before a connection, before a head, in the middle of a body, and too late."""

from __future__ import annotations

import asyncio

import pytest

from proxy.config.model import Duration, Pool, Timeouts, Url
from proxy.forward.exchange import Exchange
from tests.forward.rig import GET, OK, UNAUTHORIZED, Rig, Wire, refused, sidecar, until
from tests.processes import free_port

pytestmark = pytest.mark.uvloop

PUT = b"PUT / HTTP/1.1\r\nHost: localhost\r\n"
HTTP_1_0 = b"GET / HTTP/1.0\r\n\r\n"
FULL = b"X: " + bytes(b"x" * 70_000) + b"\r\n"


async def test_a_refused_connection() -> None:
    port = free_port()
    async with sidecar(url=Url("http", "127.0.0.1", port, "")) as rig:
        caller = await rig.call(GET)
        answer = refused(await caller.message())
        assert answer[:3] == (502, "upstream_unreachable", f"http://127.0.0.1:{port}: the connection was refused")
        assert rig.stats.connects == {"failure": 1}
        assert rig.stats.errors == {"upstream_unreachable": 1}
        # Nothing of it sticks: once the upstream is there, the same connection of the caller is served.
        await rig.origin.close()
        await rig.origin.start(None, port)
        caller.send(GET)
        await rig.origin.serve()
        assert await caller.take(len(OK)) == OK


async def test_every_waiting_request_hears_that_nobody_is_there() -> None:
    async with sidecar(url=Url("http", "127.0.0.1", free_port(), "")) as rig:
        callers = [await rig.call(GET) for _ in range(5)]
        assert [refused(await caller.message()).name for caller in callers] == ["upstream_unreachable"] * 5


async def test_a_connection_that_takes_too_long() -> None:
    async def never(owner: object) -> None:
        await asyncio.Event().wait()

    async with sidecar(timeouts=Timeouts(connect=Duration(0.05))) as rig:
        rig.pool._connect = never  # type: ignore[assignment]
        caller = await rig.call(GET)
        answer = refused(await caller.message())
        assert answer[:2] == (502, "upstream_unreachable")
        assert answer.detail.endswith(": no connection within 0.05 s")
        for task in [*rig.pool._opening]:
            task.cancel()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare LF"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="another version"),
        pytest.param(b"HTTP/1.1 099 Low\r\n\r\n", id="no such status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", id="both framings"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="no number"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", id="an odd coding"),
        pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked in 1.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", id="a space before the colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n", id="obs-fold"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + FULL, id="a head without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + FULL + b"\r\n", id="a head over 64 KiB"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nxx", id="an upgrade nobody asked for"
        ),
        pytest.param(b"HTTP/1.1 103 Early\nHints\r\n\r\n", id="a malformed interim head"),
    ],
)
async def test_an_answer_that_is_no_http(said: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(said)
        answer = refused(await caller.message())
        assert answer[:2] == (502, "upstream_protocol")
        await peer.gone()
        assert rig.stats.errors == {"upstream_protocol": 1}
        caller.send(GET)  # The caller did nothing wrong.
        await rig.origin.serve()
        assert await caller.take(len(OK)) == OK


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nConte", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("reset", [False, True])
async def test_no_whole_head(said: bytes, reset: bool) -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(said)
        if said.endswith(b"\r\n\r\n"):
            await caller.head()
        peer.reset() if reset else peer.close()
        answer = refused(await caller.message())
        assert answer[:3] == (
            502,
            "upstream_protocol",
            "the upstream closed the connection before its answer was whole",
        )


# Cuts in the middle


async def _cut(request: bytes, said: bytes) -> bytes:
    """What the caller has when the upstream's connection ends after `said`."""
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(request)
        peer.send(said)
        began = await caller.head()
        peer.close()
        whole = began + await caller.rest()
        await rig.settled()
        assert rig.stats.errors == {"upstream_protocol": 1}
        assert rig.stats.requests == {("GET", 200): 1}
        return whole


async def test_a_short_body_with_a_length_is_cut_visibly() -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
    assert await _cut(GET, said) == said


@pytest.mark.parametrize("tail", [b"", b"0\r\n"])
async def test_a_short_chunked_body_has_no_last_chunk(tail: bytes) -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    assert await _cut(GET, said + tail) == said


async def test_an_answer_that_is_cut_at_its_head_still_shows_its_head() -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert await _cut(GET, said + b"zz\r\n") == said


async def test_only_a_reset_shows_a_cut_to_http_1_0() -> None:
    with pytest.raises(ConnectionResetError):
        await _cut(HTTP_1_0, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")


async def test_a_reset_cuts_what_would_end_with_the_connection() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\nab")
        await caller.until(b"2\r\nab\r\n")
        peer.reset()
        assert await caller.rest() == b""
        assert rig.stats.errors == {"upstream_protocol": 1}


async def test_bytes_after_the_end_end_the_connection_and_reach_nobody() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(GET + GET)
        peer.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        again = await rig.origin.serve()
        caller.end()
        assert await caller.rest() == OK + OK
        await peer.gone()
        assert again is not peer


async def test_bytes_on_an_idle_connection_end_it() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK)
        await caller.message()
        peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await peer.gone()
        assert rig.pool.idle == 0
        caller.send(GET)
        await rig.origin.serve()
        assert await caller.take(len(OK)) == OK


# A connection that was reused, and closed before the answer


async def _stale(rig: Rig, request: bytes) -> tuple[Wire, Wire]:
    """Send `request` on a connection that has served before; the caller and the upstream's end."""
    caller, peer, _ = await rig.exchange()
    peer.send(OK)
    await caller.message()
    caller.send(request)
    await peer.head()
    return caller, peer


@pytest.mark.parametrize("reset", [False, True])
async def test_a_stale_connection_is_replaced_once(reset: bool) -> None:
    async with sidecar() as rig:
        caller, peer = await _stale(rig, GET)
        peer.reset() if reset else peer.close()
        again = await rig.origin.accept()
        assert await again.head() == rig.forwarded(b"GET /")
        again.send(OK)
        assert await caller.take(len(OK)) == OK
        assert not rig.stats.errors
        assert rig.stats.requests == {("GET", 200): 2}


async def test_the_replacement_is_a_new_connection_though_others_wait() -> None:
    """One that another request has used in the meantime may be as stale as the first."""
    async with sidecar(pool=Pool(max_connections=1)) as rig:
        caller, peer = await _stale(rig, GET)
        other = await rig.call(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: rig.pool.waiting)
        peer.close()
        new = await rig.origin.accept()
        assert await new.head() == rig.forwarded(b"GET /")
        new.send(OK)
        assert await caller.message() == OK
        assert await new.head() == rig.forwarded(b"GET /other")
        new.send(OK)
        assert await other.message() == OK


async def test_the_replacement_is_not_replaced() -> None:
    async with sidecar() as rig:
        caller, peer = await _stale(rig, GET)
        peer.close()
        again = await rig.origin.accept()
        await again.head()
        again.close()
        assert refused(await caller.message())[:2] == (502, "upstream_protocol")


async def test_the_replacement_is_not_replaced_after_a_401_either() -> None:
    # By then it has been used before, which is what a stale connection is told by.
    async with sidecar() as rig:
        caller, peer = await _stale(rig, GET)
        peer.close()
        again = await rig.origin.accept()
        await again.head()
        rig.tokens.recovers()
        again.send(UNAUTHORIZED)
        assert await again.head() == rig.forwarded(b"GET /", token="tok.2")
        again.close()
        assert refused(await caller.message())[:2] == (502, "upstream_protocol")
        assert len(rig.origin.wires) == 2


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_once_a_byte_came_the_request_is_not_repeated(said: bytes) -> None:
    async with sidecar() as rig:
        caller, peer = await _stale(rig, GET)
        peer.send(said)
        peer.close()
        raw = await caller.message()
        if said != b"H":
            assert raw == said
            raw = await caller.message()
        assert refused(raw)[:2] == (502, "upstream_protocol")


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"PROPFIND"])
async def test_other_methods_are_not_repeated(method: bytes) -> None:
    async with sidecar() as rig:
        caller, peer = await _stale(rig, method + GET[3:])
        peer.close()
        assert refused(await caller.message())[:2] == (502, "upstream_protocol")
        assert len(rig.origin.wires) == 1


@pytest.mark.parametrize(
    ("framing", "body", "sent"),
    [
        (b"Content-Length: 5", b"hello", b"hello"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
async def test_a_kept_body_is_sent_again_byte_for_byte(framing: bytes, body: bytes, sent: bytes) -> None:
    async with sidecar() as rig:
        caller, peer = await _stale(rig, PUT + framing + b"\r\n\r\n" + body)
        assert await peer.take(len(sent)) == sent
        peer.close()
        again = await rig.origin.accept()
        assert await again.head() == rig.forwarded(b"PUT /", framing)
        assert await again.take(len(sent)) == sent
        again.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_a_body_that_still_comes_goes_on_to_the_replacement() -> None:
    async with sidecar() as rig:
        caller, peer = await _stale(rig, PUT + b"Content-Length: 5\r\n\r\nhe")
        await peer.take(2)
        peer.close()
        again = await rig.origin.accept()
        await again.head()
        assert await again.take(2) == b"he"
        caller.send(b"llo")
        assert await again.take(3) == b"llo"
        again.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_a_body_that_was_not_kept_is_not_sent_again() -> None:
    async with sidecar(replay_limit=4) as rig:
        caller, peer = await _stale(rig, PUT + b"Content-Length: 5\r\n\r\nhello")
        await peer.take(5)
        peer.close()
        assert refused(await caller.message())[:2] == (502, "upstream_protocol")


# Too late


async def test_no_head_in_time() -> None:
    async with sidecar(timeouts=Timeouts(response=Duration(0.05))) as rig:
        caller, peer, _ = await rig.exchange()
        answer = refused(await caller.message())
        assert answer[:3] == (504, "upstream_timeout", "the upstream did not answer within 0.05 s")
        await peer.gone()
        assert rig.stats.errors == {"upstream_timeout": 1}
        caller.send(GET)
        await rig.origin.serve()
        assert await caller.take(len(OK)) == OK


async def test_a_body_that_stops_is_cut() -> None:
    async with sidecar(timeouts=Timeouts(idle=Duration(0.05))) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert await caller.rest() == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"
        await peer.gone()
        assert rig.stats.errors == {"upstream_timeout": 1}
        assert rig.stats.requests == {("GET", 200): 1}


async def test_a_renewal_is_not_counted_as_the_upstreams_time() -> None:
    async with sidecar(timeouts=Timeouts(response=Duration(0.05), idle=Duration(0.05))) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await until(lambda: rig.tokens.refusals)
        [connection] = rig.connections()
        assert isinstance(connection._exchange, Exchange)
        assert connection._exchange.deadline == float("inf")
        rig.tokens.recovers()
        assert await peer.head() == rig.forwarded(b"GET /", token="tok.2")
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
