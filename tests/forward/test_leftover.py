"""Answers of servers that close while more of the request still comes, so that the system resets the connection."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.config.model import Url
from proxy.forward.leftover import unread
from tests.certificates import Authority
from tests.forward.far import connected
from tests.forward.rig import OK, Rig, Wire, sidecar, until, within

pytestmark = pytest.mark.uvloop

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"


class _Server:
    """An upstream that is a bare socket: what is done to it is done at once, while the event loop stands still."""

    def __init__(self, listening: socket.socket, rig: Rig) -> None:
        self._listening = listening
        self._rig = rig

    async def accept(self) -> socket.socket:
        """The next connection, whose request has come as far as `POST` goes."""
        loop = asyncio.get_running_loop()
        raw, _ = await within(loop.sock_accept(self._listening))
        raw.setblocking(False)
        received = b""
        while b"1\r\nx\r\n" not in received:
            received += await within(loop.sock_recv(raw, 65536))
        return raw

    async def leave(self, caller: Wire, raw: socket.socket, answer: bytes) -> None:
        """Answer and close, with a piece of the body unread, just before the sidecar sends the next."""
        caller.send(b"1\r\ny\r\n")
        await until(lambda: select.select([raw], [], [], 0)[0])
        [connection] = self._rig.pool._busy
        assert raw.send(answer) == len(answer)
        raw.close()
        connection.write(b"1\r\nz\r\n")


@asynccontextmanager
async def _bare() -> AsyncIterator[tuple[Rig, _Server]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        async with sidecar(url=Url("http", "127.0.0.1", listening.getsockname()[1], "")) as rig:
            yield rig, _Server(listening, rig)


async def test_an_answer_is_not_lost_with_its_connection() -> None:
    async with _bare() as (rig, server):
        caller = await rig.call(POST)
        await server.leave(caller, await server.accept(), TOO_LARGE)
        answer = await caller.rest()

        assert answer.startswith(b"HTTP/1.1 413 Too Large\r\n")
        assert answer.endswith(b"\r\n\r\nbig")
        assert b"Connection: close\r\n" in answer


async def test_a_token_that_is_refused_so_is_renewed_and_the_request_sent_again() -> None:
    async with _bare() as (rig, server):
        caller = await rig.call(POST)
        rig.tokens.recovers()
        await server.leave(caller, await server.accept(), b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        again = await server.accept()
        again.send(OK)
        answer = await caller.message()
        again.close()

        assert answer == OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


async def test_a_large_answer_that_waits_for_a_token_in_vain() -> None:
    body = b"0123456789" * 5_000
    async with _bare() as (rig, server):
        caller = await rig.call(POST)
        head = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body)
        await server.leave(caller, await server.accept(), head + body)
        await until(lambda: rig.tokens.refusals)
        rig.tokens.recovers("failed")
        answer = await caller.rest()

        assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert answer.partition(b"\r\n\r\n")[2] == body


async def test_a_body_that_nothing_but_the_end_frames_is_seen_to_be_cut() -> None:
    """Whether the server had said all, nobody can tell any more."""
    async with _bare() as (rig, server):
        caller = await rig.call(POST)
        await server.leave(caller, await server.accept(), b"HTTP/1.1 413 Too Large\r\n\r\nbig")
        answer = await caller.rest()

        assert b"3\r\nbig\r\n" in answer
        assert b"0\r\n\r\n" not in answer


@pytest.mark.parametrize("paused", [False, True])
async def test_over_tls(paused: bool, tmp_path: Path) -> None:
    async with connected(Authority(tmp_path)) as (secure, above, far):
        secure.write(b"one")
        await until(lambda: select.select([far.raw], [], [], 0)[0])
        if paused:
            secure.pause_reading()
        far.raw.send(far.sealed(b"no more", b", thanks"))
        far.raw.close()
        secure.write(b"two")
        error = await within(above.lost)

        assert above.data == b"no more, thanks"
        assert isinstance(error, OSError)


def test_a_transport_without_a_socket_has_nothing() -> None:
    assert unread(asyncio.Transport()) == b""
