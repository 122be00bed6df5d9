"""Starting, closing, and settings that cannot be used."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable

import aiohttp
import pytest

import proxy.emulator
from proxy.emulator import Emulator
from proxy.emulator.keys import SigningKey
from proxy.errors import StartError
from tests.emulator.tools import Caller
from tests.processes import lacking

pytestmark = pytest.mark.uvloop

MakeKey = Callable[[], SigningKey]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "", "localhost.example", "example.com"])
async def test_it_listens_on_loopback_and_nowhere_else(host: str) -> None:
    with pytest.raises(StartError, match="loopback addresses only"):
        await Emulator().start(host, 0)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("host", "origin"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("::1", "[::1]")])
async def test_the_base_url_is_where_it_can_be_reached(host: str, origin: str, make_key: MakeKey) -> None:
    if host == "::1" and not _has_ipv6():
        lacking("this machine has no IPv6 loopback")
    emulator = Emulator(make_key=make_key)
    url = await emulator.start(host, 0)
    try:
        assert url == emulator.base_url
        assert url.rpartition(":")[0] == f"http://{origin}"
        async with aiohttp.ClientSession() as session:
            assert (await Caller(emulator, session).get("/rest/", emulator.issue())).status == 200
    finally:
        await emulator.close()


async def test_a_port_in_use_is_named(make_key: MakeKey, signing_keys: list[SigningKey]) -> None:
    async with Emulator(make_key=make_key) as emulator:
        port = int(emulator.base_url.rpartition(":")[2])
        second = Emulator(make_key=iter(signing_keys).__next__)
        with pytest.raises(StartError, match=f"^127.0.0.1:{port}: address already in use$"):
            await second.start(port=port)
        await second.close()


async def test_a_port_that_is_none_is_named() -> None:
    with pytest.raises(StartError, match="70000: a port is a number"):
        await Emulator().start(port=70_000)


async def test_it_starts_once_at_a_time_and_again_after_closing(signing_keys: list[SigningKey]) -> None:
    emulator = Emulator(make_key=iter(signing_keys).__next__)
    with pytest.raises(StartError, match="not been started"):
        _ = emulator.base_url
    await emulator.start(port=0)
    with pytest.raises(StartError, match="already"):
        await emulator.start(port=0)
    url = emulator.base_url
    await emulator.close()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)
    await emulator.start(port=0)
    await emulator.close()
    await emulator.close()


async def test_closing_does_not_wait_for_idle_or_half_sent_connections(make_key: MakeKey) -> None:
    emulator = Emulator(make_key=make_key)
    url = await emulator.start(port=0)
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /rest/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 401 Unauthorized\r\n"
    writer.write(b"GET /rest/ HT")
    await emulator.close()
    await reader.read()
    writer.close()
    await writer.wait_closed()


def test_the_package_costs_nothing_until_it_is_used() -> None:
    program = "import sys, proxy.emulator; sys.exit(any(m in sys.modules for m in ('aiohttp', 'jwt', 'cryptography')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    with pytest.raises(AttributeError, match="nothing"):
        _ = proxy.emulator.nothing
