"""Tunnels by CONNECT: what a proxy is asked, and what is said when it does not open one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.config.model import Proxy
from proxy.egress import EgressError, hand_over, no_answer, open_tunnel
from tests.certificates import Authority
from tests.forward.rig import within
from tests.processes import free_port
from tests.proxies import AUTHORIZATION, LEAKS, ConnectProxy, connect_proxy

pytestmark = pytest.mark.uvloop


class _Client(asyncio.Protocol):
    """Keeps what comes through a tunnel."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with connect_proxy() as proxy:
        yield proxy


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server that says back what it is told, and then ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.read(100))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def _says(transport: asyncio.Transport, text: bytes) -> bytes:
    client = _Client()
    hand_over(transport, client)
    transport.write(text)
    await within(client.lost.wait())
    return client.received


async def _refusal(proxy: ConnectProxy | Proxy, host: str = "api.test", ca_file: str | None = None) -> str:
    """Why there is no tunnel. Nothing of it is anybody's credential."""
    where = proxy.as_proxy() if isinstance(proxy, ConnectProxy) else proxy
    with pytest.raises(EgressError) as caught:
        await within(open_tunnel(where, host, 443, extra_ca_file=ca_file))
    error = caught.value
    assert error.__context__ is None
    assert not [leak for leak in LEAKS if leak in str(error)]
    return str(error).replace(str(where), "PROXY")


async def test_a_tunnel(proxy: ConnectProxy, echo: int) -> None:
    proxy.routes["api.test:443"] = echo
    tunnel = await open_tunnel(proxy.as_proxy(), "api.test", 443)
    assert await _says(tunnel, b"hello") == b"heard hello"
    assert proxy.asked == [
        b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nUser-Agent: cognito-sidecar\r\n"
        b"Proxy-Authorization: " + AUTHORIZATION.encode() + b"\r\n\r\n"
    ]


async def test_without_credentials_none_are_sent(proxy: ConnectProxy, echo: int) -> None:
    proxy.routes["[fd00::1]:443"] = echo
    tunnel = await open_tunnel(proxy.as_proxy(authorization=None), "fd00::1", 443)
    assert await _says(tunnel, b"hello") == b"heard hello"
    assert proxy.asked == [
        b"CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\nUser-Agent: cognito-sidecar\r\n\r\n"
    ]


@pytest.mark.parametrize(
    "opened",
    [
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        # RFC 9110 §9.3.6: a length means nothing in an answer that opens a tunnel.
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 60_000 + b"\r\n\r\n",
    ],
    ids=["1.0", "204", "after 100", "length", "chunked", "upgrade", "long"],
)
async def test_answers_that_open_a_tunnel(proxy: ConnectProxy, echo: int, opened: bytes) -> None:
    proxy.opened = opened
    proxy.routes["api.test:443"] = echo
    assert await _says(await open_tunnel(proxy.as_proxy(), "api.test", 443), b"hello") == b"heard hello"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            b"HTTP/1.1 407 pa:ss/word\r\nProxy-Authenticate: Basic\r\n\r\n",
            "the egress proxy PROXY refused the tunnel: 407 Proxy Authentication Required",
        ),
        (
            b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nHTML",
            "the egress proxy PROXY refused the tunnel: 403 Forbidden",
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "the egress proxy PROXY refused the tunnel: 302 Found"),
        (b"HTTP/1.1 599 Odd\r\n\r\n", "the egress proxy PROXY refused the tunnel: 599"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            "the egress proxy PROXY refused the tunnel: 101 Switching Protocols",
        ),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "the egress proxy PROXY did not answer in acceptable HTTP"),
        (b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n", "the egress proxy PROXY did not answer in acceptable HTTP"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "the egress proxy PROXY did not answer in acceptable HTTP",
        ),
        (b"HTTP/2.0 200 OK\r\n\r\n", "the egress proxy PROXY did not answer in acceptable HTTP"),
        (b"", "the egress proxy PROXY closed the connection without an answer"),
        (b"HTTP/1.1 200 O", "the egress proxy PROXY closed the connection without an answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the egress proxy PROXY closed the connection without an answer"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\nI am the upstream",
            "the egress proxy PROXY said more than that the tunnel is open",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "the egress proxy PROXY said more than that the tunnel is open",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "the egress proxy PROXY said more than that the tunnel is open",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0",
            "the egress proxy PROXY said more than that the tunnel is open",
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nmore",
            "the egress proxy PROXY said more than that the tunnel is open",
        ),
    ],
)
async def test_answers_that_do_not(proxy: ConnectProxy, answer: bytes, why: str) -> None:
    proxy.answer = answer
    assert await _refusal(proxy) == why


