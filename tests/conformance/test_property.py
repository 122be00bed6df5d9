"""Generated messages through the real proxy over sockets: what the other side understood is what this side meant.

The other side is read twice, by llhttp and by the strict reader of these tests, and both must agree. A message that
was broken on purpose is either refused, or understood as the same by both; nothing half-understood passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httptools
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.reader import (
    Incomplete,
    Message,
    Unreadable,
    read_request,
    read_requests,
    read_response,
    read_responses,
)
from tests.forward.rig import GET, OK, Rig, Wire, refused, sidecar, within

ADDED = {b"host", b"via", b"authorization", b"content-length", b"transfer-encoding", b"connection"}
"""Fields that the sidecar makes anew, apart from which all must be as they were sent."""
TOKEN_BYTES = "!#$%&'*+-.^_`|~0123456789abcXYZ"

tokens = st.text(TOKEN_BYTES, min_size=1, max_size=8).map(str.encode)
names = tokens.map(lambda name: b"x-" + name)
values = st.lists(st.sampled_from([*range(0x21, 0x7F), 0x80, 0xFF, 0x20, 0x09]), max_size=12).map(
    lambda value: bytes(value).strip(b" \t")
)
fields = st.lists(st.tuples(names, values), max_size=6).map(tuple)
methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"]) | tokens.filter(
    lambda method: method not in (b"CONNECT", b"TRACE")
)
targets = st.lists(st.sampled_from([*range(0x21, 0x7F), 0x80, 0xFF]), max_size=12).map(lambda rest: b"/" + bytes(rest))
bodies = st.none() | st.lists(st.binary(max_size=40), max_size=5)
"""The content in pieces; None for no body at all."""
cuts = st.lists(st.integers(0, 400), max_size=6)
chunk_tails = st.sampled_from([b"", b";a", b';a="b"', b" ;x=1"])
broken = st.none() | st.tuples(
    st.integers(0, 400),
    st.sampled_from([b"\r", b"\n", b"\x00", b" ", b":", b"\t", b"\r\n", b"0", b";", b"\r\n\r\n", b","]),
)
"""A few bytes that are put somewhere into the message."""

common = settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


class Meant(NamedTuple):
    """A message, and the bytes that say it."""

    wire: bytes
    content: bytes


def _framed(pieces: list[bytes] | None, chunked: bool, tail: bytes) -> Meant:
    """The framing field, the empty line and the body."""
    if pieces is None:
        return Meant(b"\r\n", b"")
    content = b"".join(pieces)
    if not chunked:
        return Meant(b"Content-Length: %d\r\n\r\n%b" % (len(content), content), content)
    chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), tail, piece) for piece in pieces if piece)
    return Meant(b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0" + tail + b"\r\n\r\n", content)


def _lines(pairs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in pairs)


def _broken(data: bytes, fault: tuple[int, bytes] | None) -> bytes:
    if fault is None:
        return data
    at = fault[0] % (len(data) + 1)
    return data[:at] + fault[1] + data[at:]


async def _send(wire: Wire, data: bytes, where: list[int]) -> None:
    """Send it in parts; the other side reads each before the next is there."""
    at = 0
    for end in sorted({cut % (len(data) + 1) for cut in where} | {len(data)}):
        if end > at:
            wire.send(data[at:end])
            at = end
            for _ in range(6):
                await asyncio.sleep(0)


class _Llhttp:
    """What llhttp makes of requests, in the same form as the strict reader's."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._url = self._body = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._parser: Any = None

    def read(self, data: bytes, *, responses: bool = False) -> list[Message]:
        self._parser = httptools.HttpResponseParser(self) if responses else httptools.HttpRequestParser(self)
        self._parser.feed_data(data)
        return self.messages

    def on_message_begin(self) -> None:
        self._url, self._body, self._fields = b"", b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if isinstance(self._parser, httptools.HttpRequestParser):
            first = (self._parser.get_method(), self._url, b"HTTP/1.1")
        else:
            first = (b"HTTP/1.1", b"%d" % self._parser.get_status_code(), b"")
        self.messages.append(Message(first, tuple(self._fields), self._body, closes=False))


async def _whole_request(peer: Wire) -> Message | None:
    """One request as the upstream reads it; None if the connection ends before it is whole."""
    got = b""
    while True:
        try:
            if got:
                (message,) = read_requests(got)
                return message
        except Incomplete:
            pass
        try:
            piece = await within(peer._reader.read(65536))
        except ConnectionError:
            piece = b""
        if not piece:
            return None
        got += piece


