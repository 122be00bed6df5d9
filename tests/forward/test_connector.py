"""Connections to an upstream: names, addresses, TLS, and what a caller is told when none can be made."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import ssl
from pathlib import Path
from typing import Any, NoReturn

import pytest

from proxy.config.model import Duration, Timeouts, Tls, Url
from proxy.errors import Refusal
from proxy.forward import connector as module
from proxy.forward.connection import UpstreamConnection
from proxy.forward.connector import Connector
from proxy.forward.secure import TlsTransport
from tests.certificates import Authority
from tests.forward.make import settings
from tests.forward.rig import GET, OK, ONE_MIB, Rig, refused, sidecar, until
from tests.processes import free_port

pytestmark = pytest.mark.uvloop


class _Owner:
    def release(self, connection: UpstreamConnection) -> None: ...
    def lost(self, connection: UpstreamConnection) -> None: ...


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def _server(authority: Authority, *names: str, client_ca: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(*names))
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


async def _why(url: Url, **changes: Any) -> str:
    """What is said when no connection can be made."""
    connector = Connector(settings(url=url, **changes), asyncio.get_running_loop())
    with pytest.raises(Refusal) as caught:
        await connector.connect(_Owner())
    assert caught.value.name == "upstream_unreachable"
    origin, _, why = caught.value.detail.partition(": ")
    assert origin == url.origin
    return why


async def test_a_refused_connection() -> None:
    assert await _why(Url("http", "127.0.0.1", free_port(), "")) == "the connection was refused"


async def test_where_no_descriptor_is_left_the_upstream_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_left(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(module, "connected_socket", none_left)
    connector = Connector(settings(url=Url("http", "127.0.0.1", 9, "")), asyncio.get_running_loop())
    with pytest.raises(Refusal) as caught:
        await connector.connect(_Owner())
    assert (caught.value.name, caught.value.detail) == ("overloaded", "no file descriptor is left for a connection")


@pytest.mark.parametrize("host", ["upstream.invalid", "no..name", "x" * 64 + ".invalid"])
async def test_a_name_that_does_not_resolve(host: str) -> None:
    assert await _why(Url("http", host, 80, "")) == "its name does not resolve"


async def test_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module, "connected_socket", never)
    why = await _why(Url("http", "127.0.0.1", 80, ""), timeouts=Timeouts(connect=Duration(0.01)))
    assert why == "no connection within 0.01 s"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(113, "No route to host"), "No route to host"),
        (RuntimeError("anything at all"), "the connection failed (RuntimeError)"),
    ],
)
async def test_whatever_happens_the_caller_hears_of_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    async def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(module, "connected_socket", fail)
    assert await _why(Url("http", "127.0.0.1", 80, "")) == why


async def test_every_address_of_a_name_is_tried() -> None:
    # `localhost` may have an IPv6 address, too, at which nobody listens.
    async with sidecar() as rig:
        connector = Connector(settings(url=Url("http", "localhost", rig.origin.port, "")), asyncio.get_running_loop())
        connection = await connector.connect(_Owner())
        assert repr(connection) == "<upstream connection idle #0>"
        connection.close()


# TLS


async def test_tls_with_a_private_authority(authority: Authority) -> None:
    async with sidecar(tls=_server(authority, "127.0.0.1"), tls_settings=Tls(ca_file=authority.ca_file)) as rig:
        caller, peer, head = await rig.exchange(GET + GET)
        assert head == rig.forwarded(b"GET /")
        peer.send(OK)
        await peer.head()
        peer.send(OK)
        assert await caller.take(2 * len(OK)) == 2 * OK
        assert rig.stats.connects == {"success": 1}


async def test_the_name_to_ask_for_and_to_verify_may_be_configured(authority: Authority) -> None:
    names: list[str | None] = []
    context = _server(authority, "api.example")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    tls = Tls(ca_file=authority.ca_file, server_name="api.example")
    async with sidecar(tls=context, tls_settings=tls) as rig:
        caller, peer, head = await rig.exchange()
        assert head == rig.forwarded(b"GET /")  # Host is the URL's all the same.
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        assert names == ["api.example"]


@pytest.mark.parametrize("upstreams_name", ["api.example", "127.0.0.1"])
async def test_a_certificate_that_is_not_trusted(authority: Authority, tmp_path: Path, upstreams_name: str) -> None:
    other = Authority(tmp_path, "other")
    trusted = authority if upstreams_name == "api.example" else other  # The wrong name, or the wrong issuer.
    async with sidecar(tls=_server(authority, upstreams_name), tls_settings=Tls(ca_file=trusted.ca_file)) as rig:
        caller = await rig.call(GET)
        answer = refused(await caller.message())
        assert answer[:2] == (502, "upstream_unreachable")
        assert ": its certificate is not trusted: " in answer.detail
        assert rig.stats.connects == {"failure": 1}


async def test_a_client_certificate(authority: Authority) -> None:
    mine = authority.issue("client.example")
    tls = Tls(ca_file=authority.ca_file, cert_file=mine.cert, key_file=mine.key)
    async with sidecar(tls=_server(authority, "127.0.0.1", client_ca=authority.ca_file), tls_settings=tls) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_an_upstream_that_does_not_speak_tls(authority: Authority) -> None:
    async with sidecar(tls_settings=Tls(ca_file=authority.ca_file)) as plain:
        url = Url("https", "127.0.0.1", plain.origin.port, "")
        why = asyncio.ensure_future(_why(url, tls=Tls(ca_file=authority.ca_file)))
        peer = await plain.origin.accept()
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert (await why).startswith("TLS failed: ")


async def test_an_upstream_that_hangs_up_on_a_hello(authority: Authority) -> None:
    async with sidecar() as plain:
        url = Url("https", "127.0.0.1", plain.origin.port, "")
        why = asyncio.ensure_future(_why(url, tls=Tls(ca_file=authority.ca_file)))
        (await plain.origin.accept()).close()
        assert await why


# What TLS changes for everything above it


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["nothing", "plain HTTP"])
async def test_an_attempt_that_failed_leaves_nothing_for_the_garbage_collector(says: bytes) -> None:
    """It would see small objects, and not the tens of kilobytes that OpenSSL has for each."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(says)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    gc.collect()
    gc.disable()
    try:
        url = Url("https", "127.0.0.1", server.sockets[0].getsockname()[1], "")
        for _ in range(3):
            await _why(url)
        await until(lambda: not [one for one in gc.get_objects() if isinstance(one, TlsTransport)])
    finally:
        gc.enable()
        server.close()


