"""A 401 of the upstream: the token is renewed, and the request sent again where that is possible."""

from __future__ import annotations

import pytest

from proxy.config.model import Size
from tests.forward.rig import GET, OK, UNAUTHORIZED, Rig, refused, sidecar, until

pytestmark = pytest.mark.uvloop

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = (POST + b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 5", b"hello")
CHUNKED = (
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked",
    b"5\r\nhello\r\n0\r\n\r\n",
)


async def test_a_request_is_sent_again_with_the_new_token() -> None:
    async with sidecar() as rig:
        caller, peer, head = await rig.exchange()
        rig.tokens.recovers()
        peer.send(UNAUTHORIZED)
        assert await peer.head() == head.replace(b"tok.1", b"tok.2")  # On the same connection: the 401 ended cleanly.
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        assert rig.tokens.refusals == [1]
        assert rig.tokens.accepts == [2]
        assert rig.stats.unauthorized == {"replayed": 1}
        assert rig.stats.requests == {("GET", 200): 1}
        assert rig.stats.connects == {"success": 1}


@pytest.mark.parametrize(("request_bytes", "framing", "body"), [LENGTH, CHUNKED])
async def test_a_small_body_is_sent_again_whole(request_bytes: bytes, framing: bytes, body: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, head = await rig.exchange(request_bytes)
        assert head == rig.forwarded(b"POST /", framing)
        assert await peer.take(len(body)) == body
        rig.tokens.recovers()
        peer.send(UNAUTHORIZED)
        assert await peer.head() == rig.forwarded(b"POST /", framing, token="tok.2")
        assert await peer.take(len(body)) == body
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def _passed_on(rig: Rig, request_bytes: bytes, body: bytes, outcome: str) -> None:
    """The upstream's own 401 goes to the caller, and the connections stay good."""
    caller, peer, _ = await rig.exchange(request_bytes)
    await peer.take(len(body))
    peer.send(UNAUTHORIZED)
    assert await caller.take(len(UNAUTHORIZED)) == UNAUTHORIZED
    await until(lambda: rig.stats.unauthorized)
    assert rig.stats.unauthorized == {outcome: 1}
    assert rig.tokens.refusals == [1]
    assert rig.stats.requests[request_bytes[: request_bytes.index(b" ")].decode(), 401] == 1
    assert not rig.stats.errors
    caller.send(GET)
    await peer.head()
    peer.send(OK)
    assert await caller.take(len(OK)) == OK


@pytest.mark.parametrize(("request_bytes", "framing", "body"), [LENGTH, CHUNKED])
async def test_a_body_over_the_limit_is_not_sent_again(request_bytes: bytes, framing: bytes, body: bytes) -> None:
    async with sidecar(replay_limit=Size(4)) as rig:
        rig.tokens.recovers()
        await _passed_on(rig, request_bytes, body, "passed_on")
        assert rig.tokens.token is not None
        assert rig.tokens.token.number == 2  # Renewed all the same, for the next one.


async def test_without_retry_the_token_is_renewed_but_the_request_not_sent_again() -> None:
    async with sidecar(retry_on_401=False) as rig:
        rig.tokens.recovers()
        await _passed_on(rig, GET, b"", "passed_on")


@pytest.mark.parametrize(("outcome", "counted"), [("failed", "passed_on"), ("cooling_down", "cooling_down")])
@pytest.mark.parametrize("retry", [True, False])
async def test_without_a_new_token_the_upstreams_401_passes(outcome: str, counted: str, retry: bool) -> None:
    async with sidecar(retry_on_401=retry) as rig:
        rig.tokens.recovers(outcome)
        await _passed_on(rig, GET, b"", counted)


async def test_the_second_401_is_the_callers() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        rig.tokens.recovers()
        peer.send(UNAUTHORIZED)
        await peer.head()
        peer.send(UNAUTHORIZED)
        assert await caller.take(len(UNAUTHORIZED)) == UNAUTHORIZED
        await until(lambda: len(rig.tokens.refusals) == 2)
        assert rig.tokens.refusals == [1, 2]
        assert rig.tokens.accepts == []


@pytest.mark.parametrize("outcome", ["renewed", "failed"])
@pytest.mark.parametrize(
    ("said", "given"),
    [
        (b"Connection: close\r\nContent-Length: 4\r\n\r\nnope", b"Content-Length: 4\r\n\r\nnope"),
        (b"Connection: close\r\n\r\nnope", b"Transfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n"),
        (b"Connection: close\r\nContent-Length: 0\r\n\r\n", b"Content-Length: 0\r\n\r\n"),
    ],
)
async def test_a_401_that_ends_its_connection(said: bytes, given: bytes, outcome: str) -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\n" + said)
        peer.close()
        await until(lambda: rig.tokens.refusals and not rig.pool.busy)  # It is gone before the renewal has ended.
        rig.tokens.recovers(outcome)
        if outcome == "renewed":
            again = await rig.origin.accept()
            assert await again.head() == rig.forwarded(b"GET /", token="tok.2")
            again.send(OK)
            assert await caller.take(len(OK)) == OK
        else:
            expected = b"HTTP/1.1 401 Unauthorized\r\n" + given
            assert await caller.take(len(expected)) == expected


async def test_a_401_cut_short_while_it_was_held_is_cut_for_the_caller() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nno")
        peer.close()
        await until(lambda: rig.tokens.refusals and not rig.pool.busy)
        rig.tokens.recovers("failed")
        assert await caller.rest() == b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nno"
        assert rig.stats.errors == {"upstream_protocol": 1}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"Content-Length: 4\r\n\r\nno", id="body not here"),
        pytest.param(b"Content-Length: 4\r\n\r\nnope!", id="bytes past the end"),
        pytest.param(b"Content-Length: 0\r\n\r\n!", id="bytes past no body"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nnot a size\r\n", id="malformed body"),
        pytest.param(b"Content-Length: 1000000\r\n\r\n" + bytes(1_000_000), id="a body larger than is held"),
    ],
)
async def test_a_401_that_is_not_clean_costs_its_connection(said: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\n" + said)
        await until(lambda: rig.tokens.refusals)
        rig.tokens.recovers()
        again = await rig.origin.accept()
        assert await again.head() == rig.forwarded(b"GET /", token="tok.2")
        await peer.gone()
        again.send(OK)
        assert await caller.take(len(OK)) == OK
        assert rig.stats.connects == {"success": 2}


async def test_a_large_401_that_was_held_passes_whole() -> None:
    body = bytes(range(256)) * 8000
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        [busy] = rig.pool._busy
        await until(lambda: not busy._reading)
        rig.tokens.recovers("failed")
        await caller.head()
        assert await caller.take(len(body)) == body
        assert rig.pool.idle == 1


async def test_a_401_while_the_body_still_comes() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: 5\r\n\r\nhe")
        assert await peer.take(2) == b"he"
        peer.send(UNAUTHORIZED)
        await until(lambda: rig.tokens.refusals)
        caller.send(b"l")  # Waits: the old connection gets no more of it.
        rig.tokens.recovers()
        again = await rig.origin.accept()
        assert await again.head() == rig.forwarded(b"POST /", b"Content-Length: 5", token="tok.2")
        assert await peer.rest() == b""
        caller.send(b"lo")
        assert await again.take(5) == b"hello"
        again.send(OK)
        assert await caller.take(len(OK)) == OK
        caller.send(GET)
        assert await again.head()
        again.send(OK)
        await caller.message()


async def test_a_401_that_stays_while_the_body_still_comes() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: 5\r\n\r\nhe")
        peer.send(UNAUTHORIZED[:-2])
        await until(lambda: rig.tokens.refusals)
        rig.tokens.recovers("failed")
        await caller.head()
        caller.send(b"llo")  # Goes on to the upstream, which said no but has not ended its answer.
        assert await peer.take(5) == b"hello"
        peer.send(UNAUTHORIZED[-2:])
        assert await caller.take(4) == b"nope"
        assert rig.pool.idle == 1


async def test_a_caller_that_cuts_its_body_during_a_renewal() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(POST + b"Content-Length: 5\r\n\r\nhe")
        peer.send(UNAUTHORIZED)
        await until(lambda: rig.tokens.refusals)
        caller.end()
        # Its end is read when its body is: the renewal comes first.
        rig.tokens.recovers("failed")
        answer = await caller.rest()
        assert answer == UNAUTHORIZED or refused(answer).name == "bad_request"


async def test_a_caller_that_goes_during_a_renewal_ends_only_its_own_wait() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(UNAUTHORIZED)
        await until(lambda: rig.tokens.refusals)
        caller.reset()
        await until(lambda: rig.tokens.cancelled)
        assert not rig.tokens.recovery.cancelled()
        await peer.gone()
        await rig.settled()
        assert rig.stats.requests == {("GET", 499): 1}


async def test_a_403_is_never_a_reason_to_renew() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        peer.send(answer)
        assert await caller.take(len(answer)) == answer
        assert rig.tokens.refusals == []
