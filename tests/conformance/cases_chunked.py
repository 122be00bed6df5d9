"""Chunked request bodies (RFC 9112 §7.1): sizes, line ends, extensions, trailers. They go on anew, or not whole."""

from __future__ import annotations

from tests.conformance.table import BAD, Case, Cut, Turn, forwarded, request
from tests.forward.rig import OK

CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
SIXTEEN_KIB = 16 * 1024

SIZE = "a chunk size is 1*HEXDIG (RFC 9112 §7.1); what C's strtol or Python's int would also take is not"
CRLF = "lines of a chunked body end with CRLF, chunks too (RFC 9112 §7.1): who takes less is elsewhere"
TRAILER = "a trailer is a field line (RFC 9112 §7.1.2), and refused as one would be in the head"


def _post(body: bytes) -> bytes:
    return request(b"POST /", CHUNKED, body=body)


def _passes(name: str, why: str, body: bytes, as_sent: bytes = HELLO) -> Case:
    return Case(name, why, _post(body), OK, (Turn(forwarded(b"POST /", CHUNKED, body=as_sent)),))


def _refused(why: str, *rows: tuple[str, bytes]) -> list[Case]:
    """Bodies that end the request: the upstream never sees their end, and the caller's connection is closed.

    Before the fault comes `hello`, which may have gone on.
    """
    began = forwarded(b"POST /", CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n")
    return [Case(name, why, _post(b"5\r\nhello\r\n" + body) + SMUGGLED, BAD, (Cut(began),)) for name, body in rows]


CASES = [
    *_refused(
        SIZE,
        ("chunk size empty", b"\r\n\r\n"),
        ("chunk size 0x5", b"0x5\r\nworld\r\n0\r\n\r\n"),
        ("chunk size +5", b"+5\r\nworld\r\n0\r\n\r\n"),
        ("chunk size -5", b"-5\r\nworld\r\n0\r\n\r\n"),
        ("chunk size -0", b"-0\r\n\r\n"),
        ("chunk size with an underscore", b"0_5\r\nworld\r\n0\r\n\r\n"),
        ("chunk size with a letter after F", b"5g\r\nworld\r\n0\r\n\r\n"),
        ("chunk size with a space before", b" 5\r\nworld\r\n0\r\n\r\n"),
        ("chunk size with a space after", b"5 \r\nworld\r\n0\r\n\r\n"),
        ("chunk size with a tab after", b"5\t\r\nworld\r\n0\r\n\r\n"),
        ("chunk size with a NUL", b"5\x00\r\nworld\r\n0\r\n\r\n"),
        ("chunk size with a comma", b"5,5\r\nworld\r\n0\r\n\r\n"),
        ("chunk size of 17 digits", b"00000000000000005\r\nworld\r\n0\r\n\r\n"),
        ("chunk size that wraps 64 bits", b"10000000000000005\r\nworld\r\n0\r\n\r\n"),
        ("chunk size in Arabic digits", b"\xd9\xa5" + b"\r\nworld\r\n0\r\n\r\n"),
        ("chunk size of a quoted number", b'"5"\r\nworld\r\n0\r\n\r\n'),
    ),
    *_refused(
        CRLF,
        ("bare LF after a chunk size", b"5\nworld\r\n0\r\n\r\n"),
        ("bare CR after a chunk size", b"5\rworld\r\n0\r\n\r\n"),
        ("CR CR LF after a chunk size", b"5\r\r\nworld\r\n0\r\n\r\n"),
        ("bare LF after a chunk", b"5\r\nworld\n0\r\n\r\n"),
        ("bare CR after a chunk", b"5\r\nworld\r0\r\n\r\n"),
        ("nothing after a chunk", b"5\r\nworld0\r\n\r\n"),
        ("a chunk longer than its size", b"5\r\nworlds\r\n0\r\n\r\n"),
        ("a chunk shorter than its size", b"7\r\nworld\r\n0\r\n\r\n"),
        ("bare LF after the last chunk", b"0\n\r\n"),
        ("bare LF in the place of the last line", b"0\r\n\n"),
        ("bare CR in the place of the last line", b"0\r\n\rX"),
        ("bare LF in a chunk extension", b"5;a=b\nworld\r\n0\r\n\r\n"),
        ("bare CR in a chunk extension", b"5;a\rb\r\nworld\r\n0\r\n\r\n"),
        ("NUL in a chunk extension", b"5;a\x00\r\nworld\r\n0\r\n\r\n"),
        ("an extension without a semicolon", b"5 a=b\r\nworld\r\n0\r\n\r\n"),
    ),
    *_refused(
        TRAILER,
        ("a trailer without a colon", b"0\r\nGET / HTTP/1.1\r\n\r\n"),
        ("a trailer with a space before the colon", b"0\r\nX : y\r\n\r\n"),
        ("a trailer without a name", b"0\r\n: y\r\n\r\n"),
        ("a trailer that is folded", b"0\r\nX: y\r\n z\r\n\r\n"),
        ("a trailer with a bare LF", b"0\r\nX: y\nZ: z\r\n\r\n"),
        ("a trailer with a bare CR", b"0\r\nX: y\rZ: z\r\n\r\n"),
        ("a trailer with a NUL", b"0\r\nX: \x00\r\n\r\n"),
        ("over 16 KiB of trailers", b"0\r\n" + b"X: " + b"y" * SIXTEEN_KIB + b"\r\n\r\n"),
        ("over 16 KiB of many trailers", b"0\r\n" + b"X: yyyyy\r\n" * 1700 + b"\r\n"),
        ("over 16 KiB of one extension", b"1;" + b"x" * SIXTEEN_KIB + b"\r\nw\r\n0\r\n\r\n"),
        ("over 16 KiB of many extensions", b"0001;xxxx\r\nw\r\n" * 3300 + b"0\r\n\r\n"),
    ),
    _passes("one chunk", "the plain case (RFC 9112 §7.1)", HELLO),
    _passes("no content", "the last chunk alone", b"0\r\n\r\n", b"0\r\n\r\n"),
    _passes(
        "a size in capitals and zeros",
        "both are HEXDIG; it is written anew",
        b"000A\r\nhelloworld\r\n000\r\n\r\n",
        b"a\r\nhelloworld\r\n0\r\n\r\n",
    ),
    _passes(
        "two chunks",
        "each goes on as it came",
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ),
    _passes(
        "content that looks like a request",
        "content is not looked at",
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    ),
    _passes(
        "content that looks like the end",
        "a chunk is its size, whatever is in it",
        b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
        b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
    ),
    _passes(
        "an extension", "extensions are the hop's and dropped (RFC 9112 §7.1.1)", b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'
    ),
    _passes("an extension after a space", "BWS before a semicolon (RFC 9112 §7.1.1)", b"5 ;a\r\nhello\r\n0\r\n\r\n"),
    _passes("an empty extension", "odd, but in no reading anything but 5", b"5;\r\nhello\r\n0\r\n\r\n"),
    _passes(
        "trailers",
        "they may be dropped (RFC 9110 §6.5.1), and are: none may pass for a field of the head",
        b"5\r\nhello\r\n0\r\nAuthorization: Bearer mine\r\nContent-Length: 99\r\n\r\n",
    ),
    Case(
        "Trailer announced",
        "the announcement goes with what it announces (RFC 9110 §6.6.2)",
        request(b"POST /", CHUNKED, b"Trailer: X-Sum", body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        OK,
        (Turn(forwarded(b"POST /", CHUNKED, body=HELLO)),),
    ),
    Case(
        "what follows the last chunk is the next request",
        "the body ends with the empty line after the trailers, to the byte (RFC 9112 §7.1)",
        _post(HELLO) + request(b"GET /next"),
        (OK, OK),
        (Turn(forwarded(b"POST /", CHUNKED, body=HELLO)), Turn(forwarded(b"GET /next"))),
    ),
]
