"""An answer as plain data, and the small things that several answers need. It knows no sockets."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from proxy.secret import unshown

Random = Callable[[int], bytes]
"""So many random bytes: `os.urandom`, or a test's own."""

Fields = tuple[tuple[str, str], ...]
"""Header fields in the order in which they are sent."""


@unshown
class Answer(NamedTuple):
    """One response. Content-Length (or, where `chunked`, Transfer-Encoding) and Date are the server's to add."""

    status: int
    fields: Fields
    body: bytes
    outcome: str
    """One word for `GET /_emulator/calls`."""
    chunked: bool = False
    close: bool = False
    """The connection ends after this answer, because the request's body was not read to its end."""


def compact(value: Any) -> bytes:
    """JSON without spaces, as AWS writes its errors."""
    return json.dumps(value, separators=(",", ":")).encode()


def page(status: int, value: Any, *, outcome: str = "control", fields: Fields = ()) -> Answer:
    """JSON for people: what the emulator's own endpoints answer with."""
    body = json.dumps(value, indent=2).encode() + b"\n"
    return Answer(status, (("Content-Type", "application/json"), *fields), body, outcome)


def request_id(random: Random) -> str:
    """A UUID of version 4, the shape of most AWS request ids."""
    return str(uuid.UUID(bytes=random(16), version=4))


def gateway_id(random: Random) -> str:
    """Sixteen characters that end in an equals sign, the shape of API Gateway's own ids."""
    return base64.urlsafe_b64encode(random(11)).decode()
