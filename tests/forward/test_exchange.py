"""One request and its answer: what goes through, and in which framing, byte by byte on both wires."""

from __future__ import annotations

import socket

import pytest

from proxy.config.model import Address, Auth, Headers, RequireHeader, Url, Value
from tests.forward.rig import GET, OK, ONE_MIB, refused, sidecar, until

pytestmark = pytest.mark.uvloop

VIA = b"Via: 1.1 cognito-sidecar"


async def test_a_request_goes_through_untouched_but_for_its_hop() -> None:
    sent = (
        b"GET /a%2fb/?q=%20&q#not-a-fragment-here HTTP/1.1\r\nHOST: LocalHost:8080\r\n"
        b"x-Case: One\r\nX-CASE:   two \t\r\nKeep-Alive: 5\r\nX-Empty:\r\nauthorization: Basic evil\r\n"
        b"X-Hop: 1\r\nTE: trailers\r\nConnection: x-hop, close\r\nAUTHORIZATION: evil\r\nX-Latin: \xe4\xf6\r\n"
        b"Accept-Encoding: gzip\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nVia: 1.0 before\r\n\r\n"
    )
    async with sidecar() as rig:
        caller, peer, head = await rig.exchange(sent)
        assert head == rig.forwarded(
            b"GET /a%2fb/?q=%20&q#not-a-fragment-here",
            *(b"x-Case: One", b"X-CASE:   two \t", b"X-Empty:", b"X-Latin: \xe4\xf6"),
            *(b"Accept-Encoding: gzip", b"Via: 1.0 before"),
        )
        peer.send(OK)
        assert await caller.rest() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        assert rig.stats.requests == {("GET", 200): 1}
        assert rig.stats.connects == {"success": 1}
        assert not rig.stats.errors


async def test_an_answer_goes_through_untouched_but_for_its_hop() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(
            b"HTTP/1.1 299 Very \xc3\xb6dd\r\nserver: s\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
            b"Keep-Alive: timeout=5\r\n"
            b"X-Sidecar-Error: forged\r\nX-Hop: 1\r\nConnection: keep-alive, X-Hop\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 3\r\nTrailer: x\r\nWWW-Authenticate: Bearer\r\nProxy-Authenticate: x\r\n"
            b"X-E:\r\n\r\n\x1f\x8b\x00"
        )
        expected = (
            b"HTTP/1.1 299 Very \xc3\xb6dd\r\nserver: s\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: 3\r\nWWW-Authenticate: Bearer\r\nX-E:\r\n\r\n\x1f\x8b\x00"
        )
        assert await caller.take(len(expected)) == expected
        assert rig.pool.idle == 1


