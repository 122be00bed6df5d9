"""A strict reader of HTTP/1.1 messages for the tests: the other reader of what the sidecar wrote.

It shares no line with the sidecar's own parsers and forgives nothing: a single byte out of the grammar of RFC 9112,
a second length, a framing that could be read in two ways, and it raises `Unreadable`. Where it and another
parser agree on what a message says, the message can be read in one way only.
"""

from __future__ import annotations

from typing import NamedTuple

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = frozenset(b"0123456789abcdefABCDEF")


Fields = tuple[tuple[bytes, bytes], ...]
"""Names as they are spelled, values without the white space around them."""


class Unreadable(Exception):
    """The bytes are not exactly HTTP/1.1 messages."""


class Incomplete(Unreadable):
    """They may become a message when more follows."""


class Message(NamedTuple):
    """One message, as it is understood."""

    first: tuple[bytes, ...]
    """Method, target, version; or version, status, reason."""
    fields: Fields
    body: bytes
    closes: bool
    """Its body ended with the connection."""

    def values(self, name: bytes) -> list[bytes]:
        return [value for one, value in self.fields if one.lower() == name]


def read_requests(data: bytes) -> list[Message]:
    """All requests of a connection, in order."""
    found = []
    while data:
        message, data = read_request(data)
        found.append(message)
    return found


def read_request(data: bytes, *, generous: bool = False) -> tuple[Message, bytes]:
    """The first request in `data`, and what follows it.

    `generous` reads what may be sent to the sidecar, and not only what it writes itself: HTTP/1.0, chunk extensions and
    trailers.
    """
    parts, fields, data = read_request_head(data, generous=generous)
    body, data, _ = _body(fields, data, otherwise=b"", generous=generous)
    return Message(parts, fields, body, closes=False), data


def read_request_head(data: bytes, *, generous: bool = False) -> tuple[tuple[bytes, ...], Fields, bytes]:
    """The request line's parts, the fields, and what follows the head."""
    first, fields, data = _head(data)
    parts = tuple(first.split(b" "))
    if len(parts) != 3 or not _is_token(parts[0]) or not _is_visible(parts[1]) or parts[2] not in _versions(generous):
        raise Unreadable(f"request line {first!r}")
    hosts = [value for name, value in fields if name.lower() == b"host"]
    if len(hosts) != 1 and (hosts or parts[2] == b"HTTP/1.1"):
        raise Unreadable(f"{len(hosts)} Host fields")
    return parts, fields, data


def read_responses(data: bytes, methods: list[bytes]) -> list[Message]:
    """All responses of a connection that was closed at the end of `data`: finals to `methods`, interims among them."""
    found, left = [], [*methods]
    while data:
        if not left:
            raise Unreadable("a response to nothing")
        message, data = read_response(data, left[0])
        found.append(message)
        if int(message.first[1]) >= 200:
            left.pop(0)
    return found


def read_response(data: bytes, method: bytes, *, generous: bool = False) -> tuple[Message, bytes]:
    """The first response in `data`, interim or final, and what follows it; `generous` as for requests."""
    first, fields, data = _head(data)
    version, _, rest = first.partition(b" ")
    status, space, reason = rest.partition(b" ")
    proper = len(status) == 3 and status.isdigit() and status >= b"100"
    if version not in _versions(generous) or not (space or generous) or not proper:
        raise Unreadable(f"status line {first!r}")
    code, closes, body = int(status), False, b""
    if code >= 200 and method != b"HEAD" and code not in (204, 304):
        body, data, closes = _body(fields, data, otherwise=data, generous=generous)
    return Message((version, status, reason), fields, body, closes), data


def _versions(generous: bool) -> tuple[bytes, ...]:
    return (b"HTTP/1.1", b"HTTP/1.0") if generous else (b"HTTP/1.1",)


def _head(data: bytes) -> tuple[bytes, Fields, bytes]:
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise Incomplete("a head without its end")
    first, *lines = head.split(b"\r\n")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _is_token(name) or not _is_text(value):
            raise Unreadable(f"field line {line!r}")
        fields.append((name, value.strip(b" \t")))
    if not _is_text(first):
        raise Unreadable(f"first line {first!r}")
    return first, tuple(fields), rest


def _body(fields: Fields, data: bytes, *, otherwise: bytes, generous: bool) -> tuple[bytes, bytes, bool]:
    """The body, what follows it, and whether it ended with the connection; `otherwise` where nothing frames it."""
    codings = [value for name, value in fields if name.lower() == b"transfer-encoding"]
    if generous:
        codings = [value.lower() for value in codings]  # Names of codings have no case (RFC 9112 §7).
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    match codings, lengths:
        case [], []:
            return otherwise, data[len(otherwise) :], bool(otherwise)
        case [], [length]:
            if not length.isdigit():
                raise Unreadable(f"length {length!r}")
            if len(data) < int(length):
                raise Incomplete("a body shorter than its length")
            return data[: int(length)], data[int(length) :], False
        case [b"chunked"], []:
            return _chunks(data, generous=generous)
        case _:
            raise Unreadable(f"framed by {codings} and {lengths}")


def _chunks(data: bytes, *, generous: bool) -> tuple[bytes, bytes, bool]:
    content = b""
    while True:
        size, end, data = data.partition(b"\r\n")
        if not end:
            raise Incomplete("a chunk without its size")
        if generous and b";" in size and _is_text(size):
            size = size.partition(b";")[0].rstrip(b" \t")
        if not size or len(size) > 16 or not _HEX.issuperset(size):
            raise Unreadable(f"chunk size {size!r}")
        length = int(size, 16)
        if not length and generous and data[:2] != b"\r\n":
            _, _, rest = _head(b"trailers\r\n" + data)
            return content, rest, False
        if len(data) < length + 2:
            raise Incomplete("a chunk that is not all here")
        if data[length : length + 2] != b"\r\n":
            raise Unreadable("no CRLF after a chunk, or trailers, which nobody passes on")
        content, data = content + data[:length], data[length + 2 :]
        if not length:
            return content, data, False


def _is_token(text: bytes) -> bool:
    return bool(text) and _TOKEN.issuperset(text)


def _is_visible(text: bytes) -> bool:
    return bool(text) and all(byte > 0x20 and byte != 0x7F for byte in text)


def _is_text(text: bytes) -> bool:
    return all((byte >= 0x20 and byte != 0x7F) or byte == 0x09 for byte in text)
