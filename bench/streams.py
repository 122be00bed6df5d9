"""Long bodies: an HTTPS upstream that gives and takes them, and a caller that does the opposite through a contender.

Blocking sockets and a thread for each connection: for one body at a time nothing in Python is faster.
`GET /down/N` is answered with N bytes, `POST /up` with 28 when the body has come whole.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

from bench.site import LISTEN, SMALL, TOKEN

_PIECE = 256 * 1024
_BEARER = f"authorization: bearer {TOKEN}".encode().lower()


class Broken(Exception):
    """A body did not pass whole. The text says what came instead."""


def serve_streams(context: ssl.SSLContext) -> int:
    """Accept connections in the background for as long as this process lives. Returns the port."""
    listening = socket.create_server((LISTEN, 0), backlog=64)

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_serve, args=(connection, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


def _serve(raw: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = b""
        while True:
            head, rest = _read_head(connection, rest)
            first = head.split(b"\r\n", 1)[0]
            rest = _take_body(connection, _content_length(head), rest)
            if _BEARER not in head.lower():
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            elif first.startswith(b"GET /down/"):
                size = int(first.split(b" ")[1].rpartition(b"/")[2])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                _send_body(connection, size)
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(SMALL), SMALL))


def download(port: int, size: int) -> float:
    """Seconds until `size` bytes came through the contender at `port`. Raises Broken."""
    with socket.create_connection((LISTEN, port), timeout=60) as connection:
        began = time.perf_counter()
        connection.sendall(b"GET /down/%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (size, port))
        head, body = _checked(connection)
        if _content_length(head) not in (size, 0):
            raise Broken("the length of the body has changed on its way")
        # A proxy may have chunked the body: then there is a little more than its bytes, and the end says so.
        chunked = b"transfer-encoding: chunked" in head.lower()
        _drain(connection, body, size, until_last_chunk=chunked)
        return time.perf_counter() - began


def upload(port: int, size: int) -> float:
    """Seconds until `size` bytes were taken, and answered, through the contender at `port`. Raises Broken."""
    with socket.create_connection((LISTEN, port), timeout=60) as connection:
        began = time.perf_counter()
        connection.sendall(b"POST /up HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: %d\r\n\r\n" % (port, size))
        _send_body(connection, size)
        _checked(connection)
        return time.perf_counter() - began


def _checked(connection: socket.socket) -> tuple[bytes, bytes]:
    head, rest = _read_head(connection, b"")
    if not head.startswith(b"HTTP/1.1 200"):
        raise Broken(f"answered {head.split(chr(13).encode(), 1)[0]!r}")
    return head, rest


def _read_head(connection: socket.socket, seen: bytes) -> tuple[bytes, bytes]:
    """A head, and what came after it. Raises Broken when the connection ends before."""
    while b"\r\n\r\n" not in seen:
        data = connection.recv(64 * 1024)
        if not data:
            raise Broken("the connection was closed before an answer")
        seen += data
    head, _, rest = seen.partition(b"\r\n\r\n")
    return head, rest


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)


def _send_body(connection: socket.socket, size: int) -> None:
    piece = memoryview(bytes(_PIECE))
    for left in range(size, 0, -_PIECE):
        connection.sendall(piece[: min(left, _PIECE)])


def _take_body(connection: socket.socket, size: int, rest: bytes) -> bytes:
    """Read `size` bytes, `rest` first; returns what came after them."""
    if len(rest) >= size:
        return rest[size:]
    _drain(connection, rest, size, until_last_chunk=False)
    return b""


def _drain(connection: socket.socket, rest: bytes, size: int, *, until_last_chunk: bool) -> None:
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    seen, last = len(rest), rest[-5:]
    while seen < size or (until_last_chunk and not last.endswith(b"0\r\n\r\n")):
        # Never more than what is left: a next request may follow it.
        count = connection.recv_into(view if until_last_chunk else view[: min(_PIECE, size - seen)])
        if not count:
            raise Broken(f"cut off after {seen} of {size} bytes")
        seen += count
        last = (last + bytes(view[max(0, count - 5) : count]))[-5:]