async def _tunnel(rig: Rig) -> Any:
    asked = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    caller, peer, _ = await rig.exchange(asked)
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhi")
    await caller.head()
    assert await caller.take(2) == b"hi"
    return caller, peer


@pytest.mark.parametrize("first", ["caller", "upstream"])
async def test_a_tunnel_over_tls_ends_with_either_side(authority: Authority, first: str) -> None:
    """TLS transports cannot close one half, so a caller that went away must not hold the upstream's end open."""
    async with sidecar(tls=_server(authority, "127.0.0.1"), tls_settings=Tls(ca_file=authority.ca_file)) as rig:
        caller, peer = await _tunnel(rig)
        one, other = (caller, peer) if first == "caller" else (peer, caller)
        one.send(b"last words")
        one.close()
        assert await other.rest() == b"last words"
        other.close()
        await rig.settled()


async def test_back_pressure_over_tls(authority: Authority) -> None:
    size = 16 * ONE_MIB
    async with sidecar(tls=_server(authority, "127.0.0.1"), tls_settings=Tls(ca_file=authority.ca_file)) as rig:
        caller, peer, _ = await rig.exchange(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
        )
        [connection] = rig.connections()
        await until(lambda: not connection._reading)
        assert caller.unsent
        assert await peer.take(size) == bytes(size)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await caller.head()
        assert await caller.take(size) == bytes(size)
        assert rig.pool.idle == 1


async def test_a_connection_that_tls_ends_in_the_middle_of_a_body(authority: Authority) -> None:
    async with sidecar(tls=_server(authority, "127.0.0.1"), tls_settings=Tls(ca_file=authority.ca_file)) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        peer.close()
        assert await caller.rest() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
        assert rig.stats.errors == {"upstream_protocol": 1}
