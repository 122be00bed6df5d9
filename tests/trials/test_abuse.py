"""What a trial of abuse takes for a fault, and crowds that behave as badly as they say."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.processes import PATIENCE, Program
from trials.abuse.crowd import KINDS, Kind
from trials.abuse.report import Row, line, unserved
from trials.caller import Outcome
from trials.healthy import Served, Service, summary, wrong
from trials.leftovers import AGAIN, FIRST, Allowance, is_as_before, unfreed
from trials.readings import Readings

MIB = 2**20
REST = Readings(
    at=0.0,
    tasks=3,
    open_fds=20,
    resident_bytes=60 * MIB,
    caller_connections=0,
    idle=0,
    busy=0,
    in_flight=0,
    waiters=0,
)
PEAK = REST._replace(open_fds=9000, resident_bytes=160 * MIB, caller_connections=8000, busy=2000, in_flight=2000)
GOOD = Outcome("1", "", "GET", "sized", True, 10.0, 10.5, "whole", status=200, bearer="1", length=5, expected=5)


# What is free again.


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param({}, [], id="all of it"),
        pytest.param({"resident_bytes": 60 * MIB + 33 * MIB}, [], id="what the allocator may keep"),
        pytest.param({"resident_bytes": 100 * MIB}, ["40.0 MiB are left, 33.0 are allowed"], id="memory"),
        pytest.param({"open_fds": 22}, ["2 descriptors are left"], id="descriptors"),
        pytest.param({"open_fds": 19, "tasks": 2, "resident_bytes": MIB}, [], id="less than before"),
        pytest.param({"tasks": 4}, ["1 tasks are left"], id="tasks"),
        pytest.param(
            {"caller_connections": 1, "busy": 2, "idle": 3, "in_flight": 4, "waiters": 5},
            [
                "connections and requests are left: 1 of callers, 5 to upstreams, 4 requests, 5 that wait",
            ],
            id="connections",
        ),
    ],
)
def test_what_is_left(after: dict[str, int], said: list[str]) -> None:
    assert unfreed(REST, PEAK, REST._replace(**after), FIRST) == said


def test_a_second_rush_may_leave_less_than_the_first() -> None:
    assert FIRST.share > AGAIN.share > 0
    after = REST._replace(resident_bytes=REST.resident_bytes + 20 * MIB)
    assert unfreed(REST, PEAK, after, FIRST) == []
    assert len(unfreed(REST, PEAK, after, AGAIN)) == 1
    assert unfreed(PEAK, REST, PEAK, Allowance(0.5, 0)) == [
        "connections and requests are left: 8000 of callers, 2000 to upstreams, 2000 requests, 0 that wait"
    ]


@pytest.mark.parametrize(
    ("change", "same"),
    [({}, True), ({"open_fds": 19}, True), ({"open_fds": 21}, False), ({"tasks": 4}, False), ({"busy": 1}, False)],
)
def test_when_all_is_as_before(change: dict[str, int], same: bool) -> None:
    assert is_as_before(REST._replace(**change), REST) is same


# What healthy callers got.


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({}, ""),
        ({"end": "cut"}, "cut"),
        ({"end": "unconnected"}, "unconnected"),
        ({"status": 503, "error": "overloaded"}, "overloaded"),
        ({"status": 500}, "500"),
        ({"bearer": "2"}, "another's bytes"),
        ({"differs_at": 3}, "another's bytes"),
        ({"length": 4}, "another's bytes"),
        ({"extra": 1}, "another's bytes"),
        ({"improper": "no end"}, "no end"),
    ],
)
def test_what_is_wrong_with_an_answer(change: dict[str, object], what: str) -> None:
    assert wrong(GOOD._replace(**change)) == what  # type: ignore[arg-type]


def test_times_are_those_of_right_answers() -> None:
    slow, lost = GOOD._replace(ended=12.0), GOOD._replace(ended=99.0, end="cut")
    assert summary([slow, GOOD, lost]) == Service(3, 0.5, 2.0, Counter({"cut": 1}))
    assert summary([lost]).p50 == float("inf")


def test_whoever_was_not_served_is_told_of() -> None:
    bad = Service(9, 0.1, 0.2, Counter({"overloaded": 2, "cut": 1}))
    assert unserved("crowded", bad) == ["crowded: of 9 healthy requests 2 overloaded, 1 cut"]
    assert unserved("crowded", bad, ("overloaded",)) == ["crowded: of 9 healthy requests 1 cut"]
    assert unserved("crowded", bad, ("overloaded", "cut")) == []
    assert unserved("crowded", Service(0, 0.0, 0.0, Counter())) == ["crowded: of 0 healthy requests no answer at all"]


def test_a_row_has_all_figures() -> None:
    served = Served(Service(70, 0.001, 0.25, Counter()), Service(7, float("inf"), float("inf"), Counter({"cut": 7})))
    text = line(Row("1,000 read slowly", PEAK, served, more=1000, took=10_240_000))
    words = "1,000 read slowly 8000 2000 9000 160.0 MiB 10.0 KiB 1.0 ms 250.0 ms - - 77, of them 7 cut"
    assert " ".join(text.split()) == words


# Crowds.


@asynccontextmanager
async def _listening(answer: bytes) -> AsyncIterator[tuple[str, asyncio.Queue[bytes]]]:
    """A server that answers the first that comes on a connection, and keeps it."""
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.put_nowait(await reader.read(1000))
        writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/at", got


async def _crowd(kind: Kind, url: str, *more: str) -> Program:
    return await Program.start(sys.executable, "-m", "trials.abuse.crowd", kind, "3", url, *more)


async def _some(got: asyncio.Queue[bytes], count: int) -> list[bytes]:
    async with asyncio.timeout(PATIENCE):
        return [await got.get() for _ in range(count)]


async def _left(crowd: Program) -> dict[str, int]:
    crowd.send(signal.SIGTERM)
    assert await crowd.ended() == 0
    told: dict[str, int] = json.loads(crowd.output.splitlines()[-1])
    return told


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crowd_stays_until_it_is_told_to_go(kind: Kind) -> None:
    begins = {"idle": b"", "heads": b"GET /at/long/", "readers": b"GET /at/long/", "senders": b"POST /at/long/"}[kind]
    async with _listening(b"HTTP/1.1 200 OK\r\n" if kind == "readers" else b"") as (url, got):
        crowd = await _crowd(kind, url)
        await crowd.printed("there")
        assert await _left(crowd) == {"held": 3}
        for first in await _some(got, 3):
            assert first.startswith(begins)
            assert (b"\r\n\r\n" in first) is (kind in ("readers", "senders"))


async def test_a_crowd_that_is_turned_away_knows_why() -> None:
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nX-Sidecar-Error: overloaded\r\nContent-Length: 0\r\n\r\n"
    async with _listening(refusal) as (url, got):
        crowd = await _crowd("readers", url)
        await crowd.printed("gone")
        assert await _left(crowd) == {"refused: overloaded": 3}
        assert got.qsize() == 3


async def test_a_persistent_crowd_comes_again() -> None:
    async with _listening(b"HTTP/1.1 503 X\r\nX-Sidecar-Error: overloaded\r\n\r\n") as (url, got):
        crowd = await _crowd("readers", url, "--again")
        await _some(got, 7)
        assert (await _left(crowd))["refused: overloaded"] >= 4
