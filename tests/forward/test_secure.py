"""Our own TLS against OpenSSL servers on loopback: who is trusted, what arrives, and how each side hears of the end."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable

import pytest

from proxy.forward.secure import CutOffError, TlsSessions, TlsTransport
from tests.certificates import Authority
from tests.forward.far import TLS12, TLS13, Above, connected, connecting, make_server, reset, trusting
from tests.forward.rig import until

pytestmark = pytest.mark.uvloop

BOTH = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


# ------------------------------------------------------------------------------------------------------ handshakes


@BOTH
async def test_a_handshake_and_a_word_each_way(version: ssl.TLSVersion, authority: Authority) -> None:
    async with connected(authority, version) as (secure, above, far):
        secure.write(b"hello")
        secure.write(b"")
        assert await far.read(5) == b"hello"
        await far.send(far.sealed(b"hi"))
        await until(lambda: above.data == b"hi")

        assert above.events == ["made"]
        assert (secure.is_closing(), secure.can_write_eof(), secure.get_write_buffer_size()) == (False, False, 0)
    assert above.events == ["made", "lost"]
    assert above.lost.result() is None, "we cut it ourselves"
    assert (secure.is_closing(), secure.get_write_buffer_size()) == (True, 0)
    # Afterwards nothing of this matters any more.
    secure.write(b"late")
    secure.pause_reading()
    secure.resume_reading()
    secure.close()
    secure.abort()


@pytest.mark.parametrize(
    ("name", "trusted", "why"), [("api.test", False, "unable to get"), ("other.test", True, "not valid for")]
)
async def test_who_cannot_be_trusted_is_told_why(
    name: str, trusted: bool, why: str, authority: Authority, stranger: Authority
) -> None:
    client = trusting(authority if trusted else stranger)
    async with connecting(client, make_server(authority), name=name) as (secure, above, far):
        with pytest.raises(ssl.SSLError, match="alert"):  # What the server hears.
            await far.handshake_and_read()
        with pytest.raises(ssl.SSLCertVerificationError, match=why):
            await secure.ready
    assert above.events == [], "nothing was ever connected"


async def test_nothing_older_than_tls_1_2(authority: Authority) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        server = make_server(authority, ssl.TLSVersion.TLSv1_1)
    server.set_ciphers("ALL:@SECLEVEL=0")
    async with connecting(trusting(authority), server) as (secure, above, far):
        with pytest.raises(ssl.SSLError):
            await far.handshake()
        await far.flush()
        with pytest.raises(ssl.SSLError):
            await secure.ready
    assert above.events == []


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        pytest.param(lambda raw: raw.close(), CutOffError, id="closed"),
        pytest.param(reset, ConnectionResetError, id="reset"),
        pytest.param(lambda raw: raw.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ssl.SSLError, id="plain http"),
    ],
)
async def test_a_handshake_that_the_peer_ends(
    ends: Callable[[socket.socket], object], error: type[Exception], authority: Authority
) -> None:
    async with connecting(trusting(authority), make_server(authority)) as (secure, above, far):
        await far.fill()
        ends(far.raw)
        with pytest.raises((CutOffError, error)):
            await secure.ready
    assert above.events == []


async def test_nobody_needs_to_hear_that_a_handshake_failed(authority: Authority) -> None:
    async with connecting(trusting(authority), make_server(authority)) as (secure, _, far):
        reset(far.raw)
        await until(secure.ready.done)
        # Whoever waited has just been cancelled: leaving complains of an exception that was never retrieved.


async def test_a_handshake_that_nobody_waits_for_any_more_comes_to_nothing(authority: Authority) -> None:
    async with connecting(trusting(authority), make_server(authority)) as (secure, above, far):
        secure.ready.cancel()
        await far.fill()
        with pytest.raises(ssl.SSLWantReadError):
            far.tls.do_handshake()
        await far.flush()
        await until(lambda: secure._incoming.pending)
    assert above.events == []


async def test_one_that_was_given_up_before_the_connection_was_there(authority: Authority) -> None:
    secure = TlsTransport(Above(), trusting(authority), "api.test", TlsSessions())
    secure.ready.cancel()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await asyncio.get_running_loop().create_connection(lambda: secure, *listening.getsockname())
        raw, _ = listening.accept()
        secure.abort()
        await until(lambda: secure._below is None)
        with raw:
            assert raw.recv(100) == b"", "not even a hello"


def test_no_server_begins_a_second_handshake(authority: Authority) -> None:
    assert trusting(authority).options & ssl.OP_NO_RENEGOTIATION


# -------------------------------------------------------------------------------------------------------- sessions


@BOTH
async def test_a_session_is_resumed_and_only_with_its_context(version: ssl.TLSVersion, authority: Authority) -> None:
    client, server, sessions = trusting(authority), make_server(authority, version), TlsSessions()

    async def reused(context: ssl.SSLContext) -> bool:
        async with connected(authority, version, client=context, server=server, sessions=sessions) as (_, above, far):
            await far.send(far.sealed(b"x"))
            await until(lambda: above.data == b"x")
            await asyncio.sleep(0)
            return bool(far.tls.session_reused)

    assert [await reused(client) for _ in range(3)] == [False, True, True]
    assert not await reused(trusting(authority))


async def test_tickets_alone_are_no_data(authority: Authority) -> None:
    sessions = TlsSessions()
    client, server = trusting(authority), make_server(authority)
    async with connecting(client, server, sessions=sessions) as (secure, above, far):
        await far.handshake(hold_tickets=True)
        await secure.ready
        assert sessions.of(client) is None
        await far.send(far.sealed())
        await until(lambda: sessions.of(client))
        assert above.data == b""
        await far.send(far.sealed(b"after"))
        await until(lambda: above.data == b"after")


async def test_a_server_without_tickets_leaves_nothing_to_resume(authority: Authority) -> None:
    server, client, sessions = make_server(authority), trusting(authority), TlsSessions()
    server.num_tickets = 0
    async with connected(authority, client=client, server=server, sessions=sessions) as (_, above, far):
        await far.send(far.sealed(b"x"))
        await until(lambda: above.data == b"x")
        await asyncio.sleep(0)
        assert sessions.of(client) is None


# ------------------------------------------------------------------------------------------------------------ data


@BOTH
async def test_ten_mebibytes_each_way_arrive_as_they_were(version: ssl.TLSVersion, authority: Authority) -> None:
    data = hashlib.shake_256(b"seed").digest(10 * MIB)
    async with connected(authority, version) as (secure, above, far):

        async def echo() -> None:
            for at in range(0, len(data), MIB):
                await far.send(far.sealed(await far.read(MIB)))
                del at

        echoing = asyncio.ensure_future(echo())
        view = memoryview(data)
        secure.write(data[: MIB // 2])
        secure.write(view[MIB // 2 : MIB])
        secure.write(bytearray(view[MIB:]))
        assert secure.get_write_buffer_size() > 0
        await echoing
        await until(lambda: sum(map(len, above.pieces)) >= len(data))

        assert hashlib.sha256(above.data).digest() == hashlib.sha256(data).digest()
        assert above.events == ["made", "pause", "resume"], "back-pressure, and its end"


async def test_records_that_come_together_are_given_together(authority: Authority) -> None:
    """The end of one answer and what must not be there after it are seen at once."""
    async with connected(authority) as (_, above, far):
        await far.send(far.sealed(*(b"%d," % number for number in range(50))))
        await until(lambda: above.data.endswith(b"49,"))

        assert above.data == b"".join(b"%d," % number for number in range(50))
        assert len(above.pieces) <= 2


async def test_a_record_that_comes_byte_by_byte(authority: Authority) -> None:
    async with connected(authority) as (secure, above, far):
        for byte in far.sealed(b"whole"):
            assert above.pieces == []
            secure.data_received(bytes([byte]))
        assert above.pieces == [b"whole"]


async def test_while_reading_is_paused_nothing_is_given_and_nothing_lost(authority: Authority) -> None:
    async with connected(authority) as (secure, above, far):
        secure.pause_reading()
        sending = asyncio.ensure_future(far.send(far.sealed(b"x" * MIB, b"end")))
        secure.data_received(b"")  # What was on its way already stays below.
        for _ in range(50):
            await asyncio.sleep(0)
        assert above.data == b""

        above.on_data = lambda _: secure.pause_reading()
        while not above.data.endswith(b"end"):
            before = len(above.pieces)
            secure.resume_reading()
            secure.resume_reading()
            assert len(above.pieces) == before, "not before the caller of resume_reading has gone on"
            await above.more_than(before)
            assert len(above.pieces) == before + 1
        await sending
        assert above.data == b"x" * MIB + b"end"


async def test_what_came_with_a_pause_is_given_after_it(authority: Authority) -> None:
    async with connected(authority) as (secure, above, far):
        secure.pause_reading()
        secure.data_received(far.sealed(b"late"))
        assert above.data == b""
        secure.resume_reading()
        assert above.data == b""
        await until(lambda: above.data)
        assert above.data == b"late"


async def test_what_comes_with_the_end_of_the_handshake(authority: Authority) -> None:
    """In TLS 1.2 the server speaks last: its first words may be in the same packet."""
    server = make_server(authority, TLS12)
    async with connecting(trusting(authority), server) as (secure, above, far):
        await far.handshake(hold_tickets=True)
        await far.send(far.sealed(b"hasty"))
        await secure.ready
        await until(lambda: above.data)
        assert above.data == b"hasty"


# --------------------------------------------------------------------------------------------------------- the end


@BOTH
async def test_a_goodbye_is_a_clean_end(version: ssl.TLSVersion, authority: Authority) -> None:
    async with connected(authority, version) as (_, above, far):
        await far.send(far.sealed(b"all") + await far.goodbye())

        assert await above.lost is None
        assert (above.data, above.events) == (b"all", ["made", "eof", "lost"])


async def test_an_end_without_goodbye_is_an_error(authority: Authority) -> None:
    async with connected(authority) as (_, above, far):
        await far.send(far.sealed(b"not all"))
        far.raw.close()

        assert isinstance(await above.lost, ConnectionError)
        assert (above.data, above.events) == (b"not all", ["made", "lost"])


async def test_a_cut_is_told_at_once_so_that_nobody_takes_the_connection(authority: Authority) -> None:
    async with connected(authority) as (secure, above, _):
        assert secure.eof_received() is False
        assert isinstance(above.lost.result(), CutOffError)
        secure.write(b"for nobody")


@BOTH
async def test_garbage_is_an_error_after_what_was_good(version: ssl.TLSVersion, authority: Authority) -> None:
    async with connected(authority, version) as (secure, above, far):
        secure.data_received(far.sealed(b"good") + b"\x17\x03\x03\x00\x20" + b"garbage!" * 4)

        assert isinstance(above.lost.result(), ssl.SSLError)
        assert above.data == b"good"
        secure.write(b"more")  # Whoever is in the middle of sending does not stumble.
        with pytest.raises(ssl.SSLError, match="alert"):
            await far.read(1)


async def test_a_reset_is_an_error(authority: Authority) -> None:
    async with connected(authority) as (_, above, far):
        reset(far.raw)
        assert isinstance(await above.lost, ConnectionError)


async def test_a_reset_after_a_goodbye_takes_nothing_away(authority: Authority) -> None:
    async with connected(authority) as (secure, above, far):
        secure.data_received(far.sealed(b"all") + await far.goodbye())
        secure.connection_lost(ConnectionResetError())
        assert above.lost.result() is None


async def test_what_was_written_goes_out_before_the_close(authority: Authority) -> None:
    async with connected(authority) as (secure, above, far):
        secure.write(b"x" * MIB)
        secure.close()
        secure.close()
        secure.write(b"too late")

        assert await far.read(MIB + 1) == b"x" * MIB, "and then our own close_notify"
        assert await above.lost is None


async def test_who_cuts_while_reading_hears_no_more(authority: Authority) -> None:
    async with connected(authority) as (secure, above, far):
        above.on_data = lambda _: secure.abort()
        secure.data_received(far.sealed(b"first") + await far.goodbye())
        assert await above.lost is None
        assert above.events == ["made", "lost"]


def test_sessions_are_looked_at_seldom_since_each_look_costs_memory_for_good() -> None:
    sessions = TlsSessions()
    first, second = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert sessions.wanted(first, 1000.0)
    assert not any(sessions.wanted(first, 1000.0 + seconds) for seconds in range(300))
    assert sessions.wanted(first, 1300.0)
    assert sessions.wanted(second, 1301.0), "another context has other sessions"
    assert not sessions.wanted(second, 1302.0)


async def test_a_resumed_session_is_kept_as_it_is(authority: Authority) -> None:
    client, server, sessions = trusting(authority), make_server(authority), TlsSessions()
    kept = []
    for _ in range(3):
        async with connected(authority, client=client, server=server, sessions=sessions) as (_, above, far):
            await far.send(far.sealed(b"word"))
            await until(lambda: above.data == b"word")
            await until(lambda: sessions.last)
            kept.append(sessions.last)
    assert kept[0] is kept[1] is kept[2]
