"""Listening sockets: what is in the way of one, what is not, and what is left behind."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from proxy.binding import Binding, bind
from proxy.config.model import Address
from proxy.errors import StartError
from proxy.socketfile import Access

pytestmark = pytest.mark.uvloop


async def _hello(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello")


@asynccontextmanager
async def _runner() -> AsyncIterator[web.ServerRunner]:
    runner = web.ServerRunner(web.Server(_hello), handle_signals=False)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _bound(address: Address) -> AsyncIterator[Binding]:
    async with _runner() as runner:
        binding = await bind(runner, address, "listen")
        yield binding
        await binding.stop()


async def _says(address: Address, binding: Binding) -> bytes:
    if address.unix:
        reader, writer = await asyncio.open_unix_connection(address.unix)
    else:
        reader, writer = await asyncio.open_connection(address.host, binding.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.rpartition(b"\r\n")[2]


async def test_a_free_port() -> None:
    address = Address("127.0.0.1", 0)
    async with _bound(address) as binding:
        assert binding.port > 0
        assert await _says(address, binding) == b"hello"
        await binding.stop()
        await binding.stop()
        with pytest.raises(ConnectionRefusedError):
            await _says(address, binding)


async def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with _runner() as runner:
            with pytest.raises(StartError) as caught:
                await bind(runner, Address("127.0.0.1", port), "admin.listen")
    assert str(caught.value) == f"admin.listen: cannot listen on 127.0.0.1:{port}: address already in use"


@pytest.mark.parametrize(("host", "why"), [("192.0.2.1", "cannot assign requested address"), ("::1%nowhere", "name")])
async def test_an_address_that_is_not_this_machines(host: str, why: str) -> None:
    async with _runner() as runner:
        with pytest.raises(StartError) as caught:
            await bind(runner, Address(host, 1), "listen")
    assert str(caught.value).startswith(f"listen: cannot listen on {Address(host, 1)}: ")
    reason = str(caught.value).rpartition(": ")[2]
    assert why in reason
    assert "\n" not in reason


async def test_a_unix_socket_goes_with_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "s"
    address = Address("", 0, str(path))
    async with _bound(address) as binding:
        assert (binding.port, path.is_socket()) == (0, True)
        assert await _says(address, binding) == b"hello"
    assert not path.exists()


async def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    address = Address("", 0, str(path))
    async with _bound(address) as binding:
        assert await _says(address, binding) == b"hello"


@pytest.mark.parametrize("busy", [False, True])
async def test_a_socket_that_somebody_listens_on_is_left_alone(busy: bool, tmp_path: Path) -> None:
    socket_file = tmp_path / "s"
    path = str(socket_file)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(2 * busy)]
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen(0)
        for one in waiting:  # Its queue is full: it listens all the same.
            one.setblocking(False)
            one.connect_ex(path)
        async with _runner() as runner:
            with pytest.raises(StartError, match=f"unix:{path}: address already in use"):
                await bind(runner, Address("", 0, path), "listen")
        assert socket_file.is_socket()
    for one in waiting:
        one.close()


async def test_a_file_is_not_taken_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    async with _runner() as runner:
        with pytest.raises(StartError, match="file exists"):
            await bind(runner, Address("", 0, str(path)), "listen")
    assert path.read_text() == "data"


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async with _runner() as runner:
        with pytest.raises(StartError, match="no such file or directory"):
            await bind(runner, Address("", 0, str(tmp_path / "none" / "s")), "listen")


async def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    async with _runner() as runner:
        with pytest.raises(StartError, match="path too long"):
            await bind(runner, Address("", 0, str(tmp_path / ("x" * 120))), "listen")


async def test_a_socket_of_the_next_process_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with _bound(Address("", 0, str(path))):
        os.rename(path, tmp_path / "old")
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.is_socket()


async def test_a_socket_that_is_gone_already(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with _bound(Address("", 0, str(path))):
        path.unlink()
    assert not path.exists()


async def test_who_may_connect_is_changed_without_a_new_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with _bound(Address("", 0, str(path), Access(mode=0o660))) as binding:
        before = path.stat()
        reader, writer = await asyncio.open_unix_connection(path)
        binding.permit(Access(mode=0o600), "listen")
        assert (stat.S_IMODE(before.st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o660, 0o600)
        assert path.stat().st_ino == before.st_ino
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"hello"), "who is there already stays"
        writer.close()
        path.unlink()
        with pytest.raises(StartError) as caught:
            binding.permit(Access(), "admin.listen")
        assert str(caught.value) == f"admin.listen: cannot set owner and mode of unix:{path}: no such file or directory"


async def test_a_port_has_no_permissions() -> None:
    async with _bound(Address("127.0.0.1", 0)) as binding:
        binding.permit(Access(), "listen")


async def test_what_cannot_be_served_leaves_no_socket(tmp_path: Path) -> None:
    runner = web.ServerRunner(web.Server(_hello), handle_signals=False)
    with pytest.raises(RuntimeError, match="setup"):
        await bind(runner, Address("", 0, str(tmp_path / "s")), "listen")
    assert os.listdir(tmp_path) == []
