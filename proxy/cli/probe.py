"""One question to a running sidecar's admin listener, over a bare socket: `wait` and `healthcheck` ask it.

An orchestrator runs `healthcheck` every few seconds for as long as the sidecar lives, so this must import nothing
that costs start-up time: no HTTP client, no event loop, and PyYAML only where a configuration has to be read.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from proxy.cli.output import one_line

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; what an admin listener says about its health is far shorter."""

# A clock of its own, where the rest of the program takes one: proxy.clock stands on asyncio, which costs half of
# the start-up time of a probe. A pause of some seconds at most is measured, and no token's life.
monotonic: Callable[[], float] = time.monotonic  # noqa: TID251
pause: Callable[[float], None] = time.sleep  # noqa: TID251  there is no event loop here that it could stop


class Target(NamedTuple):
    """Where a running sidecar's admin listener is: a host and a port, or the path of a unix socket."""

    host: str
    port: int
    unix: str = ""

    def __str__(self) -> str:
        if self.unix:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Answer(NamedTuple):
    status: int
    body: str
    """On one line."""


def ask(target: Target, path: str, timeout: float) -> Answer:
    """GET `path` within `timeout` seconds altogether. Raises OSError (TimeoutError too) where there is no answer."""
    deadline = monotonic() + timeout
    received = bytearray()
    with _connected(target, timeout) as connection:
        # HTTP/1.0 keeps this small: the answer is not chunked and ends with the connection.
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("ascii"))
        while len(received) < MAX_ANSWER:
            left = deadline - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            connection.settimeout(left)
            piece = connection.recv(MAX_ANSWER)
            if not piece:
                break
            received += piece
    return _answer(bytes(received))


def _connected(target: Target, timeout: float) -> socket.socket:
    if not target.unix:
        return socket.create_connection((target.host, target.port), timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(target.unix)
    except BaseException:
        connection.close()
        raise
    return connection


def _answer(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ConnectionError("something answers there, but not as a sidecar does")
    text = body.decode("utf-8", "replace").strip()
    if not text.startswith("{"):  # Lines are sentences, but for JSON, which may come from something else there.
        text = "; ".join(line for line in text.splitlines() if line.strip())
    return Answer(int(words[1]), one_line(text, 500))


def trouble(error: OSError) -> str:
    """Why there is no answer, in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
        return "nothing listens there; is the sidecar running?"
    return error.strerror or str(error) or type(error).__name__
