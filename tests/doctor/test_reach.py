"""As far as one gets to a host: names, connections, proxies, TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.clock import SystemClock
from proxy.config.model import Proxy, Tls, Url
from proxy.doctor.finding import Finding, Mark
from proxy.doctor.reach import days_left, reach
from proxy.tls import client_context
from tests.certificates import Authority
from tests.processes import free_port
from tests.proxies import LEAKS, connect_proxy
from tests.tokens.servers import serving

pytestmark = pytest.mark.uvloop


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def _server(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async with serving(_silent, tls=context, reads=False) as server:
        yield server.port


def _context(authority: Authority, name: str, days: int) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(name, days=days))
    return context


async def _reach(url: Url, tls: Tls = Tls(), proxy: Proxy | None = None, seconds: float = 5) -> list[Finding]:  # noqa: B008
    context = client_context(tls, replace_trust=True) if url.scheme == "https" else None
    return await reach("it", url, tls, context, proxy, seconds, SystemClock())


def _last(findings: list[Finding]) -> tuple[str, Mark, str]:
    return findings[-1].step, findings[-1].mark, findings[-1].name


async def test_a_host_that_is_there() -> None:
    async with _server() as port:
        findings = await _reach(Url("http", "localhost", port, ""))
    assert [(finding.step, finding.mark) for finding in findings] == [
        ("it: name", Mark.OK),
        ("it: connection", Mark.OK),
    ]
    assert "127.0.0.1" in findings[0].detail
    assert findings[1].detail.startswith(f"localhost:{port} in ")


async def test_an_address_needs_no_name() -> None:
    async with _server() as port:
        assert [finding.step for finding in await _reach(Url("http", "127.0.0.1", port, ""))] == ["it: connection"]


@pytest.mark.parametrize("host", ["nobody.invalid", "no..name"])
async def test_a_name_that_does_not_resolve(host: str) -> None:
    findings = await _reach(Url("http", host, 80, ""))
    assert _last(findings) == ("it: name", Mark.FAIL, "name_not_found")
    assert findings[-1].detail == f"{host} does not resolve"


async def test_nobody_listens() -> None:
    port = free_port()
    findings = await _reach(Url("http", "127.0.0.1", port, ""))
    assert _last(findings) == ("it: connection", Mark.FAIL, "no_connection")
    assert findings[-1].detail == f"127.0.0.1:{port}: connection refused"


async def test_tls_that_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with _server(authority.server_context("127.0.0.1")) as port:
        findings = await _reach(Url("https", "127.0.0.1", port, ""), Tls(ca_file=authority.ca_file))
    assert _last(findings) == ("it: TLS", Mark.OK, "")
    assert findings[-1].detail.startswith("TLSv1.3 with 127.0.0.1, the certificate is good for ")


@pytest.mark.parametrize(
    ("name", "days", "trusted", "why", "explained"),
    [
        ("127.0.0.1", 36_500, False, "unable to get local issuer certificate", "certificate_untrusted"),
        ("other.internal", 36_500, True, "IP address mismatch", "certificate_other_name"),
        ("127.0.0.1", 100, True, "certificate has expired", "certificate_expired"),
    ],
)
async def test_a_certificate_that_is_not_accepted(
    tmp_path: Path, name: str, days: int, trusted: bool, why: str, explained: str
) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    tls = Tls(ca_file=(authority if trusted else other).ca_file)
    async with _server(_context(authority, name, days)) as port:
        findings = await _reach(Url("https", "127.0.0.1", port, ""), tls)
    assert _last(findings) == ("it: TLS", Mark.FAIL, explained)
    assert findings[-1].detail.startswith(f"the certificate is not accepted: {why}")


async def test_a_server_without_tls() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with serving(shout, reads=False) as server:
        findings = await _reach(Url("https", "127.0.0.1", server.port, ""))
    assert _last(findings) == ("it: TLS", Mark.FAIL, "no_tls")


async def test_a_handshake_that_is_cut_off() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with serving(leave, reads=False) as server:
        findings = await _reach(Url("https", "127.0.0.1", server.port, ""))
    assert _last(findings) == ("it: TLS", Mark.FAIL, "tls_failed")
    assert findings[-1].detail == "TLS failed: the handshake was cut off"


async def test_a_server_that_never_answers_the_handshake() -> None:
    async with _server() as port:
        findings = await _reach(Url("https", "127.0.0.1", port, ""), seconds=0.1)
    assert (findings[-1].detail, findings[-1].name) == ("no handshake within 0.1 s", "tls_failed")


async def test_by_way_of_a_proxy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = Tls(ca_file=authority.ca_file)
    async with _server(authority.server_context("far.internal")) as port, connect_proxy() as proxy:
        proxy.routes["far.internal:443"] = port
        findings = await _reach(Url("https", "far.internal", 443, ""), tls, proxy.as_proxy())
    assert [(finding.step, finding.mark) for finding in findings] == [("it: connection", Mark.OK), ("it: TLS", Mark.OK)]
    assert findings[0].detail.startswith(f"far.internal:443 by way of the egress proxy 127.0.0.1:{proxy.port} in ")
    assert not any(leak in repr(findings) for leak in LEAKS)


async def test_a_proxy_that_refuses() -> None:
    async with connect_proxy() as proxy:
        proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        findings = await _reach(Url("http", "far.internal", 80, ""), proxy=proxy.as_proxy())
    assert _last(findings) == ("it: connection", Mark.FAIL, "proxy_failed")
    assert "407" in findings[-1].detail


async def test_a_proxy_that_is_not_there() -> None:
    way = Proxy("http", "127.0.0.1", free_port())
    findings = await _reach(Url("http", "far.internal", 80, ""), proxy=way)
    assert _last(findings) == ("it: connection", Mark.FAIL, "proxy_failed")
    assert findings[-1].detail == f"the egress proxy {way} refused the connection"


async def test_a_proxy_that_never_answers() -> None:
    async with _server() as port:
        findings = await _reach(
            Url("http", "far.internal", 80, ""), proxy=Proxy("http", "127.0.0.1", port), seconds=0.1
        )
    assert _last(findings) == ("it: connection", Mark.FAIL, "proxy_failed")
    assert "did not answer within 0.1 s" in findings[-1].detail


@pytest.mark.parametrize(("days", "left"), [(100, 99), (-1, -2)])
def test_how_long_a_certificate_lasts(days: int, left: int) -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    end = (now + timedelta(days=days, seconds=-1)).strftime("%b %d %H:%M:%S %Y GMT")
    assert days_left({"notAfter": end}, now.timestamp()) == left
    assert days_left({}, 0) is None
    assert days_left(None, 0) is None


@pytest.mark.parametrize(("left", "said"), [(4, "4 days"), (1, "a day")])
async def test_a_certificate_that_ends_soon(tmp_path: Path, left: int, said: str) -> None:
    authority = Authority(tmp_path)
    days = (datetime.now(UTC) - datetime(2020, 1, 1, tzinfo=UTC)).days + left + 1
    async with _server(_context(authority, "127.0.0.1", days)) as port:
        findings = await _reach(Url("https", "127.0.0.1", port, ""), Tls(ca_file=authority.ca_file))
    assert _last(findings) == ("it: TLS", Mark.WARN, "certificate_ends_soon")
    assert findings[-1].detail.endswith(f"the certificate ends in {said}")
