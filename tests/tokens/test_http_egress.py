"""Token calls through an egress proxy: by a tunnel for https and http alike, and with the proxy's faults told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from proxy.clock import SystemClock
from proxy.config.model import Duration, Proxy, Tls, Url, Value
from proxy.errors import TokenError
from proxy.tokens import TokenSource
from proxy.tokens.endpoint import Endpoint, Grant
from proxy.tokens.http import HttpTransport
from tests.certificates import Authority
from tests.fakes import FakeClock
from tests.forward.rig import within
from tests.processes import free_port
from tests.proxies import LEAKS, ConnectProxy, connect_proxy
from tests.tokens.helpers import SECRET, make_auth
from tests.tokens.servers import http, serving

pytestmark = pytest.mark.uvloop

GOOD = http(200, b'{"access_token": "the-token", "token_type": "Bearer", "expires_in": 3600}')
HTTPS = Url("https", "login.test", 443, "/oauth2/token")
HTTP = Url("http", "login.test", 80, "/oauth2/token")


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with connect_proxy() as proxy:
        yield proxy


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def _fetch(proxy: Proxy, url: Url = HTTPS, **changes: Any) -> Grant:
    auth = make_auth(token_url=url, **changes)
    return await within(Endpoint(auth, HttpTransport(auth, proxy=proxy), SystemClock()).obtain(Value(SECRET)))


async def _refusal(proxy: Proxy, url: Url = HTTPS, **changes: Any) -> TokenError:
    with pytest.raises(TokenError) as caught:
        await _fetch(proxy, url, **changes)
    assert caught.value.__context__ is None
    assert not [leak for leak in (*LEAKS, SECRET) if leak in str(caught.value)]
    return caught.value


@pytest.mark.parametrize("proxys_scheme", ["http", "https"])
@pytest.mark.parametrize("url", [HTTPS, HTTP])
async def test_a_token(authority: Authority, proxys_scheme: str, url: Url) -> None:
    tls = authority.server_context("127.0.0.1") if proxys_scheme == "https" else None
    async with (
        connect_proxy(tls=tls) as proxy,
        serving(GOOD, tls=authority.server_context("login.test") if url is HTTPS else None) as server,
    ):
        proxy.routes[f"login.test:{url.port}"] = server.port
        where = proxy.as_proxy(scheme=proxys_scheme)
        grant = await _fetch(where, url, tls=Tls(ca_file=authority.ca_file))
        assert grant.token.reveal() == "the-token"
        [request] = server.requests
        assert request.startswith(b"POST /oauth2/token HTTP/1.1\r\nHost: login.test\r\n")
        assert b"Proxy-Authorization" not in request
        # The proxy sees where to, and nothing of what is said there.
        [asked] = proxy.asked
        assert asked.startswith(f"CONNECT login.test:{url.port} HTTP/1.1\r\n".encode())
        assert b"\r\nAuthorization" not in asked


async def test_it_is_the_endpoints_name_that_is_verified(proxy: ConnectProxy, authority: Authority) -> None:
    async with serving(GOOD, tls=authority.server_context("127.0.0.1")) as server:
        proxy.routes["login.test:443"] = server.port
        error = await _refusal(proxy.as_proxy(), tls=Tls(ca_file=authority.ca_file))
        assert error.reason == "tls"
        assert error.detail.startswith("the token endpoint's certificate cannot be trusted: ")
        assert server.requests == []


@pytest.mark.parametrize("url", [HTTPS, HTTP])
@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 407 pa:ss/word\r\n\r\n", "refused the tunnel: 407 Proxy Authentication Required"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "refused the tunnel: 503 Service Unavailable"),
        (b"garbage\r\n\r\n", "did not answer in acceptable HTTP"),
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + GOOD, "said more than that the tunnel is open"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(proxy: ConnectProxy, url: Url, said: bytes, why: str) -> None:
    proxy.answer = said
    error = await _refusal(proxy.as_proxy(), url)
    assert error.reason == "connection"
    assert error.detail == f"the egress proxy 127.0.0.1:{proxy.port} {why}"


async def test_a_proxy_that_hangs(proxy: ConnectProxy) -> None:
    proxy.answer, proxy.hangs_up = b"", False
    error = await _refusal(proxy.as_proxy(), request_timeout=Duration(0.05))
    assert error.reason == "connection"
    assert error.detail == f"the egress proxy 127.0.0.1:{proxy.port} did not answer within 0.05 s"
    await within(proxy.gone.wait())


@pytest.mark.parametrize("url", [HTTPS, HTTP])
async def test_an_endpoint_that_hangs_behind_the_proxy(proxy: ConnectProxy, url: Url) -> None:
    async def never(reader: Any, writer: Any) -> None:
        await reader.read()

    async with serving(never, reads=False) as server:
        proxy.routes[f"login.test:{url.port}"] = server.port
        error = await _refusal(proxy.as_proxy(), url, request_timeout=Duration(0.3))
        assert error.reason == "timeout"
        assert error.detail == "the token endpoint did not answer within 0.3 s"
        await within(proxy.gone.wait())


async def test_an_endpoint_that_hangs_up_behind_the_proxy(proxy: ConnectProxy) -> None:
    async with serving(b"") as server:
        proxy.routes["login.test:80"] = server.port
        error = await _refusal(proxy.as_proxy(), HTTP)
        assert error.detail == "the token endpoint closed the connection without an answer"


async def test_an_answer_of_the_endpoints_is_not_the_proxys(proxy: ConnectProxy) -> None:
    async with serving(http(407)) as server:
        proxy.routes["login.test:80"] = server.port
        assert (await _refusal(proxy.as_proxy(), HTTP)).reason == "malformed_response"


async def test_a_proxy_that_is_not_there() -> None:
    port = free_port()
    error = await _refusal(Proxy("http", "127.0.0.1", port))
    assert (error.reason, error.detail) == (
        "connection",
        f"the egress proxy 127.0.0.1:{port} refused the connection",
    )


async def test_another_proxy_is_tried_at_once(proxy: ConnectProxy) -> None:
    """A reload that brings the right proxy need not wait for the next attempt."""
    async with serving(GOOD) as server:
        proxy.routes["login.test:80"] = server.port
        auth = make_auth(token_url=HTTP)
        source = TokenSource(auth, ("orders",), proxy=Proxy("http", "127.0.0.1", free_port()), clock=FakeClock())
        source.start()
        while source.status().last_error is None:
            await _turn()
        assert "refused the connection" in str(source.status().last_error)
        source.update(auth, ("orders",), proxy=proxy.as_proxy())
        while source.current() is None:
            await _turn()
        assert len(proxy.asked) == 1
        await source.close()


async def _turn() -> None:
    """One turn of the event loop, which waits for sockets as it goes."""
    async with serving(GOOD) as server:
        auth = make_auth(token_url=Url("http", "127.0.0.1", server.port, "/"))
        await Endpoint(auth, HttpTransport(auth), SystemClock()).obtain(Value(SECRET))