async def test_configured_changes_and_the_key_of_the_sidecar() -> None:
    auth = Auth(
        token_url=Url("http", "127.0.0.1", 9, "/t"),
        client_id=Value("a"),
        client_secret=(Value("b"),),
        header="X-Token",
        scheme="",
    )
    headers = Headers(set={"X-Api-Key": Value("k")}, remove=("Cookie",))
    key = RequireHeader(name="X-Sidecar-Key", value=Value("let me in"))
    async with sidecar(auth=auth, headers=headers, key=key, prefix="/api", base="/dev") as rig:
        caller, peer, head = await rig.exchange(
            b"GET /api/x?y HTTP/1.1\r\nHost: localhost\r\nx-sidecar-key: let me in\r\ncookie: c\r\n"
            b"x-api-key: mine\r\nX-TOKEN: mine\r\nAuthorization: stays\r\n\r\n"
        )
        assert head == (
            b"GET /dev/x?y HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: stays\r\nX-Api-Key: k\r\n%b\r\n"
            b"X-Token: tok.1\r\n\r\n" % (rig.origin.port, VIA)
        )
        peer.send(
            b"HTTP/1.1 302 Found\r\nLocation: /dev/z?1\r\nContent-Location: http://127.0.0.1:%d/dev/w\r\n"
            % rig.origin.port
        )
        peer.send(b"Content-Length: 0\r\n\r\n")
        assert await caller.head() == (
            b"HTTP/1.1 302 Found\r\nLocation: /api/z?1\r\nContent-Location: http://localhost/api/w\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        denied = await rig.call(b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert refused(await denied.message())[:2] == (403, "caller_denied")


async def test_a_location_for_a_caller_that_named_no_host() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(b"GET / HTTP/1.0\r\n\r\n")
        peer.send(
            b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n" % rig.origin.port
        )
        assert b"\r\nLocation: http://%b/x\r\n" % str(rig.listener.address).encode() in await caller.rest()


async def test_a_redirect_is_the_callers_to_follow() -> None:
    async with sidecar() as rig:
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            elsewhere.setblocking(False)
            caller, peer, _ = await rig.exchange()
            place = b"http://127.0.0.1:%d/token" % elsewhere.getsockname()[1]
            peer.send(b"HTTP/1.1 307 Go\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % place)
            assert b"\r\nLocation: %b\r\n" % place in await caller.message()
            with pytest.raises(BlockingIOError):
                elsewhere.accept()


ANSWERS = [
    pytest.param(
        b"GET", b"200 OK\r\nContent-Length: 2\r\n\r\nok", b"200 OK\r\nContent-Length: 2\r\n\r\nok", id="length"
    ),
    pytest.param(
        b"GET",
        b"200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
        b"200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        id="chunked",
    ),
    pytest.param(
        b"GET",
        b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        id="chunked and empty",
    ),
    pytest.param(b"GET", b"200\r\nContent-Length: 0\r\n\r\n", b"200 \r\nContent-Length: 0\r\n\r\n", id="no reason"),
    pytest.param(b"GET", b"204 No\r\nContent-Length: 9\r\n\r\n", b"204 No\r\n\r\n", id="204"),
    pytest.param(b"GET", b"304 N\r\nContent-Length: 9\r\n\r\n", b"304 N\r\nContent-Length: 9\r\n\r\n", id="304"),
    pytest.param(b"HEAD", b"200 OK\r\nContent-Length: 9\r\n\r\n", b"200 OK\r\nContent-Length: 9\r\n\r\n", id="HEAD"),
    pytest.param(b"HEAD", b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"200 OK\r\n\r\n", id="HEAD, chunked"),
    pytest.param(b"HEAD", b"200 OK\r\n\r\n", b"200 OK\r\n\r\n", id="HEAD, nothing said"),
]


@pytest.mark.parametrize(("method", "answer", "expected"), ANSWERS)
async def test_framing_of_answers_that_leave_both_connections_usable(
    method: bytes, answer: bytes, expected: bytes
) -> None:
    async with sidecar() as rig:
        request = method + GET[3:]
        caller, peer, _ = await rig.exchange(request)
        for _ in range(2):
            peer.send(b"HTTP/1.1 " + answer)
            assert await caller.take(len(expected) + 9) == b"HTTP/1.1 " + expected
            caller.send(request)
            await peer.head()
        peer.send(b"HTTP/1.1 " + answer)
        caller.end()
        assert await caller.rest() == b"HTTP/1.1 " + expected
        assert rig.stats.connects == {"success": 1}
        assert sum(rig.stats.requests.values()) == 3


async def test_a_body_that_ends_with_the_upstreams_connection_goes_on_as_chunked() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello")
        expected = b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        assert await caller.take(len(expected)) == expected
        peer.send(b"!")
        assert await caller.take(6) == b"1\r\n!\r\n"
        peer.close()
        assert await caller.take(5) == b"0\r\n\r\n"
        caller.send(GET)  # The caller's own connection has not ended with it.
        await rig.origin.serve()
        assert await caller.take(len(OK)) == OK


async def test_a_response_of_http_1_0_ends_the_upstreams_connection() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert await caller.take(len(OK)) == OK
        await peer.gone()
        assert (rig.pool.idle, rig.pool.busy) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"Content-Length: 2\r\nConnection: close\r\n\r\nok"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            b"Connection: close\r\n\r\nabcde",
        ),
    ],
)
async def test_http_1_0_callers_get_what_they_understand(answer: bytes, expected: bytes) -> None:
    async with sidecar() as rig:
        caller, peer, head = await rig.exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nX-A: b\r\n\r\n")
        assert head == rig.forwarded(b"GET /", b"X-A: b")
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer)
        assert await caller.rest() == b"HTTP/1.1 200 OK\r\n" + expected
        assert rig.pool.idle == 1


async def test_http_1_0_on_both_sides_ends_with_the_connection() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(b"GET / HTTP/1.0\r\n\r\n")
        peer.send(b"HTTP/1.0 200 OK\r\n\r\nabc")
        peer.close()
        assert await caller.rest() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"


