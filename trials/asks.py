"""What callers ask of the upstream of a trial, and what they get for it. Everything follows from the ask's own id.

An ask's target says how it is to be answered, so that the upstream needs no other instruction and a caller knows
beforehand, byte by byte, what a right answer is:

    /KIND/ID?size=BYTES&seconds=SECONDS

The bodies of both directions are drawn from the id: a byte of somebody else's, a byte lost or a byte sent twice
shows at the place where it stands. Nothing here waits or touches a socket.
"""

from __future__ import annotations

import re
from random import Random
from typing import Final, Literal, NamedTuple, get_args

Kind = Literal[
    "sized", "chunked", "slow", "late", "early", "close", "eof", "cut", "once401", "events", "socket", "long"
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""sized: a body with its length; chunked: in chunks; slow: piece by piece over so many seconds; late: the head comes
after so many seconds; early: before the request's body was read; close: and then the connection is closed; eof: closed
without an answer; cut: closed in the middle of the body; once401: 401 for the first time, then sized; events: a
server-sent event stream, `size` events over so many seconds; socket: a WebSocket that gives back what it gets;
long: sized, but all zeros, so that nobody has to hold what may be gigabytes."""

_TARGET = re.compile(
    r"(?:/[a-z]+)*?/(?P<kind>[a-z0-9]+)/(?P<id>[\w.-]+)\?size=(?P<size>\d+)&seconds=(?P<seconds>[\d.]+)"
)
ID_FIELD: Final = "X-Ask"
"""Carries the id in both directions, besides the target."""


class Ask(NamedTuple):
    """One request of a trial."""

    id: str
    method: str = "GET"
    kind: Kind = "sized"
    size: int = 0
    """Bytes of the answer's body; events, of a stream."""
    seconds: float = 0.0
    body: int = 0
    """Bytes of the request's body."""
    chunked: bool = False
    """The request's body comes in chunks."""

    @property
    def target(self) -> str:
        return f"/{self.kind}/{self.id}?size={self.size}&seconds={self.seconds:g}"


def read_target(target: str) -> Ask | None:
    """The ask of a target, whatever path stands before it. What is not in the target is left at its default."""
    found = _TARGET.fullmatch(target)
    if found is None or found["kind"] not in KINDS:
        return None
    return Ask(found["id"], kind=found["kind"], size=int(found["size"]), seconds=float(found["seconds"]))


def request_body(ask: Ask) -> bytes:
    """What the caller sends."""
    return _bytes("request", ask.id, ask.body)


def answer_body(ask: Ask) -> bytes:
    """What the upstream answers when all is well; for HEAD as well, though it is not sent there."""
    if ask.kind == "events":
        return b"".join(event(ask.id, number) for number in range(ask.size))
    if ask.kind == "eof":
        return b""
    if ask.kind == "long":
        return bytes(ask.size)
    return _bytes("answer", ask.id, ask.size)


def event(id: str, number: int) -> bytes:
    """One event of a stream."""
    return f"id: {number}\ndata: {id} {number}\n\n".encode()


def _bytes(direction: str, id: str, count: int) -> bytes:
    return Random(f"{direction} {id}").randbytes(count)
