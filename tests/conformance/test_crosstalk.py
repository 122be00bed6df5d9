"""Thousands of requests at once, each with its own number: every answer is for its request, or is an error.

Both ends are unfair on purpose, by a seeded draw: upstreams answer late, close, reset, say too much or too little,
refuse tokens; callers pipeline, go away in the middle, and there are more of them than connections to the upstream.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress

import pytest

from proxy.config.model import Duration, Pool, Timeouts
from proxy.tokens.interface import AccessToken, Recovery
from tests.forward.rig import Rig, Wire, sidecar

CALLERS = 50
ROUNDS = 40
SEED = 20261123


class _Tokens:
    """Gives a new token for each that was refused, some turns of the loop later."""

    def __init__(self) -> None:
        self._token = AccessToken("tok.1", 1)

    def current(self) -> AccessToken:
        return self._token

    async def wait(self, seconds: float) -> AccessToken:
        return self._token

    async def refused(self, number: int, seconds: float) -> Recovery:
        await _turns(20)
        if number == self._token.number:
            self._token = AccessToken(f"tok.{number + 1}", number + 1)
        return Recovery("renewed", self._token)

    def accepted(self, token: AccessToken) -> None:
        token.proven = True


async def _turns(count: int) -> None:
    """Let the loop turn: what is ready elsewhere goes first."""
    for _ in range(count):
        await asyncio.sleep(0)


def _content(number: int) -> bytes:
    """What only this request sends and gets: between a few bytes and some packets."""
    return b"<%d>" % number * random.Random(number).choice((1, 7, 400, 9_000))


class _Upstream:
    """Answers by the number in the target; checks that the whole request bears it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._random = random.Random(SEED)
        self.did: Counter[str] = Counter()

    async def serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._connection(await self._rig.origin._came.get()))

    async def _connection(self, wire: Wire) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._request(wire):
                pass

    async def _request(self, wire: Wire) -> bool:
        head = await wire._reader.readuntil(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        method, target, _ = line.split(b" ")
        number = int(target.removeprefix(b"/"))
        assert b"X-Number: %d" % number in fields
        lengths = [int(field[16:]) for field in fields if field.startswith(b"Content-Length: ")]
        if lengths:
            assert await wire._reader.readexactly(lengths[0]) == _content(number)
        elif b"Transfer-Encoding: chunked" in fields:
            content = b""
            while size := int(await wire._reader.readuntil(b"\r\n"), 16):
                content += (await wire._reader.readexactly(size + 2))[:-2]
            await wire._reader.readexactly(2)
            assert content == _content(number)
        await _turns(self._random.choice((0, 0, 1, 5, 30, 150)))
        return await self._answer(wire, number, method)

    async def _answer(self, wire: Wire, number: int, method: bytes) -> bool:
        how = self._random.choices(
            ["length", "chunked", "close", "late", "cut", "reset", "mute", "more", "401", "garbage"],
            [40, 20, 8, 8, 5, 4, 4, 4, 5, 2],
        )[0]
        self.did[how] += 1
        body = _content(number)
        begins = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\n" % number
        whole = begins + b"Content-Length: %d\r\n\r\n" % len(body)
        whole += b"" if method == b"HEAD" else body
        match how:
            case "length":
                wire.send(whole)
            case "chunked":
                half = len(body) // 2
                chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
                rest = b"" if method == b"HEAD" else chunks + b"0\r\n\r\n"
                wire.send(begins + b"Transfer-Encoding: chunked\r\n\r\n" + rest)
            case "close":
                wire.send(begins + b"Connection: close\r\n\r\n" + (b"" if method == b"HEAD" else body))
                wire.close()
            case "late":
                wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + whole[:20])
                await _turns(40)
                wire.send(whole[20:])
            case "cut":
                wire.send(whole[: len(whole) // 2])
                wire.close()
            case "reset":
                wire.send(whole[: len(whole) // 2])
                await _turns(3)
                wire.reset()
            case "mute":
                wire.close()
            case "more":
                # In one packet: what comes later, once the connection is free, nobody could tell from an answer.
                whole = whole if len(whole) < 4096 else begins + b"Content-Length: 0\r\n\r\n"
                wire.send(whole + b"HTTP/1.1 200 OK\r\nX-Number: 0\r\nContent-Length: 6\r\n\r\nforged")
            case "401":
                wire.send(b"HTTP/1.1 401 Unauthorized\r\nX-Number: %d\r\nContent-Length: 0\r\n\r\n" % number)
            case _:
                wire.send(b"\x00garbage\r\n\r\n")
        return how in ("length", "chunked", "late", "more", "401", "garbage")


class _Caller:
    """Sends numbered requests on connections of its own, and checks what it gets."""

    def __init__(self, rig: Rig, first: int) -> None:
        self._rig = rig
        self._numbers = iter(range(first, first + 10 * ROUNDS))
        self._random = random.Random(first)
        self.got: Counter[str] = Counter()

    async def run(self) -> None:
        wire: Wire | None = None
        for _ in range(ROUNDS):
            wire = wire or await self._rig.call()
            batch = [self._request() for _ in range(self._random.choice((1, 1, 1, 2, 5)))]
            for _, _, sent in batch:
                half = self._random.randrange(len(sent)) if self._random.random() < 0.2 else len(sent)
                wire.send(sent[:half])
                if half < len(sent):
                    await _turns(self._random.randrange(20))
                    wire.send(sent[half:])
            if self._random.random() < 0.1:
                await _turns(self._random.randrange(60))
                wire.reset()
                self.got["nothing, gone"] += len(batch)
                wire = None
                continue
            if not await self._answers(wire, batch):
                await wire.closed()
                wire = None

    def _request(self) -> tuple[int, bytes, bytes]:
        number = next(self._numbers)
        method = self._random.choice((b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"))
        head = b"%b /%d HTTP/1.1\r\nHost: localhost\r\nX-Number: %d\r\n" % (method, number, number)
        body = _content(number)
        if method not in (b"POST", b"PUT"):
            return number, method, head + b"\r\n"
        if self._random.random() < 0.5:
            return number, method, head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return number, method, head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    async def _answers(self, wire: Wire, batch: list[tuple[int, bytes, bytes]]) -> bool:
        """Read the answers, in order. Whether the connection may be used again."""
        for at, (number, method, _) in enumerate(batch):
            try:
                if not await self._answer(wire, number, method):
                    self.got["nothing, closed"] += len(batch) - at - 1
                    return False
            except (asyncio.IncompleteReadError, ConnectionError):
                self.got["nothing, cut"] += len(batch) - at
                return False
        return True

    async def _answer(self, wire: Wire, number: int, method: bytes) -> bool:
        head = await wire.head()
        while head.startswith(b"HTTP/1.1 103 "):
            head = await wire.head()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        goes_on = fields.get(b"Connection") != b"close"
        if name := fields.get(b"X-Sidecar-Error"):
            if method != b"HEAD":
                await wire.take(int(fields[b"Content-Length"]))
            self.got[name.decode()] += 1
            return goes_on
        assert fields[b"X-Number"] == b"%d" % number
        if head.startswith(b"HTTP/1.1 401 "):
            self.got["401"] += 1
            return goes_on
        body = b""
        if method != b"HEAD":
            body = await self._body(wire, fields, _content(number))
        assert body == (b"" if method == b"HEAD" or fields.get(b"Content-Length") == b"0" else _content(number))
        self.got["whole"] += 1
        return goes_on

    async def _body(self, wire: Wire, fields: dict[bytes, bytes], expected: bytes) -> bytes:
        """The body; what there is of one that is cut must still be this request's."""
        if b"Content-Length" in fields:
            try:
                return await wire.take(int(fields[b"Content-Length"]))
            except asyncio.IncompleteReadError as cut:
                if not expected.startswith(cut.partial):
                    pytest.fail("a cut answer is another request's")
                raise
        body = b""
        while size := int(await wire.until(b"\r\n"), 16):
            body += (await wire.take(size + 2))[:-2]
            assert expected.startswith(body)
        assert await wire.take(2) == b"\r\n"
        return body


@pytest.mark.uvloop
async def test_every_answer_is_for_its_request() -> None:
    limits = Timeouts(connect=Duration(15), response=Duration(15), idle=Duration(15))
    async with sidecar(pool=Pool(max_connections=12, keepalive=Duration(0.05)), timeouts=limits) as rig:
        rig.upstream.provider = _Tokens()
        upstream = _Upstream(rig)
        serving = asyncio.ensure_future(upstream.serve())
        callers = [_Caller(rig, 1 + 10 * ROUNDS * number) for number in range(CALLERS)]
        async with asyncio.TaskGroup() as group:
            for caller in callers:
                group.create_task(caller.run())
        await rig.settled()
        assert rig.pool.idle <= 12
        assert not serving.done(), serving
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        got = sum((caller.got for caller in callers), Counter[str]())
        assert got.total() > 1.5 * CALLERS * ROUNDS
        assert got["whole"] > 0.4 * got.total(), got
        for rare in ("upstream_protocol", "nothing, cut", "nothing, gone"):
            assert got[rare] > 10, got
        assert rig.stats.unauthorized["replayed"] > 10
        assert min(upstream.did.values()) > 10, upstream.did
        assert not set(got) - {
            "whole", "401", "upstream_protocol", "nothing, closed", "nothing, cut", "nothing, gone"
        }  # fmt: skip
        assert sum(rig.stats.requests.values()) >= got["whole"]