async def test_interim_answers_pass_but_for_100() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" + hints)
        assert await caller.take(len(hints)) == hints
        peer.send(hints + b"HTTP/1.1 102 Processing\r\nConnection: x\r\nX: y\r\n\r\n" + OK)
        expected = hints + b"HTTP/1.1 102 Processing\r\n\r\n" + OK
        assert await caller.take(len(expected)) == expected
        assert rig.stats.requests == {("GET", 200): 1}


async def test_interim_answers_come_as_fast_as_the_caller_takes_them() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: %s\r\n\r\n" % (b"x" * 60_000)
        for _ in range(600):
            peer.send(hint)
        peer.send(OK)
        [connection] = rig.connections()
        await until(lambda: not connection.writable)
        [busy] = rig.pool._busy
        await until(lambda: not busy._reading)
        assert peer.unsent > ONE_MIB, "the rest waits at the upstream"
        assert connection._unsent_bytes() < ONE_MIB
        for _ in range(600):
            assert await caller.take(len(hint)) == hint
        assert await caller.take(len(OK)) == OK


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with sidecar() as rig:
        requests = [b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(3)]
        bad = b"GET /x HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"
        caller = await rig.call(requests[0] + bad + bad + b"\r\n" + requests[1] + requests[2])
        caller.end()
        peer = await rig.origin.accept()
        answers = []
        for number in range(3):
            assert await peer.head() == rig.forwarded(b"GET /%d" % number)
            answers.append(b"HTTP/1.1 200 OK\r\nX-Number: %d\r\nContent-Length: 0\r\n\r\n" % number)
            peer.send(answers[-1])
        assert await caller.message() == answers[0]
        assert [refused(await caller.message()).name for _ in range(2)] == ["caller_denied"] * 2
        assert await caller.rest() == answers[1] + answers[2]
        assert rig.stats.requests == {("GET", 200): 3, ("GET", 403): 2}


async def test_byte_by_byte_both_ways() -> None:
    async with sidecar() as rig:
        caller = await rig.call()
        await caller.send_bytewise(b"\r\nPOST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer = await rig.origin.accept()
        assert await peer.head() == rig.forwarded(b"POST /x", b"Transfer-Encoding: chunked")
        await caller.send_bytewise(b"0002;a=b\r\nab\r\n3\r\n")
        assert await peer.take(12) == b"1\r\na\r\n1\r\nb\r\n"
        await caller.send_bytewise(b"cde\r\n0\r\nT: x\r\n\r\n")
        assert await peer.until(b"0\r\n\r\n") == b"1\r\nc\r\n1\r\nd\r\n1\r\ne\r\n0\r\n\r\n"
        await peer.send_bytewise(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        # The head is there before any of the body is.
        assert await caller.head() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for byte in (b"d", b"a", b"t", b"a"):  # As server-sent events come: each at once, whatever its size.
            await peer.send_bytewise(b"1\r\n" + byte + b"\r\n")
            assert await caller.take(6) == b"1\r\n" + byte + b"\r\n"
        await peer.send_bytewise(b"0\r\n\r\n")
        assert await caller.take(5) == b"0\r\n\r\n"
        assert rig.pool.idle == 1


async def test_a_caller_that_closed_its_half_gets_its_answer() -> None:
    async with sidecar() as rig:
        caller = await rig.call(GET)
        caller.end()
        peer = await rig.origin.serve(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
        await caller.head()
        peer.send(b"ok")
        assert await caller.rest() == b"okok"


async def test_a_token_that_was_not_proven_is_reported_once() -> None:
    async with sidecar() as rig:
        assert rig.tokens.token is not None
        rig.tokens.token.proven = False
        caller, peer, _ = await rig.exchange(GET + GET)
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await peer.head()
        peer.send(OK)
        await caller.message()
        await caller.message()
        assert rig.tokens.accepts == [1]


async def test_a_listener_on_a_unix_socket_accepts_any_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    where = Address("", 0, str(tmp_path_factory.mktemp("s") / "s"))
    async with sidecar(listen=where) as rig:
        caller, peer, head = await rig.exchange(b"GET /x HTTP/1.1\r\nHost: anything.example\r\n\r\n")
        assert head == rig.forwarded(b"GET /x")
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
