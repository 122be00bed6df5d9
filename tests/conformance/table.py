"""What a case of the table says: raw bytes in, raw bytes out, on both sides of the sidecar. Data only.

Its upstream is a list of turns, each "these bytes came, exactly; this is the answer"; whatever else arrives there fails
the case. Its caller sends, gets, and then the connection is as the case says. `tests.conformance.player` plays each one
twice: sent in one piece, and byte by byte, since where a packet ends must change nothing of what is understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.forward.rig import OK

LOCAL = b"Host: localhost\r\n"
HOST = b"@host@"
"""Stands for the upstream's authority."""
LONG = 4096
"""More bytes than that are not sent one by one."""
PROBE = b"GET /probe HTTP/1.1\r\nHost: localhost\r\n\r\n"
PROBED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nPROBE OK"
TOKEN = b"Authorization: Bearer tok.1\r\n"
VIA = b"Via: 1.1 cognito-sidecar\r\n"


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """A caller's HTTP/1.1 request to localhost."""
    return line + b" HTTP/1.1\r\n" + LOCAL + b"".join(one + b"\r\n" for one in fields) + b"\r\n" + body


def forwarded(line: bytes, *fields: bytes, body: bytes = b"", last: bytes = VIA + TOKEN) -> bytes:
    """What the upstream gets for it: its own name, the fields that pass, and what the sidecar adds."""
    lines = b"".join(one + b"\r\n" for one in fields)
    return line + b" HTTP/1.1\r\nHost: " + HOST + b"\r\n" + lines + last + b"\r\n" + body


def response(status: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """An HTTP/1.1 response, from the upstream or to the caller."""
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(one + b"\r\n" for one in fields) + b"\r\n" + body


class Turn(NamedTuple):
    """One step of the scripted upstream."""

    got: bytes
    """What arrives, byte for byte."""
    says: bytes = OK
    then: str = ""
    """Then it does `close` or `reset` the connection, or the sidecar does: `gone`. The next turn has a new one."""


class Cut(NamedTuple):
    """A request that begins like this, as far as it was sent on, and never becomes whole; then the sidecar closes."""

    whole: bytes


class No(NamedTuple):
    """An answer of the sidecar's own."""

    name: str
    status: int
    detail: str = ""
    """What its detail must hold."""


BAD = No("bad_request", 400)
DENIED = No("caller_denied", 403)
NOT_ALLOWED = No("not_allowed", 403)
BAD_UPSTREAM = No("upstream_protocol", 502)

Got = bytes | No


@dataclass(frozen=True)
class Case:
    """One row."""

    name: str
    why: str
    """Why it must be so, in words, with the section of the RFC."""
    sent: bytes
    got: Got | tuple[Got, ...]
    upstream: tuple[Turn | Cut, ...] = ()
    after: str = ""
    """The caller's connection then: `kept` (another request on it is served, and nothing else), `closed`, `reset`;
    empty: closed after a bad request, kept after all else."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the sidecar: see `tests.forward.rig.sidecar`. A bare path in `base` is the upstream's base path."""
    probe: bytes = PROBE
    """The request that shows that the connection was kept."""
    goes_on: bytes = b""
    """What the caller sends once it has the first of its answers."""
    ends: bool = False
    """The caller closes its half after what it sent."""
    recovers: str = ""
    """What becomes of a token that was refused: `renewed` (then it is tok.2) or `failed`."""
    cuts_late: bool = False
    """The upstream ends a connection only once the caller has its answers, as always where that ends by a reset."""
    when_gone: bool = False
    """The caller goes on only once the sidecar has closed a connection to the upstream."""
    whole_only: bool = False
    """Not played byte by byte: too long, or about time."""
    says_bytewise: bool = True
    """The upstream's answers too come byte by byte when the case is played that way."""

    @property
    def answers(self) -> tuple[Got, ...]:
        return self.got if isinstance(self.got, tuple) and not isinstance(self.got, No) else (self.got,)

    @property
    def ending(self) -> str:
        last = self.answers[-1] if self.answers else b""
        return self.after or ("closed" if isinstance(last, No) and last.name == "bad_request" else "kept")
