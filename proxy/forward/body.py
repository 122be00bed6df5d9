"""Bodies, from bytes off a socket to pieces of content (RFC 9112 §6 and §7). Pure: fed by hand, no sockets.

Each decoder takes bytes as they arrive, gives the content in them, and says when the body is whole. What
arrived past its end waits in `rest`. Content is never collected here.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from proxy.forward.http1 import BadMessage, RequestHead, ResponseHead

Piece = bytes | memoryview

OVERHEAD_LIMIT: Final = 16 * 1024
"""Bytes of chunk extensions in one body, and bytes of its trailers."""

_LINE_LIMIT: Final = 16 + OVERHEAD_LIMIT + 2
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?\Z")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\Z")
_SMALL: Final = 2048
"""Below this a copied slice costs less than a view of the whole."""


class Body(Protocol):
    """A decoder of one body."""

    done: bool
    """The body is whole."""
    rest: bytes
    """Bytes past the end of the body."""

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces of content in `data`, in order. Raises BadMessage; never called once done."""

    def ended(self) -> bool:
        """The connection ended here: whether that is how this body ends."""


class FixedBody:
    """A body of a known length; with length 0 it is done from the start."""

    __slots__ = ("_left", "done", "rest")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> list[Piece]:
        self._left -= len(data)
        if self._left > 0:
            return [data]
        self.done = True
        if self._left == 0:
            return [data]
        end = len(data) + self._left
        self.rest = data[end:]
        return [data[:end]]

    def ended(self) -> bool:
        return self.done


class RestOfConnection:
    """A response body that ends with its connection (RFC 9112 §6.3, rule 8)."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> list[Piece]:
        return [data]

    def ended(self) -> bool:
        self.done = True
        return True


class ChunkedBody:
    """A chunked body (RFC 9112 §7.1). Extensions and trailers are checked, counted and dropped."""

    __slots__ = ("_extensions", "_held", "_left", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self._held = b""
        """The beginning of a line that is not all there yet."""
        self._left = 0
        """Bytes that the present chunk still owes, its CRLF included; 0 between chunks; -1 in the trailers."""
        self._extensions = 0
        self._trailers = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> list[Piece]:
        if self._left > len(data) + 2:  # The common case of a large chunk: it goes on as it came.
            self._left -= len(data)
            return [data]
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[Piece] = []
        at = 0
        while at < len(data) and not self.done:
            if self._left > 0:
                at = self._content(data, at, pieces)
            else:
                at = self._line(data, at)
        if self.done:
            self.rest = data[at:]
        return pieces

    def ended(self) -> bool:
        return self.done

    def _content(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        """Take chunk content, then the CRLF after it, as far as they are there."""
        if self._left > 2:
            end = min(at + self._left - 2, len(data))
            pieces.append(data[at:end] if end - at < _SMALL else memoryview(data)[at:end])
            self._left -= end - at
            at = end
        while self._left <= 2 and self._left > 0 and at < len(data):
            if data[at] != b"\n\r"[self._left - 1]:
                raise BadMessage("a chunk is longer than its size")
            self._left -= 1
            at += 1
        return at

    def _line(self, data: bytes, at: int) -> int:
        """Take one line, a chunk's size or a trailer, if it is all there."""
        end = data.find(b"\r\n", at)
        if end < 0:
            self._hold(data[at:])
            return len(data)
        line = data[at:end]
        if self._left < 0:
            self._trailer(line)
        else:
            self._size(line)
        return end + 2

    def _hold(self, line: bytes) -> None:
        if b"\n" in line or b"\r" in line[:-1]:
            raise BadMessage("a line of the chunked body ends with a bare CR or LF")
        if len(line) > _LINE_LIMIT:
            raise BadMessage("a line of the chunked body is too long")
        if self._left == 0 and _SIZE_LINE.match(line.rstrip(b"\r \t")) is None:
            raise BadMessage("a chunk size is not a hexadecimal number")
        self._held = line

    def _size(self, line: bytes) -> None:
        match = _SIZE_LINE.match(line)
        if match is None:
            raise BadMessage("a chunk size is not a hexadecimal number")
        self._extensions += len(match[2] or b"")
        if self._extensions > OVERHEAD_LIMIT:
            raise BadMessage("there are more than 16 KiB of chunk extensions")
        size = int(match[1], 16)
        self._left = size + 2 if size else -1

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailers += len(line) + 2
        if self._trailers > OVERHEAD_LIMIT:
            raise BadMessage("there are more than 16 KiB of trailers")
        if _TRAILER_LINE.match(line) is None:
            raise BadMessage("a trailer is malformed")


_NO_BODY: Final = FixedBody(0)
"""Done from the start and never fed, so one serves all."""


def request_body(head: RequestHead) -> Body:
    """The decoder of a request's body (RFC 9112 §6.3)."""
    if head.length == 0:
        return _NO_BODY
    return ChunkedBody() if head.length is None else FixedBody(head.length)


def response_body(head: ResponseHead, method: bytes) -> Body:
    """The decoder of the body of a final response to `method` (RFC 9112 §6.3)."""
    if method == b"HEAD" or head.status in (204, 304):
        return _NO_BODY
    if head.chunked:
        return ChunkedBody()
    return RestOfConnection() if head.length is None else FixedBody(head.length)
