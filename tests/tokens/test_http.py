"""The way to the token endpoint, on real sockets: every odd answer is a reason in words, and none is quoted."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import ssl
import zlib
from shutil import copyfile
from typing import Any, Final

import aiohttp
import pytest

from proxy.clock import SystemClock
from proxy.config.model import Tls, Url, Value
from proxy.errors import Reason, TokenError
from proxy.outgoing import LONGEST_BODY, unpack
from proxy.secret import Secret
from proxy.tls import TlsFileError
from proxy.tokens import TokenSource
from proxy.tokens.endpoint import Endpoint, Grant
from proxy.tokens.http import HttpTransport, describe
from tests.certificates import Authority
from tests.tokens.helpers import SECRET, make_auth
from tests.tokens.servers import Server, http, serving

pytestmark = pytest.mark.uvloop

GOOD: Final = json.dumps({"access_token": "the-token", "token_type": "Bearer", "expires_in": 3600}).encode()


def packed(plain: bytes) -> bytes:
    """gzip without the time of day, which would be in the name of the test."""
    return gzip.compress(plain, mtime=0)


def client(port: int, *, scheme: str = "http", path: str = "/oauth2/token", **changes: Any) -> Endpoint:
    url = Url(scheme, changes.pop("host", "127.0.0.1"), port, path)  # type: ignore[arg-type]
    extra_ca_file = changes.pop("extra_ca_file", None)
    auth = make_auth(token_url=url, **changes)
    return Endpoint(auth, HttpTransport(auth, extra_ca_file=extra_ca_file), SystemClock())


async def fetch(server: Server, **changes: Any) -> Grant:
    return await client(server.port, **changes).obtain(Value(SECRET))


async def refusal(server: Server, **changes: Any) -> TokenError:
    with pytest.raises(TokenError) as caught:
        await fetch(server, **changes)
    error = caught.value
    assert error.__context__ is None, "aiohttp's errors quote the request"
    assert SECRET not in str(error)
    assert "the-token" not in str(error)
    return error


# ------------------------------------------------------------------------------------------------------ one call


async def test_what_is_sent() -> None:
    async with serving(http(200, GOOD)) as server:
        assert await fetch(server, path="/oauth2/token?a=%2Fb&c=d%20e") == Grant(
            Secret("the-token"), 3600.0, ("orders/READ",)
        )
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")
    assert lines[0] == "POST /oauth2/token?a=%2Fb&c=d%20e HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines[1:])
    assert fields.pop("Authorization").startswith("Basic ")
    assert fields == {
        "Host": f"127.0.0.1:{server.port}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
        "User-Agent": "cognito-sidecar",
        "Connection": "close",
    }
    assert body == b"grant_type=client_credentials&scope=orders%2FREAD"


COGNITO: Final = (
    "Content-Type: application/json;charset=UTF-8",
    "Set-Cookie: XSRF-TOKEN=0f3c; Path=/; Secure; HttpOnly; SameSite=Lax",
    "Set-Cookie: ;;;=\x01 not a cookie",
    "x-amz-cognito-request-id: 3d0c",
    "Cache-Control: no-cache, no-store, max-age=0, must-revalidate",
    "Expires: 0",
)


async def test_cookies_are_not_kept() -> None:
    async with serving(http(200, GOOD, *COGNITO)) as server:
        endpoint = client(server.port)
        await endpoint.obtain(Value(SECRET))
        await endpoint.obtain(Value(SECRET))
    assert b"cookie" not in server.requests[1].lower()
    assert server.connections == 2


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(http(200, GOOD)) as server, serving(b"") as egress:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{egress.port}")
        assert (await fetch(server)).token.reveal() == "the-token"
    assert egress.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    async with serving(http(200, GOOD)) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/{SECRET}"
        async with serving(http(status, b"", location)) as server:
            error = await refusal(server)
    assert error.reason == "malformed_response"
    assert "which is not followed" in error.detail
    assert elsewhere.connections == 0


def chunked(*pieces: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize(
    "sent",
    [
        chunked(GOOD[:5], GOOD[5:], b""),
        b"HTTP/1.0 200 OK\r\n\r\n" + GOOD,
        http(200, packed(GOOD), "Content-Encoding: gzip"),
        http(200, zlib.compress(GOOD), "Content-Encoding: Deflate"),
        http(200, b"\xef\xbb\xbf" + GOOD, "Content-Type: text/html"),
        http(200, GOOD.replace(b"}", b"," + b" " * 60_000 + b'"x": 1}')),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + http(200, GOOD),
    ],
    ids=["chunked", "http/1.0", "gzip", "deflate", "bom", "large", "early hints"],
)
async def test_answers_that_are_good_enough(sent: bytes) -> None:
    async with serving(sent) as server:
        assert (await fetch(server)).token.reveal() == "the-token"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (http(429, b"{}", "Retry-After: 5"), "throttled"),
        (http(503, b"<html>"), "server_error"),
        (http(400, b'{"error":"invalid_client"}'), "invalid_client"),
        (http(401, b'{"error":"invalid_client"}', "WWW-Authenticate: Basic realm=x"), "invalid_client"),
        (http(405), "malformed_response"),
        (http(204), "malformed_response"),
        (http(200), "malformed_response"),
        (http(200, b"{" + GOOD), "malformed_response"),
        (http(200, GOOD + b" " * LONGEST_BODY), "malformed_response"),
        (chunked(*[b" " * 4096] * 20, GOOD, b""), "malformed_response"),
        (http(200, packed(GOOD + b" " * 10_000_000), "Content-Encoding: gzip"), "malformed_response"),
        (http(200, GOOD, "Content-Encoding: gzip"), "malformed_response"),
        (http(200, GOOD, "Content-Encoding: br"), "malformed_response"),
        (http(200, GOOD, "X-Long: " + "x" * 9000), "malformed_response"),
        (http(200, GOOD, *["X-Many: x"] * 200), "malformed_response"),
        (b"nonsense\r\n\r\n", "malformed_response"),
        (b"HTTP/1.1 abc\r\n\r\n", "malformed_response"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "malformed_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + GOOD, "malformed_response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GOOD, "connection"),
        (chunked(GOOD), "connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "connection"),
        (b"", "connection"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[:60]),
)
async def test_odd_answers(sent: bytes, reason: Reason) -> None:
    async with serving(sent) as server:
        error = await refusal(server)
    assert error.reason == reason
    assert error.retry_after == (5.0 if reason == "throttled" else None)


async def test_a_body_that_says_nothing_is_not_waited_for() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 429 Slow\r\nContent-Length: 100000\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serving(endless) as server:
        assert (await refusal(server)).reason == "throttled"


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
async def test_an_answer_that_takes_too_long(first: bytes) -> None:
    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await reader.read()

    async with serving(stuck) as server:
        error = await refusal(server, request_timeout=0.1)
    assert str(error) == "timeout: the token endpoint did not answer within 0.1 s"


async def test_a_reset_connection() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(reset) as server:
        assert (await refusal(server)).reason == "connection"


async def test_nobody_listens() -> None:
    async with serving(b"") as server:
        pass
    error = await refusal(server)
    assert str(error) == "connection: there is no connection to the token endpoint (connection refused)"


async def test_a_whole_source_on_real_sockets() -> None:
    async with serving(http(200, GOOD)) as server:
        source = TokenSource(make_auth(token_url=Url("http", "127.0.0.1", server.port, "/t")), ("orders",))
        source.start()
        token = await source.wait(5)
        assert token.reveal() == "the-token"
        assert source.current() is token
        await source.close()


# ------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture
def authority(tmp_path: Any) -> Authority:
    return Authority(tmp_path)


def server_context(authority: Authority, *names: str, days: int = 36_500) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(*names, days=days))
    return context


async def test_a_private_authority(authority: Authority) -> None:
    async with serving(http(200, GOOD), tls=server_context(authority, "127.0.0.1")) as server:
        assert (await fetch(server, scheme="https", tls=Tls(ca_file=authority.ca_file))).token.reveal() == "the-token"


async def test_the_upstreams_authority_serves_where_the_endpoint_has_no_tls_settings(authority: Authority) -> None:
    async with serving(http(200, GOOD), tls=server_context(authority, "127.0.0.1")) as server:
        assert (await fetch(server, scheme="https", extra_ca_file=authority.ca_file)).token.reveal() == "the-token"
        own = Tls(server_name="127.0.0.1")
        assert (await refusal(server, scheme="https", extra_ca_file=authority.ca_file, tls=own)).reason == "tls"


async def test_a_server_name_of_its_own(authority: Authority) -> None:
    async with serving(http(200, GOOD), tls=server_context(authority, "idp.internal")) as server:
        named = Tls(ca_file=authority.ca_file, server_name="idp.internal")
        assert (await fetch(server, scheme="https", tls=named)).token.reveal() == "the-token"
        error = await refusal(server, scheme="https", tls=Tls(ca_file=authority.ca_file))
    assert error.reason == "tls"
    assert "certificate cannot be trusted: " in error.detail


async def test_certificates_that_cannot_be_trusted(authority: Authority) -> None:
    async with serving(http(200, GOOD), tls=server_context(authority, "127.0.0.1", days=1)) as server:
        unknown = await refusal(server, scheme="https")
        expired = await refusal(server, scheme="https", tls=Tls(ca_file=authority.ca_file))
    assert (unknown.reason, expired.reason) == ("tls", "tls")
    assert expired.detail == "the token endpoint's certificate cannot be trusted: certificate has expired"
    assert server.requests == [], "nothing was sent to a server that may be anybody"


async def test_a_server_that_speaks_no_tls() -> None:
    async with serving(b"HTTP/1.1 400 Bad Request\r\n\r\n", reads=False) as server:
        error = await refusal(server, scheme="https")
    assert str(error) == "tls: the TLS handshake with the token endpoint failed"


async def test_a_client_certificate(authority: Authority) -> None:
    context = server_context(authority, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    ours = authority.issue("the-client")
    async with serving(http(200, GOOD), tls=context) as server:
        tls = Tls(ca_file=authority.ca_file, cert_file=ours.cert, key_file=ours.key)
        assert (await fetch(server, scheme="https", tls=tls)).token.reveal() == "the-token"
        assert (await refusal(server, scheme="https", tls=Tls(ca_file=authority.ca_file))).reason in (
            "tls",
            "connection",
        )


async def test_a_certificate_renewed_on_disk_is_used_at_the_next_call(authority: Authority, tmp_path: Any) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(b"not yet")
    async with serving(http(200, GOOD), tls=server_context(authority, "127.0.0.1")) as server:
        endpoint = client(server.port, scheme="https", tls=Tls(ca_file=str(trusted)))
        with pytest.raises(TokenError, match=r"^tls: ca_file: "):
            await endpoint.obtain(Value(SECRET))
        copyfile(authority.ca_file, trusted)
        assert (await endpoint.obtain(Value(SECRET))).token.reveal() == "the-token"
        assert (await endpoint.obtain(Value(SECRET))).token.reveal() == "the-token"


# -------------------------------------------------------------------------------------------------- errors in words


def _alert() -> Exception:
    """How aiohttp tells that a server has ended TLS after the handshake."""
    error = aiohttp.ClientOSError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]")
    error.__cause__ = cause = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]")
    cause.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return error


def _unsent() -> Exception:
    """How aiohttp tells that the connection ended while it sent the request."""
    error = aiohttp.ClientOSError(None, "Can not write request body for https://idp/")
    error.__cause__ = aiohttp.ClientConnectionResetError("Cannot write to closing transport")
    return error


def _key() -> aiohttp.client_reqrep.ConnectionKey:
    return aiohttp.client_reqrep.ConnectionKey("idp", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (TimeoutError(), "timeout", "the token endpoint did not answer within 3 s"),
        (TlsFileError("ca_file", "/ca", "gone"), "tls", "ca_file: /ca: gone"),
        (TlsFileError("key_file", "/key", "gone"), "credentials", "key_file: /key: gone"),
        (ssl.SSLError(1, "WRONG"), "tls", "the TLS handshake with the token endpoint failed"),
        (ssl.SSLCertVerificationError(1, "BAD"), "tls", "the token endpoint's certificate cannot be trusted"),
        (
            aiohttp.ClientConnectorDNSError(_key(), OSError(-2, "unknown name")),
            "connection",
            "the token endpoint's name cannot be resolved",
        ),
        (_unsent(), "connection", "the token endpoint closed the connection before it had the request"),
        (_alert(), "tls", "the token endpoint: TLS failed: TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        (OSError(), "connection", "there is no connection to the token endpoint"),
        (ValueError("quotes"), "connection", "the call of the token endpoint failed (ValueError)"),
        (
            aiohttp.InvalidURL(f"http://{SECRET}/"),
            "connection",
            "the call of the token endpoint failed (InvalidURL)",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_in_words(error: Exception, reason: Reason, detail: str) -> None:
    described = describe(error, 3.0)
    assert (described.reason, described.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("body", "coding", "plain"),
    [
        (None, "gzip", None),
        (b"x", "", b"x"),
        (b"x", "identity", b"x"),
        (packed(b"x"), "x-gzip", b"x"),
        (packed(b"x")[:-4], "gzip", None),
        (packed(b"x" * LONGEST_BODY), "gzip", b"x" * LONGEST_BODY),
        (packed(b"x" * (LONGEST_BODY + 1)), "gzip", None),
        (b"x", "gzip, br", None),
    ],
    ids=["unread", "none", "identity", "x-gzip", "cut off", "largest", "too large", "two codings"],
)
def test_unpacking(body: bytes | None, coding: str, plain: bytes | None) -> None:
    assert unpack(body, coding) == plain


def test_an_error_code_of_the_machine_is_put_in_words() -> None:
    error = describe(ConnectionResetError(104, f"quotes {SECRET}"), 1.0)
    assert error.detail == f"there is no connection to the token endpoint ({os.strerror(104).lower()})"