@pytest.mark.parametrize("ends", [True, False])
async def test_an_answer_without_an_end(proxy: ConnectProxy, ends: bool) -> None:
    proxy.answer = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 11_000 + b"\r\n" * ends
    proxy.hangs_up = False
    assert await _refusal(proxy) in (
        "the egress proxy PROXY answered with more than 64 KiB",
        "the egress proxy PROXY did not answer in acceptable HTTP",  # llhttp's own limit, where it has one
    )
    await within(proxy.gone.wait())


async def test_a_proxy_that_is_not_there() -> None:
    why = await _refusal(Proxy("http", "127.0.0.1", free_port()))
    assert why == "the egress proxy PROXY refused the connection"


async def test_a_proxy_without_an_address() -> None:
    assert await _refusal(Proxy("http", "proxy.invalid", 3128)) == (
        "the name of the egress proxy PROXY does not resolve"
    )


async def test_a_proxy_that_hangs_is_left(proxy: ConnectProxy) -> None:
    proxy.answer, proxy.hangs_up = b"", False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await open_tunnel(proxy.as_proxy(), "api.test", 443)
    await within(proxy.gone.wait())
    assert no_answer(Proxy("http", "proxy.corp", 3128), 0.05) == (
        "the egress proxy proxy.corp:3128 did not answer within 0.05 s"
    )


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(113, "No route to host"), "there is no connection to the egress proxy PROXY: No route to host"),
        (OSError(), "there is no connection to the egress proxy PROXY: OSError"),
        (RuntimeError("x"), "the connection to the egress proxy PROXY failed (RuntimeError)"),
    ],
)
async def test_whatever_else_happens(monkeypatch: pytest.MonkeyPatch, error: Exception, why: str) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("proxy.egress.start_connection", fail)
    assert await _refusal(Proxy("http", "127.0.0.1", 3128)) == why


async def test_a_tunnel_that_has_ended_is_not_handed_over(proxy: ConnectProxy, echo: int) -> None:
    tunnel = await open_tunnel(proxy.as_proxy(), "api.test", echo)
    tunnel.abort()
    with pytest.raises(EgressError, match="the egress proxy closed the tunnel"):
        hand_over(tunnel, _Client())


# A proxy that is itself spoken to by TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def _server(authority: Authority, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(name))
    return context


async def test_an_https_proxy(authority: Authority, echo: int) -> None:
    async with connect_proxy(tls=_server(authority, "127.0.0.1")) as proxy:
        where = proxy.as_proxy(scheme="https")
        tunnel = await open_tunnel(where, "api.test", echo, extra_ca_file=authority.ca_file)
        assert await _says(tunnel, b"hello") == b"heard hello"
        assert AUTHORIZATION.encode() in proxy.asked[0]


@pytest.mark.parametrize("name", ["127.0.0.1", "proxy.corp"])
async def test_an_https_proxy_that_is_not_trusted_gets_no_credentials(authority: Authority, name: str) -> None:
    async with connect_proxy(tls=_server(authority, name)) as proxy:
        ca_file = None if name == "127.0.0.1" else authority.ca_file  # The wrong issuer, or the wrong name.
        why = await _refusal(proxy.as_proxy(scheme="https"), ca_file=ca_file)
        assert why.startswith("the certificate of the egress proxy PROXY is not trusted: ")
        assert proxy.asked == []


async def test_an_https_proxy_that_speaks_no_tls(proxy: ConnectProxy, tmp_path: Path) -> None:
    where = proxy.as_proxy(scheme="https")
    missing = str(tmp_path / "missing.pem")
    assert "missing.pem" in await _refusal(where, ca_file=missing)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert (await _refusal(Proxy("https", "127.0.0.1", port))).startswith("TLS to the egress proxy PROXY failed: ")
    server.close()
