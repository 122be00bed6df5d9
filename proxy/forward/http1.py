"""HTTP/1.1 heads, from bytes to plain data (RFC 9112). Pure: no sockets, no policy beyond the grammar.

The first line is read here, by the letter; the field lines by llhttp in its strict mode, which refuses bare
CR and LF, obs-fold, a space before the colon, control characters, two lengths, a length beside a
Transfer-Encoding. What llhttp would let pass and the rules do not is refused after it. Bodies never come
here: see `proxy.forward.body`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import httptools

from proxy.secret import unshown

HEAD_LIMIT = 64 * 1024
"""Bytes of one head, with its last empty line, in either direction."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Bytes over 0x7F in a target are no URI, but they are unmistakable and are passed on as they came.
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/1\.([01])\r\n")
_REQUEST_LINE_BEGINS = re.compile(rb"(?:\r|" + _TOKEN + rb"(?: [^\x00-\x20\x7f]*(?: [HTP/.0-9]{0,8}\r?)?)?)?\Z")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
_ANY_REQUEST = b"GET / HTTP/1.1\r\n"
_LONGEST_LENGTH = 20
"""Digits of a Content-Length: those of the largest number of 64 bits."""


class BadMessage(Exception):
    """Bytes that are not acceptable HTTP. The text says what is wrong and quotes nothing of the message."""


@unshown
class RequestHead(NamedTuple):
    """One request's head."""

    method: bytes
    target: bytes
    minor: int
    """Of the version: 0 or 1."""
    lines: list[bytes]
    """The field lines as they came, without their CRLF."""
    names: list[bytes]
    """In lower case, one for each line."""
    named: dict[bytes, bytes]
    """Values by lower-case name; those of a repeated field joined by ", " (RFC 9110 §5.2)."""
    length: int | None
    """Bytes of the body; 0 for none; None for chunked."""
    connection: frozenset[bytes]
    """The options of Connection, in lower case."""

    @property
    def keeps_connection(self) -> bool:
        """Another request may follow on the connection. HTTP/1.0's keep-alive is not spoken here."""
        return self.minor == 1 and b"close" not in self.connection


@unshown
class ResponseHead(NamedTuple):
    """One response's head, interim or final; `lines`, `names`, `named` and `connection` as a request's."""

    status: int
    reason: bytes
    minor: int
    lines: list[bytes]
    names: list[bytes]
    named: dict[bytes, bytes]
    length: int | None
    """Bytes of the body as declared by Content-Length; None where there is none."""
    chunked: bool
    connection: frozenset[bytes]


_NO_OPTIONS: frozenset[bytes] = frozenset()
_USUAL_OPTIONS = {value: frozenset((value.lower(),)) for value in (b"keep-alive", b"Keep-Alive", b"close", b"Close")}


class _Listening:
    """What llhttp calls: for each field line and for nothing else, and straight into a dictionary."""

    __slots__ = ("on_header",)
    on_message_begin = on_url = on_status = on_headers_complete = None
    on_body = on_message_complete = on_chunk_header = on_chunk_complete = None

    def __init__(self, on_header: Callable[[bytes, bytes], None]) -> None:
        self.on_header = on_header


_Fields = tuple[list[bytes], list[bytes], dict[bytes, bytes]]
"""`lines`, `names` and `named` of a head."""


def _read_fields(head: bytes, start: int) -> _Fields:
    """Read the field lines of `head` from `start` to its end, the empty line."""
    values: dict[bytes, bytes] = {}
    try:
        # Always as a request's: a request may have no odd Transfer-Encoding, and nor may a response here.
        httptools.HttpRequestParser(_Listening(values.__setitem__)).feed_data(_ANY_REQUEST + head[start:])
    except httptools.HttpParserUpgrade:
        pass  # A protocol switch is asked for; whether it happens is not the parser's to say.
    except httptools.HttpParserError as error:
        raise BadMessage(f"the header fields are malformed: {error}") from None
    lines = head[start:-4].split(b"\r\n") if len(head) - start > 2 else []
    named = {name.lower(): value for name, value in values.items()}
    if len(named) != len(lines) or head.find(b" \r\n", start) >= 0 or head.find(b"\t\r\n", start) >= 0:
        return _read_again(lines)
    return lines, [*named], named


