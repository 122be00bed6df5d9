"""What TLS means to a caller: an answer that was cut shows as cut, and no byte of it changes its place."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

from proxy.config.model import Duration, Timeouts, Tls, Url
from tests.certificates import Authority
from tests.forward.rig import GET, OK, Rig, refused, sidecar, until

pytestmark = pytest.mark.uvloop

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def _sidecar(authority: Authority, **more: Any) -> AbstractAsyncContextManager[Rig]:
    """An https upstream that the sidecar trusts, but for what `more` says."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("api.test"))
    trusting = Tls(ca_file=authority.ca_file, server_name="api.test")
    return sidecar(**{"tls": server, "tls_settings": trusting, **more})


async def test_a_body_that_ends_with_a_goodbye_is_whole(authority: Authority) -> None:
    async with _sidecar(authority) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(UNTIL_CLOSE + b"all of it")
        peer.close()
        answer = await caller.until(b"0\r\n\r\n")

        assert b"9\r\nall of it\r\n" in answer


async def test_a_body_that_ends_without_one_is_cut(authority: Authority) -> None:
    async with _sidecar(authority) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(UNTIL_CLOSE + b"half of it")
        await caller.until(b"half of it")
        await peer.closed()  # Without a goodbye.
        rest = await caller.rest()

        assert b"0\r\n\r\n" not in rest, "the last chunk is missing, and the caller sees it"


async def test_a_large_refused_answer_is_passed_on_in_order(authority: Authority) -> None:
    """It waits, in part within TLS, while a token is renewed in vain."""
    body = b"".join(b"%07d\n" % number for number in range(65_536))
    async with _sidecar(authority) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await until(lambda: rig.tokens.refusals and _waits(rig))
        rig.tokens.recovers("failed")
        answer = await caller.message()

        assert answer.partition(b"\r\n\r\n")[2] == body


def _waits(rig: Rig) -> bool:
    """More than the sidecar likes to hold has arrived."""
    [connection] = rig.pool._busy
    return not connection._reading


async def test_an_idle_connection_that_says_goodbye_is_not_used_again(authority: Authority) -> None:
    async with _sidecar(authority) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK)
        await caller.message()
        [connection] = rig.pool._idle
        peer.close()
        await until(lambda: not connection.usable)
        caller.send(GET)
        await rig.origin.serve(OK)
        assert b"200" in await caller.message()


async def test_words_for_a_handshake_that_fails(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    for own, name, why in (
        (stranger, "api.test", "its certificate is not trusted"),
        (authority, "other.test", "its certificate is not trusted"),
    ):
        async with _sidecar(authority, tls_settings=Tls(ca_file=own.ca_file, server_name=name)) as rig:
            caller = await rig.call(GET)
            told = refused(await caller.message())
            assert (told.name, why in told.detail) == ("upstream_unreachable", True)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_missing_is_a_failure_of_tls(
    version: ssl.TLSVersion, authority: Authority
) -> None:
    """In TLS 1.3 that is heard only after the handshake, when the request may have been sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("api.test"))
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio's own TLS would not send the alert.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while data := await reader.read(65536):
            incoming.write(data)
            with suppress(ssl.SSLError):
                tls.do_handshake()
            writer.write(outgoing.read())
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = Url("https", "127.0.0.1", server.sockets[0].getsockname()[1], "")
    async with _sidecar(authority, url=url) as rig:
        told = refused(await (await rig.call(GET)).message())

        assert told.name == "upstream_unreachable"
        assert re.search("TLS failed: .*ALERT", told.detail)
    server.close()


@pytest.mark.parametrize("silent", [True, False])
async def test_a_handshake_that_never_comes(silent: bool, authority: Authority) -> None:
    """Whether nobody says anything or the connection is closed: words for it, and nothing left behind."""
    gone = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if silent:
            while await reader.read(65536):
                pass
        writer.close()
        gone.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = Url("https", "127.0.0.1", server.sockets[0].getsockname()[1], "")
    timeouts = Timeouts(connect=Duration(0.1 if silent else 5))
    async with _sidecar(authority, url=url, timeouts=timeouts) as rig:
        told = refused(await (await rig.call(GET)).message())
        await gone.wait()  # The sidecar's side of it is closed.
    server.close()

    assert told.name in ("upstream_unreachable", "overloaded")
    assert silent or told.detail.endswith("TLS failed: the handshake was cut off")