def _same_by_llhttp(message: Message) -> None:
    """llhttp, which knows fewer methods and no bytes over 0x7F in a target, understands the same."""
    target = message.first[1] if message.first[1].isascii() else b"/"
    raw = b"GET " + target + b" HTTP/1.1\r\n" + _lines(message.fields) + b"\r\n"
    body = message.body
    if message.values(b"transfer-encoding"):
        raw += (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        raw += body
    (other,) = _Llhttp().read(raw)
    assert other[1:] == message[1:]
    assert other.first[1] == target


def _run(scenario: Any) -> None:
    asyncio.run(within(scenario))


@asynccontextmanager
async def _rig() -> AsyncIterator[Rig]:
    async with sidecar() as rig:
        yield rig


@common
@given(methods, targets, fields, bodies, st.booleans(), chunk_tails, cuts, broken)
def test_requests(
    method: bytes,
    target: bytes,
    pairs: tuple[tuple[bytes, bytes], ...],
    pieces: list[bytes] | None,
    chunked: bool,
    tail: bytes,
    where: list[int],
    fault: tuple[int, bytes] | None,
) -> None:
    framed = _framed(pieces, chunked, tail)
    sent = b"%b %b HTTP/1.1\r\nHost: localhost\r\n%b" % (method, target, _lines(pairs)) + framed.wire
    data = _broken(sent, fault)

    async def scenario() -> None:
        async with _rig() as rig:
            caller = await rig.call()
            await _send(caller, data, where)
            caller.end()  # A request that the fault left without its end shall not be waited for.
            understood: list[Message] = []

            async def upstream() -> None:
                while True:
                    peer = await rig.origin._came.get()
                    while (message := await _whole_request(peer)) is not None:
                        understood.append(message)
                        peer.send(OK.replace(b"ok", b"") if message.first[0] == b"HEAD" else OK)

            serving = asyncio.ensure_future(upstream())
            answers = await caller.rest()
            if serving.done():
                await serving
            serving.cancel()
            for message in understood:
                _same_by_llhttp(message)
                _whole_credential(message)
            if fault is None:
                (message,) = understood
                assert message.first == (method, target, b"HTTP/1.1")
                assert tuple(pair for pair in message.fields if pair[0].lower() not in ADDED) == pairs
                assert message.body == framed.content
                assert b" 200 OK\r\n" in answers
            else:
                _never_more_than_was_said(data, understood, answers)

    _run(scenario())


def _whole_credential(message: Message) -> None:
    assert message.values(b"authorization") == [b"Bearer tok.1"]
    assert message.values(b"via")[-1] == b"1.1 cognito-sidecar"
    assert message.fields[-1][0] == b"Authorization"


def _never_more_than_was_said(data: bytes, understood: list[Message], answers: bytes) -> None:
    """A broken request: all that came through was said, in this order; the rest was refused."""
    said: list[Message] = []
    try:
        while data := data.lstrip(b"\r\n"):
            message, data = read_request(data, generous=True)
            said.append(message)
    except Unreadable:
        assert b"X-Sidecar-Error: " in answers
    left = iter(said)
    for one in understood:
        assert any((one.first, one.body) == (other.first, other.body) for other in left), (one, said)
    assert len(understood) == len(said) or b"X-Sidecar-Error: " in answers


@common
@given(
    st.sampled_from([b"200", b"404", b"500", b"299"]),
    fields,
    bodies,
    st.sampled_from(["length", "chunked", "close"]),
    chunk_tails,
    cuts,
    broken,
)
def test_responses(
    status: bytes,
    pairs: tuple[tuple[bytes, bytes], ...],
    pieces: list[bytes] | None,
    framing: str,
    tail: bytes,
    where: list[int],
    fault: tuple[int, bytes] | None,
) -> None:
    if framing == "close" or pieces is None:
        content = b"".join(pieces or ())
        framed = Meant(b"\r\n" + content, content)
    else:
        framed = _framed(pieces, framing == "chunked", tail)
    data = _broken(b"HTTP/1.1 %b Word\r\n%b" % (status, _lines(pairs)) + framed.wire, fault)

    async def scenario() -> None:
        async with _rig() as rig:
            caller, peer, _ = await rig.exchange(GET)
            await _send(peer, data, where)
            peer.close()
            caller.end()
            answer = await caller.rest()
            if fault is None:
                (message,) = read_responses(answer, [b"GET"])
                assert message.first == (b"HTTP/1.1", status, b"Word")
                assert tuple(pair for pair in message.fields if pair[0].lower() not in ADDED) == pairs
                assert message.body == framed.content
                (other,) = _Llhttp().read(answer, responses=True)
                assert (other.fields, other.body) == (message.fields, message.body)
            else:
                _refused_or_cut_or_the_same(data, answer)

    _run(scenario())


def _refused_or_cut_or_the_same(data: bytes, answer: bytes) -> None:
    try:
        got = read_responses(answer, [b"GET"])
    except Incomplete:
        return  # Cut off, visibly.
    final = got[-1]
    if final.values(b"x-sidecar-error"):
        assert refused(answer)[:2] == (502, "upstream_protocol")
        return
    meant, _ = read_response(data, b"GET", generous=True)  # Bytes past the end belong to nobody.
    assert (final.first[1], final.body) == (meant.first[1], meant.body)
