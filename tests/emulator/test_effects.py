"""What a caller sees on the wire: 100 (Continue), delays, dropped and cut connections."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from proxy.emulator import Emulator
from proxy.tasks import spawn
from tests.emulator.tools import Caller, HandClock, bearer

pytestmark = pytest.mark.uvloop


async def test_a_caller_that_expects_100_gets_it_before_it_sends(caller: Caller) -> None:
    headers = bearer(caller.emulator.issue())
    reply = await caller.ask("POST", "/rest/echo", headers=headers, data=b"later", expect100=True)
    assert reply.json["body"]["length"] == 5


@pytest.mark.parametrize("path", ["/rest/echo", "/oauth2/token"])
async def test_a_caller_that_leaves_half_way_harms_nobody(caller: Caller, path: str) -> None:
    host, _, port = caller.emulator.base_url.removeprefix("http://").partition(":")
    for head in ("Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}".encode())
        await writer.drain()
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert (await caller.get("/rest/", await caller.token())).status == 200


@pytest.mark.parametrize("path", ["/oauth2/token", "/rest/", "/alb/"])
async def test_a_dropped_connection_has_no_answer_and_the_next_one_has(caller: Caller, path: str) -> None:
    await caller.order(token=[{"fault": "drop"}], rest=[{"fault": "drop"}], alb=[{"fault": "drop"}])
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.ask("POST", path)
    assert (await caller.ask("POST", path)).status in {401, 405}
    assert (await caller.calls())["calls"][0]["outcome"] == "fault:drop"
    assert (await caller.calls())["calls"][0]["status"] is None


@pytest.mark.parametrize(("target", "path"), [("token", "/oauth2/token"), ("http", "/http/echo")])
async def test_a_cut_answer_ends_before_its_end(caller: Caller, target: str, path: str) -> None:
    await caller.order(**{target: [{"fault": "cut"}]})
    asking = caller.token_call() if target == "token" else caller.get(path, caller.emulator.issue())
    with pytest.raises(aiohttp.ClientPayloadError):
        await asking
    assert (await caller.get("/rest/", await caller.token())).status == 200


async def test_a_delay_is_over_when_the_clock_says_so(caller: Caller, clock: HandClock) -> None:
    await caller.order(token=[{"fault": "delay", "seconds": 30}])
    asking = spawn(caller.token_call(), name="token call")
    await clock.waited_for.wait()
    clock.turn(29)
    assert not asking.done()
    clock.turn(1)
    reply = await asking
    assert reply.status == 200
    # The token is as old as it looks: it was made after the delay.
    assert (await caller.calls())["calls"][0]["outcome"] == "fault:delay"
    clock.turn(3599)
    assert (await caller.get("/rest/", reply.json["access_token"])).status == 200


async def test_closing_ends_a_delay(clock: HandClock, make_key: Any) -> None:
    emulator = Emulator(clock=clock, make_key=make_key)
    await emulator.start(port=0)
    async with aiohttp.ClientSession() as session:
        caller = Caller(emulator, session)
        emulator.set_faults({"rest": [{"fault": "delay", "seconds": 3600}]})
        asking = spawn(caller.get("/rest/"), name="slow call")
        await clock.waited_for.wait()
        await emulator.close()
        done, _ = await asyncio.wait({asking})
    assert {task.exception() for task in done} == {None}
    assert asking.result().status == 401
