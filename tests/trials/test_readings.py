"""What is read of a sidecar: sums over its upstreams, and samples by their written names."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from trials.readings import Readings, metrics, read, read_until, readings_of, resident_bytes


def _status(
    callers: int = 0, idle: int = 0, busy: int = 0, in_flight: int = 0, waiters: int = 0, fetching: int = 0
) -> dict[str, Any]:
    empty = {"connections": {"idle": 0, "busy": 1}, "requests": {"in_flight": 2}, "waiters": 3, "fetching": True}
    connections, requests = {"idle": idle, "busy": busy}, {"in_flight": in_flight}
    other = {"connections": connections, "requests": requests, "waiters": waiters, "fetching": fetching}
    process = {"tasks": 4, "open_fds": 20, "resident_bytes": 5000, "caller_connections": callers}
    return {"process": process, "upstreams": {"orders": other, **({"more": empty} if busy else {})}}


def test_the_upstreams_are_summed() -> None:
    assert readings_of(_status(callers=1, idle=2, busy=3, in_flight=4, waiters=5), 7.0) == Readings(
        7.0, 4, 20, 5000, caller_connections=1, idle=2, busy=4, in_flight=6, waiters=8, fetching=1
    )


@pytest.mark.parametrize(
    "left", [{}, {"callers": 1}, {"idle": 1}, {"busy": 1}, {"in_flight": 1}, {"waiters": 1}, {"fetching": 1}]
)
def test_at_rest_is_when_nothing_is_left(left: dict[str, int]) -> None:
    assert readings_of(_status(**left), 7.0).at_rest is not bool(left)


class _Admin:
    def __init__(self) -> None:
        self.idle = [3, 2, 1, 0]
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/metrics":
            return web.Response(text='# TYPE a counter\na_total{y="2",x="1"} 5\n# TYPE b gauge\nb 7\n')
        return web.json_response(_status(idle=self.idle.pop(0) if len(self.idle) > 1 else self.idle[0]))


@pytest.fixture
async def admin() -> AsyncIterator[_Admin]:
    made = _Admin()
    app = web.Application()
    app.router.add_get("/{page}", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield made
    await runner.cleanup()


async def test_it_is_read_until_it_is_good(admin: _Admin) -> None:
    async with aiohttp.ClientSession() as session:
        assert (await read(session, admin.url)).idle == 3
        assert (await read_until(session, admin.url, lambda one: one.at_rest, seconds=20)).idle == 0


async def test_what_never_becomes_good_is_told_as_it_is(admin: _Admin) -> None:
    admin.idle = [3]
    async with aiohttp.ClientSession() as session:
        assert (await read_until(session, admin.url, lambda one: one.at_rest, seconds=0)).idle == 3


async def test_samples_have_the_names_that_are_written_there(admin: _Admin) -> None:
    async with aiohttp.ClientSession() as session:
        assert await metrics(session, admin.url) == {'a_total{x="1",y="2"}': 5.0, "b": 7.0}


def test_the_memory_of_a_process() -> None:
    assert resident_bytes(os.getpid()) > 5_000_000