def _read_again(lines: list[bytes]) -> _Fields:
    """The same for what is less usual: a field that is repeated, or a value with white space behind it.

    The lines are good; that has been seen.
    """
    names: list[bytes] = []
    named: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        names.append(name)
        named[name] = named[name] + b", " + value if name in named else value
    return lines, names, named


def _framing(named: dict[bytes, bytes], minor: int) -> tuple[int | None, bool]:
    """The declared Content-Length, if any, and whether the body is chunked (RFC 9112 §6)."""
    coding = named.get(b"transfer-encoding")
    if coding is not None:
        if coding != b"chunked" or minor == 0:
            raise BadMessage("Transfer-Encoding is anything but `chunked`, once, in HTTP/1.1")
        return None, True
    length = named.get(b"content-length")
    if length is None:
        return None, False
    # A second look: what llhttp lets pass must never become a guess. It lets any number of leading zeros pass, of
    # which Python reads only so many.
    if not length.isdigit() or len(length) > _LONGEST_LENGTH:
        raise BadMessage("Content-Length is not a number of usual size")
    return int(length), False


def _options(named: dict[bytes, bytes]) -> frozenset[bytes]:
    value = named.get(b"connection")
    if value is None:
        return _NO_OPTIONS
    usual = _USUAL_OPTIONS.get(value)
    if usual is not None:
        return usual
    return frozenset(option.strip(b" \t").lower() for option in value.split(b","))


def find_head_end(data: bytes | bytearray) -> int:
    """Where the head in `data` ends (after its empty line), or 0 while it is not all there.

    Raises BadMessage as soon as what is there cannot become a head, so that nobody waits for the rest.
    """
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        return end + 4
    # A bare LF or CR would keep the empty line from ever being found.
    if data.count(b"\n") != data.count(b"\r\n") or data.count(b"\r", 0, -1) > data.count(b"\r\n"):
        raise BadMessage("a line ends with a bare CR or LF")
    return 0


def may_begin_request(data: bytes | bytearray) -> bool:
    """Whether `data`, a head's beginning, can be a request's at all (a TLS hello, say, cannot)."""
    return (_REQUEST_LINE if b"\r\n" in data else _REQUEST_LINE_BEGINS).match(data) is not None


def parse_request_head(head: bytes) -> RequestHead:
    """Read a request's head, from its first byte to its empty line. Raises BadMessage."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise BadMessage("the request line is not `METHOD target HTTP/1.1` (or 1.0)")
    method, target, version = line.groups()
    minor = 1 if version == b"1" else 0
    lines, names, named = _read_fields(head, line.end())
    length, chunked = _framing(named, minor)
    if length is None and not chunked:
        length = 0
    return RequestHead(method, target, minor, lines, names, named, length, _options(named))


def parse_response_head(head: bytes) -> ResponseHead:
    """Read a response's head, from its first byte to its empty line. Raises BadMessage."""
    line = _STATUS_LINE.match(head)
    if line is None:
        raise BadMessage("the status line is not `HTTP/1.1 status reason` (or 1.0)")
    version, status, reason = line.groups()
    minor = 1 if version == b"1" else 0
    lines, names, named = _read_fields(head, line.end())
    if b"transfer-encoding" in named:
        # Names of codings have no case (RFC 9112 §7). Only a request gains nothing from that but a disguise.
        named[b"transfer-encoding"] = named[b"transfer-encoding"].lower()
    length, chunked = _framing(named, minor)
    return ResponseHead(int(status), reason or b"", minor, lines, names, named, length, chunked, _options(named))
