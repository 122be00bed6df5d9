"""Plays one case of the table: a scripted caller and a scripted upstream at the two sides of a real listener."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from proxy.config.model import Url
from tests.conformance.reader import Incomplete, Message, read_requests, read_responses
from tests.conformance.table import HOST, LONG, PROBED, Case, Cut, Got, No, Turn
from tests.forward.rig import Rig, Wire, refused, sidecar, within
from tests.processes import free_port


async def play(case: Case, *, bytewise: bool) -> None:
    """Play a case. Raises AssertionError where something is not as it says."""
    options = dict(case.options)
    if options.pop("nobody", False):
        options["url"] = Url("http", "127.0.0.1", free_port(), "")
    async with sidecar(**options) as rig:
        if case.recovers:
            rig.tokens.recovers(case.recovers)
        await _Play(case, rig, bytewise=bytewise).run()


class _Play:
    def __init__(self, case: Case, rig: Rig, *, bytewise: bool) -> None:
        self._case = case
        self._rig = rig
        self._bytewise = bytewise
        self._host = rig.upstream.settings.url.authority.encode()
        self._peer: Wire | None = None
        self._played = asyncio.Event()
        """The upstream has come to the end of its turns."""
        self._gone = asyncio.Event()
        """The sidecar has closed a connection."""
        self._first = asyncio.Event()
        """The caller has its first answer."""
        self._seen = asyncio.Event()
        """The caller has all of its answers; only then does an upstream end a connection that ends with a reset."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._upstream())
            group.create_task(self._caller())
        connections = self._connections()
        assert len(self._rig.origin.wires) == connections, "connections to the upstream"
        await self._rig.leave()
        await self._rig.settled()
        self._rig.pool.retire()
        for wire in self._rig.origin.wires:
            assert (await _rest(wire))[0] == b"", "more went to the upstream"

    def _connections(self) -> int:
        """How many of them the case speaks of, the last one used again by the request that ends it."""
        turns = self._case.upstream
        ended = sum(isinstance(turn, Cut) or bool(turn.then) for turn in turns)
        last_open = bool(turns) and isinstance(turns[-1], Turn) and not turns[-1].then
        return ended + (last_open or self._case.ending == "kept")

    # The upstream.

    async def _upstream(self) -> None:
        for turn in self._case.upstream:
            peer = self._peer = self._peer or await self._rig.origin.accept()
            if isinstance(turn, Cut):
                await self._cut(peer, turn.whole.replace(HOST, self._host))
                self._peer = None
                continue
            if not turn.got:
                await self._first.wait()  # The connection is idle.
            await self._took(peer, turn.got.replace(HOST, self._host))
            says = turn.says.replace(HOST, self._host)
            if self._bytewise and self._case.says_bytewise and len(says) < LONG:
                await peer.send_bytewise(says)
            else:
                peer.send(says)
            if turn.then:
                await self._end(peer, turn.then)
                self._peer = None
        self._played.set()

    async def _took(self, peer: Wire, expected: bytes) -> None:
        if not self._bytewise or b"chunked" not in expected:
            assert await peer.take(len(expected)) == expected
            return
        # How content is cut into chunks follows how it arrived; what it says does not.
        got = await peer.head()
        while _is_incomplete(got):
            got += await peer.take(1)
        assert read_requests(got) == read_requests(expected)

    async def _cut(self, peer: Wire, whole: bytes) -> None:
        got, _ = await _rest(peer)
        head, end, _ = whole.partition(b"\r\n\r\n")
        # What was refused at once may not have been sent on at all.
        assert got.startswith(head + end) or (head + end).startswith(got)
        assert _is_incomplete(got), "a request that was refused was whole at the upstream"
        if not self._bytewise:
            assert whole.startswith(got)

    async def _end(self, peer: Wire, how: str) -> None:
        if how == "gone":
            assert (await _rest(peer))[0] == b""
            self._gone.set()
            return
        if self._case.ending == "reset" or self._case.cuts_late:
            await self._seen.wait()
        peer.reset() if how == "reset" else peer.close()

    # The caller.

    async def _caller(self) -> None:
        case = self._case
        caller = await self._rig.call()
        if self._bytewise:
            await caller.send_bytewise(case.sent)
        else:
            caller.send(case.sent)
        if case.ends:
            caller.end()
        for number, expected in enumerate(case.answers):
            await self._got(caller, expected)
            if not number:
                self._first.set()
                if case.when_gone:
                    await self._gone.wait()
                if case.goes_on:
                    caller.send(case.goes_on)
        self._seen.set()
        if case.ending == "kept":
            await self._probe(caller)
        else:
            assert await _rest(caller) == (b"", case.ending == "reset"), "the end of the caller's connection"

    async def _got(self, caller: Wire, expected: Got) -> None:
        if isinstance(expected, No):
            bodiless = self._case.sent.startswith(b"HEAD ")
            raw = await (caller.head() if bodiless else caller.message())
            if bodiless:
                assert f"X-Sidecar-Error: {expected.name}\r\n".encode() in raw
                return
            answer = refused(raw)
            assert (answer.status, answer.name) == (expected.status, expected.name), answer
            assert expected.detail in answer.detail
            if not self._case.ends:
                assert answer.fields.get("Connection") == (None if self._case.ending == "kept" else "close")
        elif self._bytewise and b"chunked" in expected:
            await self._got_chunked(caller, expected)
        else:
            assert await caller.take(len(expected)) == expected

    async def _got_chunked(self, caller: Wire, expected: bytes) -> None:
        """Compare what is understood: how content is cut into chunks follows how it came from the upstream."""
        if _understood(expected) is None:  # It is cut: its head at least must be there.
            head = expected.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            assert await caller.take(len(head)) == head
            got = head + (await _rest(caller))[0]
            assert _understood(got) is None, "a cut answer ended as if it were whole"
            return
        got = b""
        while _understood(got) is None:
            got += await caller.take(1)
        assert _understood(got) == _understood(expected)

    async def _probe(self, caller: Wire) -> None:
        await self._played.wait()
        caller.send(self._case.probe)
        peer = self._peer or await self._rig.origin.accept()
        assert b"/probe HTTP/1.1\r\n" in await peer.head()
        peer.send(PROBED)
        assert await caller.take(len(PROBED)) == PROBED


def _is_incomplete(data: bytes) -> bool:
    try:
        return not read_requests(data)
    except Incomplete:
        return True


def _understood(data: bytes) -> list[Message] | None:
    """A final response to a GET and the interims before it; None while it is not whole."""
    try:
        found = read_responses(data, [b"GET"])
    except Incomplete:
        return None
    return found if found and int(found[-1].first[1]) >= 200 else None


async def _rest(wire: Wire) -> tuple[bytes, bool]:
    """What comes until the connection ends, and whether that was by a reset."""
    reader, got = wire._reader, b""
    with suppress(ConnectionError):
        while piece := await within(reader.read(65536)):
            got += piece
        return got, False
    return got + bytes(reader._buffer), True  # type: ignore[attr-defined]
