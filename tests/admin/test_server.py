"""The admin listener on real sockets: every route, the headers, and what it does with bad requests and addresses."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from proxy.admin import AdminServer
from proxy.config.model import Address
from proxy.errors import StartError
from tests.admin.fakes import FakeClock, FakeView, empty, upstream

pytestmark = pytest.mark.uvloop

LOOPBACK = Address("127.0.0.1", 0)


class Site:
    """A started server and a client for it."""

    def __init__(self, view: FakeView, address: Address, client: aiohttp.ClientSession) -> None:
        self.view = view
        self.address = address
        self._client = client

    async def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self._client.request(method, f"http://{self.address}{path}", headers=headers) as response:
            return response, await response.read()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    view = FakeView()
    server = AdminServer(view, FakeClock())
    address = await server.start(LOOPBACK)
    async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as client:
        yield Site(view, address, client)
    await server.close()


@pytest.mark.parametrize(
    ("path", "kind", "beginning"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/style.css", "text/css; charset=utf-8", b":root"),
        ("/page.js", "text/javascript; charset=utf-8", b"//"),
        ("/icon.svg", "image/svg+xml", b"<svg"),
        ("/livez", "text/plain; charset=utf-8", b"alive\n"),
        ("/healthz", "text/plain; charset=utf-8", b"alive\n"),
        ("/startupz", "text/plain; charset=utf-8", b"started\n"),
        ("/readyz", "text/plain; charset=utf-8", b"ready\n"),
        ("/readyz?verbose", "text/plain; charset=utf-8", b"ready\n"),
        ("/status", "application/json; charset=utf-8", b"{"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", b"# HELP cognito_sidecar_"),
    ],
)
async def test_every_route_by_get_and_head(site: Site, path: str, kind: str, beginning: bytes) -> None:
    response, body = await site.ask(path)
    assert response.status == 200
    assert response.headers["Content-Type"] == kind
    assert body.startswith(beginning)
    head, nothing = await site.ask(path, "HEAD")
    assert (head.status, nothing) == (200, b"")
    assert head.headers["Content-Type"] == kind
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/", "/status", "/metrics", "/livez", "/nothing"])
async def test_no_other_origin_may_read_or_frame_it(site: Site, path: str) -> None:
    response, _ = await site.ask(path, headers={"Origin": "https://evil.example"})
    headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not any(name.lower().startswith("access-control-") for name in headers)


@pytest.mark.parametrize("path", ["/", "/status", "/metrics", "/page.js"])
async def test_a_page_whose_name_leads_here_reads_nothing(site: Site, path: str) -> None:
    response, body = await site.ask(path, headers={"Host": "evil.example:9090"})
    assert response.status == 403
    assert body == b"the Host of the request is not this machine's (see admin.hosts)\n"
    site.view.admin_hosts = ("evil.example",)
    response, _ = await site.ask(path, headers={"Host": "evil.example:9090"})
    assert response.status == 200


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/startupz", "/readyz"])
async def test_a_probe_tells_no_details_to_a_foreign_name(site: Site, path: str) -> None:
    response, body = await site.ask(path, headers={"Host": "evil.example:9090"})
    whole, more = await site.ask(path)
    assert (response.status, whole.status) == (200, 200)
    assert body == more.splitlines(keepends=True)[0]
    assert len(more) > len(body)


async def test_off_loopback_any_name_may_ask() -> None:
    server = AdminServer(FakeView(), FakeClock())
    address = await server.start(Address("0.0.0.0", 0))
    async with aiohttp.ClientSession() as client:
        url, headers = f"http://127.0.0.1:{address.port}/status", {"Host": "sidecar.shop.svc.cluster.local"}
        async with client.get(url, headers=headers) as response:
            assert response.status == 200
    await server.close()


async def test_the_probes_follow_the_view(site: Site) -> None:
    site.view.shown = [upstream(token=empty())]
    site.view.living = False
    for path in ("/livez", "/healthz", "/startupz", "/readyz"):
        response, body = await site.ask(path)
        assert response.status == 503
        assert body.startswith(b"not ")


async def test_status_is_json(site: Site) -> None:
    _, body = await site.ask("/status")
    assert json.loads(body)["upstreams"]["orders"]["state"] == "FRESH"


async def test_metrics_as_openmetrics_and_compressed_when_asked(site: Site) -> None:
    response, body = await site.ask(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=99", "Accept-Encoding": "gzip"}
    )
    assert response.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert gzip.decompress(body).endswith(b"# EOF\n")


async def test_an_unknown_path_names_the_known_ones(site: Site) -> None:
    response, body = await site.ask("/ready")
    assert response.status == 404
    assert b"/readyz" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_it_only_reads(site: Site, method: str) -> None:
    response, _ = await site.ask("/status", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


async def test_a_page_that_cannot_be_made_leaves_the_probes_standing(
    site: Site,
) -> None:
    site.view.started_at = None  # type: ignore[assignment]
    with capture_logs() as lines:
        response, body = await site.ask("/status")
    assert (response.status, body) == (500, b"internal error\n")
    assert [(line["event"], line["path"], line["error"]) for line in lines] == [
        ("answer_failed", "/status", "AttributeError")
    ]
    response, _ = await site.ask("/livez")
    assert response.status == 200


async def test_a_request_that_makes_no_sense_is_refused_in_silence(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = socket.create_connection((site.address.host, site.address.port))
    with raw:
        raw.sendall(b"NONSENSE\r\n\r\n")
        response, _ = await site.ask("/livez")
        assert raw.recv(4096).startswith(b"HTTP/1.0 400")
    assert response.status == 200
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


async def test_close_ends_what_is_open_and_may_be_called_twice() -> None:
    server = AdminServer(FakeView(), FakeClock())
    address = await server.start(LOOPBACK)
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://{address}/livez") as response:
            assert response.status == 200
        await server.close()
        await server.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(f"http://{address}/livez")


async def test_a_port_in_use_is_one_line_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StartError) as caught:
            await AdminServer(FakeView(), FakeClock()).start(address)
    assert str(caught.value) == f"admin.listen: cannot listen on {address}: address already in use"


async def test_a_host_that_is_not_ours_is_one_line() -> None:
    with pytest.raises(StartError) as caught:
        await AdminServer(FakeView(), FakeClock()).start(Address("192.0.2.1", 0))
    assert str(caught.value).startswith("admin.listen: cannot listen on 192.0.2.1:0: cannot assign")
    assert "\n" not in str(caught.value)


async def test_a_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    address = Address("", 0, str(tmp_path / "admin.sock"))
    server = AdminServer(FakeView(), FakeClock())
    assert await server.start(address) == address
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(address.unix)) as client,
        client.get("http://any.host/livez") as response,
    ):
        assert response.status == 200
    await server.close()
    assert os.listdir(tmp_path) == []


async def test_a_successor_keeps_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    server = AdminServer(FakeView(), FakeClock())
    await server.start(Address("", 0, str(path)))
    path.rename(tmp_path / "old")
    path.write_text("another process's")
    await server.close()
    assert path.read_text() == "another process's"


async def test_a_socket_file_that_somebody_took_away_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    server = AdminServer(FakeView(), FakeClock())
    await server.start(Address("", 0, str(path)))
    path.unlink()
    await server.close()


async def test_a_host_without_an_address_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", unknown, raising=False)
    with pytest.raises(StartError) as caught:
        await AdminServer(FakeView(), FakeClock()).start(Address("no.such.host.invalid", 1))
    assert str(caught.value) == "admin.listen: cannot listen on no.such.host.invalid:1: name or service not known"


async def test_a_socket_file_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    address = Address("", 0, str(tmp_path / "admin.sock"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(address.unix)
    server = AdminServer(FakeView(), FakeClock())
    await server.start(address)
    await server.close()


@pytest.mark.parametrize("backlog", [0, 10])
async def test_a_socket_that_another_process_serves_is_left_to_it(tmp_path: Path, backlog: int) -> None:
    address = Address("", 0, str(tmp_path / "admin.sock"))
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as caller:
        other.bind(address.unix)
        other.listen(backlog)
        caller.connect(address.unix)
        with pytest.raises(StartError, match="address already in use"):
            await AdminServer(FakeView(), FakeClock()).start(address)
        assert os.listdir(tmp_path) == ["admin.sock"]


async def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("precious")
    with pytest.raises(StartError) as caught:
        await AdminServer(FakeView(), FakeClock()).start(Address("", 0, str(path)))
    assert str(caught.value).startswith(f"admin.listen: cannot listen on unix:{path}: ")
    assert path.read_text() == "precious"
