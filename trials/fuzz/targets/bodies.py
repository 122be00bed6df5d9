"""Bodies: a chunked body has one content, however its bytes are cut on the way.

Input: a chunked body, and what follows it.

Oracle: fed whole, byte by byte, and in pieces, the decoder gives the same content, the same end and the same bytes
after it, or refuses; and it takes exactly what the strict reader takes, apart from the limits that it has on top.
The same for a body of a declared length, which is whatever the first bytes say.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.forward.body import OVERHEAD_LIMIT, Body, ChunkedBody, FixedBody
from proxy.forward.http1 import BadMessage
from tests.conformance.reader import Incomplete, Unreadable, read_request
from trials.fuzz.cuts import cuts

_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


class Outcome(NamedTuple):
    """What a decoder made of the bytes."""

    content: bytes
    rest: bytes
    end: str
    """`whole`, `open`, or `refused`."""


def check(data: bytes) -> None:
    outcomes = [_decode(ChunkedBody(), pieces) for pieces in cuts(data)]
    first = outcomes[0]
    for other in outcomes[1:]:
        # Of a refused body as much may have gone on as had come, and a fault shows as soon as its line is there.
        same = first == other or (first.end == other.end == "refused" and _agree(first.content, other.content))
        assert same or (first.end, other.end) == ("open", "refused"), "the cut decides"
    _judge(data, first)
    length = sum(data[:2])
    for pieces in cuts(data):
        expected = Outcome(data[:length], data[length:], "whole" if len(data) >= length else "open")
        assert _decode(FixedBody(length), pieces) == expected


def _agree(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _decode(body: Body, pieces: list[bytes]) -> Outcome:
    content = b""
    rest = b""
    try:
        for piece in pieces:
            if body.done:
                rest += piece
                continue
            content += b"".join(body.feed(piece))
            rest = body.rest
    except BadMessage:
        return Outcome(content, b"", "refused")
    assert body.ended() == body.done
    return Outcome(content, rest, "whole" if body.done else "open")


def _judge(data: bytes, outcome: Outcome) -> None:
    try:
        message, rest = read_request(_HEAD + data, generous=True)
    except Incomplete:
        assert outcome.end != "whole", "taken for whole before it was"
    except Unreadable:
        assert outcome.end != "whole", "taken although it is malformed"
    else:
        assert outcome == Outcome(message.body, rest, "whole") or len(data) > OVERHEAD_LIMIT, "read in another way"
