"""Upstream connections through an egress proxy: the upstream's TLS runs inside, and a proxy's answer is never its."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.config.model import Duration, Egress, Proxy, Timeouts, Tls, Url
from proxy.errors import Refusal
from proxy.forward.connector import Connector
from tests.certificates import Authority
from tests.forward.make import settings, upstream
from tests.forward.rig import GET, OK, Refused, Rig, refused, sidecar, within
from tests.processes import free_port
from tests.proxies import LEAKS, ConnectProxy, connect_proxy

pytestmark = pytest.mark.uvloop

HTTPS = Url("https", "api.test", 443, "")
HTTP = Url("http", "api.test", 80, "")


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with connect_proxy() as proxy:
        yield proxy


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def _through(proxy: ConnectProxy, scheme: str = "http") -> Egress:
    return Egress(upstream=proxy.as_proxy(scheme=scheme))


async def _refusal(rig: Rig) -> Refused:
    caller = await rig.call(GET)
    raw = await caller.message()
    assert not [leak for leak in LEAKS if leak.encode() in raw]
    await rig.settled()
    assert rig.stats.connects == {"failure": 1}
    return refused(raw)


async def test_an_https_upstream(proxy: ConnectProxy, authority: Authority) -> None:
    tls = Tls(ca_file=authority.ca_file)
    async with sidecar(
        tls=authority.server_context("api.test"), url=HTTPS, tls_settings=tls, egress_proxy=_through(proxy)
    ) as rig:
        proxy.routes["api.test:443"] = rig.origin.port
        caller, peer, head = await rig.exchange(GET + GET)
        assert head == rig.forwarded(b"GET /")
        peer.send(OK)
        # The second goes over the same connection: a tunnel is opened once.
        await peer.head()
        peer.send(OK)
        assert await caller.take(2 * len(OK)) == 2 * OK
        assert proxy.places == ["api.test:443"]
        assert b"tok.1" not in proxy.asked[0]


async def test_an_http_upstream_is_reached_by_a_tunnel_as_well(proxy: ConnectProxy) -> None:
    async with sidecar(url=HTTP, egress_proxy=_through(proxy)) as rig:
        proxy.routes["api.test:80"] = rig.origin.port
        caller, peer, head = await rig.exchange()
        assert head == rig.forwarded(b"GET /")
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        assert proxy.places == ["api.test:80"]


@pytest.mark.parametrize("url", [HTTP, HTTPS])
async def test_an_https_proxy(authority: Authority, url: Url) -> None:
    """TLS inside of TLS, where the upstream is https."""
    tls = Tls(ca_file=authority.ca_file)
    origin = authority.server_context("api.test") if url is HTTPS else None
    async with (
        connect_proxy(tls=authority.server_context("127.0.0.1")) as proxy,
        sidecar(tls=origin, url=url, tls_settings=tls, egress_proxy=_through(proxy, "https")) as rig,
    ):
        proxy.routes[f"api.test:{url.port}"] = rig.origin.port
        caller, peer, head = await rig.exchange()
        assert head == rig.forwarded(b"GET /")
        size = 1 << 20
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await caller.head()
        assert await caller.take(size) == bytes(size)


async def test_it_is_the_upstreams_name_that_is_verified(proxy: ConnectProxy, authority: Authority) -> None:
    tls = Tls(ca_file=authority.ca_file)
    server = authority.server_context("127.0.0.1")  # As the proxy's address, which must not matter.
    async with sidecar(tls=server, url=HTTPS, tls_settings=tls, egress_proxy=_through(proxy)) as rig:
        proxy.routes["api.test:443"] = rig.origin.port
        answer = await _refusal(rig)
        assert answer[:2] == (502, "upstream_unreachable")
        assert ": its certificate is not trusted: " in answer.detail


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno",
            "refused the tunnel: 407 Proxy Authentication Required",
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refused the tunnel: 403 Forbidden"),
        (b"garbage\r\n\r\n", "did not answer in acceptable HTTP"),
        (b"", "closed the connection without an answer"),
        # What claims to be the upstream's answer is still the proxy's.
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "said more than that the tunnel is open"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(proxy: ConnectProxy, said: bytes, why: str) -> None:
    proxy.answer = said
    async with sidecar(url=HTTP, egress_proxy=_through(proxy)) as rig:
        answer = await _refusal(rig)
        assert answer[:2] == (502, "upstream_unreachable")
        assert answer.detail == f"http://api.test: the egress proxy 127.0.0.1:{proxy.port} {why}"


async def test_a_proxy_that_hangs(proxy: ConnectProxy) -> None:
    proxy.answer, proxy.hangs_up = b"", False
    async with sidecar(url=HTTP, egress_proxy=_through(proxy), timeouts=Timeouts(connect=Duration(0.05))) as rig:
        # The request's own time may be up a moment before the connection's.
        assert (await _refusal(rig)).detail in (
            f"http://api.test: no connection within 0.05 s by way of the egress proxy 127.0.0.1:{proxy.port}",
            f"http://api.test: the egress proxy 127.0.0.1:{proxy.port} did not answer within 0.05 s",
        )
        await within(proxy.gone.wait())
        connector = Connector(rig.upstream.settings, asyncio.get_running_loop())
        with pytest.raises(Refusal, match=f"the egress proxy 127.0.0.1:{proxy.port} did not answer within 0.05 s"):
            await connector.connect(rig.pool)


async def test_an_upstream_that_hangs_behind_the_proxy(proxy: ConnectProxy) -> None:
    """One span for all of it; the proxy has done its part, and is not blamed."""
    async with sidecar(url=HTTPS, egress_proxy=_through(proxy), timeouts=Timeouts(connect=Duration(0.3))) as rig:
        proxy.routes["api.test:443"] = rig.origin.port  # It accepts, and speaks no TLS.
        assert (await _refusal(rig)).detail.startswith("https://api.test: no connection within 0.3 s")
        await within(proxy.gone.wait())


async def test_a_proxy_that_is_not_there() -> None:
    port = free_port()
    async with sidecar(url=HTTP, egress_proxy=Egress(Proxy("http", "127.0.0.1", port))) as rig:
        answer = await _refusal(rig)
        assert answer.detail == f"http://api.test: the egress proxy 127.0.0.1:{port} refused the connection"


async def test_a_tunnel_that_breaks_during_the_handshake(proxy: ConnectProxy) -> None:
    async with sidecar(url=HTTPS, egress_proxy=_through(proxy)) as rig:
        proxy.routes["api.test:443"] = rig.origin.port
        caller = await rig.call(GET)
        (await rig.origin.accept()).close()
        answer = refused(await caller.message())
        assert answer.name == "upstream_unreachable"
        assert "egress proxy" not in answer.detail


async def test_a_websocket_goes_through(proxy: ConnectProxy) -> None:
    asked = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with sidecar(url=HTTP, egress_proxy=_through(proxy)) as rig:
        proxy.routes["api.test:80"] = rig.origin.port
        caller, peer, _ = await rig.exchange(asked)
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        await caller.head()
        caller.send(b"ping")
        assert await peer.take(4) == b"ping"
        peer.send(b"pong")
        assert await caller.take(4) == b"pong"


def test_another_proxy_takes_other_connections() -> None:
    one, other = Proxy("http", "one.corp", 3128), Proxy("http", "other.corp", 3128)
    through = upstream(egress_proxy=Egress(one, one))
    assert through.shares_pool_with(settings(egress_proxy=Egress(one, other)))  # The tokens' way is not this pool's.
    assert not through.shares_pool_with(settings(egress_proxy=Egress(other, one)))
    assert not through.shares_pool_with(settings())
    assert upstream().shares_pool_with(settings(egress_proxy=Egress()))


async def test_nothing_is_held_by_a_caller_that_goes_away(proxy: ConnectProxy) -> None:
    proxy.answer, proxy.hangs_up = b"", False
    async with sidecar(url=HTTP, egress_proxy=_through(proxy), timeouts=Timeouts(connect=Duration(0.2))) as rig:
        caller = await rig.call(GET)
        caller.close()
        await within(proxy.gone.wait())
        await rig.settled()
    assert rig.stats.connects == {"failure": 1}
