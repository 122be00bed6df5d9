"""One listen address: binding, leaving, draining, and socket files."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path

import pytest
from aiohttp import web

from proxy.config.model import Address, Limits
from proxy.errors import StartError
from proxy.forward import listener
from proxy.forward.listener import _never
from tests.forward.rig import GET, OK, refused, sidecar, until
from tests.processes import free_port

pytestmark = pytest.mark.uvloop


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "s"  # Short: a socket's path has about a hundred bytes.


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _put(path: Path, kind: str) -> None:
    path.write_text("precious") if kind == "file" else path.mkdir()


async def _cannot_listen(where: Address) -> str:
    """Why not."""
    with pytest.raises(StartError) as caught:
        async with sidecar(listen=where):
            pass
    text = str(caught.value)
    begins = f"upstreams.orders.listen: cannot listen on {where}: "
    assert text.startswith(begins)
    assert "\n" not in text
    return text.removeprefix(begins)


async def test_a_free_port_is_named_once_it_is_known() -> None:
    async with sidecar() as rig:
        assert rig.listener.address.host == "127.0.0.1"
        assert rig.listener.address.port > 0
        assert rig.listener.authority == str(rig.listener.address).encode()


async def test_a_port_in_use() -> None:
    async with sidecar() as rig:
        assert await _cannot_listen(rig.listener.address) == "address already in use"


async def test_a_host_that_is_not_of_this_machine() -> None:
    await _cannot_listen(Address("192.0.2.1", free_port()))


async def test_a_socket_file_comes_and_goes(path: Path) -> None:
    async with sidecar(listen=Address("", 0, str(path))) as rig:
        assert _there(path)
        assert rig.listener.authority == b"localhost"
        caller, peer, _ = await rig.exchange(b"GET / HTTP/1.1\r\nHost: any.example\r\n\r\n")
        peer.send(OK)
        assert await caller.take(len(OK)) == OK
        await rig.listener.stop_accepting()
        assert not _there(path)


async def test_a_cut_to_http_1_0_on_a_unix_socket(path: Path) -> None:
    async with sidecar(listen=Address("", 0, str(path))) as rig:
        caller, peer, _ = await rig.exchange(b"GET / HTTP/1.0\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await caller.until(b"ab")
        peer.close()
        await caller.gone()  # A unix socket knows no reset.


async def test_a_socket_file_that_nobody_listens_on_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with sidecar(listen=Address("", 0, str(path))) as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK)
        assert await caller.take(len(OK)) == OK


async def test_a_socket_file_in_use_is_left_alone(path: Path) -> None:
    where = Address("", 0, str(path))
    async with sidecar(listen=where) as rig:
        assert await _cannot_listen(where) == "address already in use"
        _, peer, _ = await rig.exchange()
        peer.send(OK)


async def test_a_socket_whose_owner_accepts_nobody_does_not_stop_the_start(path: Path) -> None:
    def fill() -> None:
        """Until the queue is full a connection is accepted by the system alone."""
        while len(queued) < 64:
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            queued.append(one)
            try:
                one.connect(str(path))
            except BlockingIOError:
                return

    queued: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        fill()
        unblock = threading.Timer(3.0, busy.close)  # Only where the probe would wait for ever.
        unblock.start()
        try:
            await _cannot_listen(Address("", 0, str(path)))
            assert unblock.is_alive()
        finally:
            unblock.cancel()
            unblock.join()
            for one in queued:
                one.close()
    assert _there(path)


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_a_file_of_another_kind_is_left_alone(path: Path, kind: str) -> None:
    _put(path, kind)
    assert await _cannot_listen(Address("", 0, str(path))) == "file exists"
    assert _there(path)


async def test_a_folder_that_is_not_there(path: Path) -> None:
    assert await _cannot_listen(Address("", 0, str(path / "s"))) == "no such file or directory"


async def test_leaving_does_not_mind_a_socket_file_that_is_gone(path: Path) -> None:
    async with sidecar(listen=Address("", 0, str(path))) as rig:
        os.unlink(path)
        await rig.listener.close()
        await rig.listener.close()


# Draining


async def test_nobody_new_is_accepted_but_who_is_here_stays() -> None:
    async with sidecar() as rig:
        idle = await rig.call()
        caller, peer, _ = await rig.exchange()
        await rig.listener.stop_accepting()
        await rig.listener.stop_accepting()
        with pytest.raises(OSError):
            await rig.call()
        draining = asyncio.ensure_future(rig.listener.drained())
        idle.send(GET)
        assert refused(await idle.rest()).name == "shutting_down"
        idle.close()
        await until(lambda: len(rig.connections()) == 1)
        assert not draining.done()
        peer.send(OK)
        assert (await caller.rest()).endswith(b"ok")
        caller.close()
        await draining
        assert not rig.connections()


async def test_idle_connections_end_with_the_drain() -> None:
    async with sidecar() as rig:
        idle = await rig.call()
        began = await rig.call(b"GET / HT")
        await until(lambda: len(rig.connections()) == 2)
        await rig.listener.stop_accepting()
        await rig.listener.drained()
        assert await idle.rest() == b""
        assert rig.listener.abort() == 0  # Half a head is no request under way.
        await began.gone()


@pytest.mark.parametrize("sent", [0, 5], ids=["nothing sent", "a part of the head"])
async def test_whoever_connected_just_before_the_end_has_an_answer(sent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_EXPECTED_SECONDS", 3600.0)
    async with sidecar() as rig:
        caller = await rig.call(GET[:sent])
        await until(lambda: [connection.rank is not None for connection in rig.connections()] == [True])
        if sent:
            await until(lambda: "head" in repr(rig.connections()))
        await rig.listener.stop_accepting()
        draining = asyncio.ensure_future(rig.listener.drained())
        caller.send(GET[sent:])

        assert refused(await caller.rest()).name == "shutting_down"
        caller.close()
        await draining


async def test_whoever_was_answered_before_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_EXPECTED_SECONDS", 3600.0)
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        peer.send(OK)
        await caller.message()
        await rig.listener.stop_accepting()
        await rig.listener.drained()

        assert await caller.rest() == b""


@pytest.mark.parametrize("phase", ["token", "connection", "asked", "held"])
async def test_an_abort_cuts_whatever_a_request_waits_for(phase: str) -> None:
    async with sidecar() as rig:
        if phase in ("token", "connection"):
            if phase == "token":
                rig.tokens.token = None
            else:
                rig.pool._limit = 0
            caller = await rig.call(GET)
            await until(lambda: rig.tokens.waits or rig.pool._waiting)
        else:
            caller, peer, _ = await rig.exchange()
            if phase == "held":
                peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                await until(lambda: rig.tokens.refusals)
        await rig.listener.stop_accepting()
        assert rig.listener.abort() == 1
        assert await caller.rest() == b""
        await rig.settled()
        await rig.listener.drained()
        assert rig.stats.requests == {("GET", 499): 1}
        assert rig.tokens.cancelled == (phase in ("token", "held"))


async def test_routes_and_guard_may_be_swapped_between_two_requests() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange()
        guard = rig.listener.guard._replace(hosts=frozenset())
        rig.listener.configure(guard, rig.listener.routes, Limits(), access=False)
        peer.send(OK)
        await caller.message()
        caller.send(GET)
        assert refused(await caller.message()).name == "caller_denied"


async def test_aiohttps_own_handler_is_never_used() -> None:
    with pytest.raises(web.HTTPNotImplemented):
        await _never(None)  # type: ignore[arg-type]
