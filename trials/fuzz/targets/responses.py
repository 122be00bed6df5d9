"""An upstream's whole answer: the caller gets that, or a clear refusal, or a visible cut; and nothing else ever.

Input: all that an upstream sends on a connection after a request, before it closes.

Oracle: whoever asks (GET, HEAD, an HTTP/1.0 caller, a WebSocket handshake) is answered once. An answer that is whole to
the strict reader and is not the sidecar's own is, to a generous one, what the upstream said: its status, reason, body,
and its fields but for those of a hop and `X-Sidecar-Error`. What the upstream did not finish is not finished to the
caller. Bytes past its end reach nobody. And the network's cuts make no difference.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.conformance.reader import Fields, Incomplete, Message, Unreadable, read_response
from trials.fuzz.cuts import cuts
from trials.fuzz.wires import Wire, World, run

CALLS: Final = {
    "GET": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HEAD": b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "1.0": b"GET / HTTP/1.0\r\n\r\n",
    "WebSocket": b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}
_HOP: Final = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length"}
_NOT_COMPARED: Final = _HOP | {b"x-sidecar-error", b"location", b"content-location"}
"""Lengths are seen by the reader; locations have a target of their own."""

_OURS: Final = b'{"type": "urn:cognito-sidecar:error:upstream_protocol"'


class Got(NamedTuple):
    """What the caller got."""

    final: Message | None
    """The final answer, if it is whole."""
    interim: tuple[Message, ...]
    tunnelled: bytes | None
    """After a 101."""

    @property
    def refused(self) -> bool:
        return self.final is not None and bool(self.final.values(b"x-sidecar-error"))


def check(data: bytes) -> None:
    for call, request in CALLS.items():
        method = b"HEAD" if call == "HEAD" else b"GET"
        outcomes = [run(_converse(request, pieces)) for pieces in cuts(data)]
        got = [_read(written, aborted, method) for written, aborted in outcomes]
        for other in got[1:]:
            assert _shape(got[0]) == _shape(other), "the cut decides"
        _judge(data, method, call, got[0])


async def _converse(request: bytes, pieces: list[bytes]) -> tuple[bytes, bool]:
    """What the caller got, and whether its connection was reset."""
    world = World()
    answering: dict[tuple[Wire, int], list[bytes]] = {}

    def serve() -> bool:
        """Say all pieces on each connection on which something was asked, one by one, then close."""
        moved = False
        for wire in world.wires:
            asked = wire.written.count(b"\r\nAuthorization: ")
            left = answering.setdefault((wire, asked), [*pieces]) if asked else []
            while left and wire.reading and not wire.over:
                wire.deliver(left.pop(0))
                moved = True
            if asked and not left and not wire.over and not wire.ended:
                wire.end()
                moved = True
        return moved

    world.caller.deliver(request)
    await world.settle(serve)
    written, aborted = bytes(world.caller.written), world.caller.aborted
    assert written or aborted, "the caller was not answered"
    await world.leave()
    return written, aborted


def _read(written: bytes, aborted: bool, method: bytes) -> Got:
    interim: list[Message] = []
    while written:
        try:
            message, written = read_response(written, method)
        except Incomplete:
            break  # Cut off, visibly. Bytes that are no answer at all are another error, which is not caught.
        if message.first[1] == b"101":
            return Got(None, tuple(interim), written)
        if int(message.first[1]) >= 200:
            assert not written, "something follows the answer"
            return Got(None if aborted else message, tuple(interim), None)
        interim.append(message)
    return Got(None, tuple(interim), None)


def _shape(got: Got) -> object:
    """What may not depend on the cut: all but how far a broken body came, and the words for what is broken."""
    if got.refused or got.final is None:
        return got.refused, got.tunnelled is None, [one.first for one in got.interim]
    fields = tuple(pair for pair in got.final.fields if pair[0].lower() not in _HOP)
    return got.final.first, fields, got.final.body, [one.first for one in got.interim]


def _judge(data: bytes, method: bytes, call: str, got: Got) -> None:
    if got.refused:
        assert got.final is not None
        assert got.final.values(b"x-sidecar-error") == [b"upstream_protocol"]
        assert got.final.body.startswith(_OURS) or method == b"HEAD", "the upstream's answer passes for ours"
        assert not any(one.values(b"x-sidecar-error") for one in got.interim)
        return
    interim, meant, rest = _meant(data, method)
    if got.tunnelled is not None:
        assert call == "WebSocket", "it switched, and nobody had asked for that"
        assert meant is not None
        assert meant.first[1] == b"101"
        assert got.tunnelled == rest, "the tunnel's bytes have changed"
        return
    for one, other in zip(got.interim, interim, strict=False):
        assert _fields(one.fields) == _fields(other.fields), "an interim answer has changed"
    if got.final is None:
        return  # Cut off, which the reader has seen to be visible.
    assert meant is not None, "finished to the caller, and not by the upstream"
    assert got.final.first[1:] == meant.first[1:], "not the upstream's status"
    assert got.final.body == meant.body, "not the upstream's body"
    assert _fields(got.final.fields) == _fields(meant.fields), "not the upstream's fields"


def _meant(data: bytes, method: bytes) -> tuple[list[Message], Message | None, bytes]:
    """What a generous reader makes of it: interim answers, the final one or a 101 if there is one, and what follows."""
    interim: list[Message] = []
    try:
        while True:
            message, data = read_response(data, method, generous=True)
            if message.first[1] == b"101" or int(message.first[1]) >= 200:
                return interim, message, data
            if message.first[1] != b"100":  # The answer to an Expect, which the sidecar did not send.
                interim.append(message)
    except Unreadable:
        return interim, None, b""


def _fields(fields: Fields) -> list[tuple[bytes, bytes]]:
    options = {
        option.strip(b" \t").lower()
        for name, value in fields
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    gone = _NOT_COMPARED | options
    return [pair for pair in fields if pair[0].lower() not in gone and not pair[0].lower().startswith(b"proxy-")]
