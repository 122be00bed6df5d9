"""Request smuggling: two readers that disagree where a request ends. Here every doubt ends the connection."""

from __future__ import annotations

from tests.conformance.table import BAD, LOCAL, Case, Cut, Turn, forwarded, request
from tests.forward.rig import GET, OK

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
LENGTH_5 = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"

BOTH = "a length beside Transfer-Encoding is how smuggling begins (RFC 9112 §6.1, §6.3 rule 3): refused, both ways"
CODING = (
    "a Transfer-Encoding that is not exactly `chunked`, once, may be read by one and overlooked by the other (§6.1)"
)
TWO = "with two lengths nobody knows which one the next reader takes (RFC 9112 §6.3 rule 5)"
NUMBER = "Content-Length is 1*DIGIT (RFC 9110 §8.6); what other readers make of anything else is a guess"
LINES = "a line ends with CRLF; readers that accept less see other lines (RFC 9112 §2.2)"
COLON = "no white space between name and colon: some readers drop it, some the field (RFC 9112 §5.1)"
FOLD = "obs-fold hides a field in the value of another (RFC 9112 §5.2)"
OCTETS = "control characters end names and values for some readers (RFC 9110 §5.5)"


def _refused(why: str, *rows: tuple[str, bytes]) -> list[Case]:
    """Requests that are refused by their head alone: nothing reaches the upstream, and what follows is never read."""
    return [Case(name, why, head + SMUGGLED, BAD) for name, head in rows]


def _post(*fields: bytes, body: bytes = HELLO) -> bytes:
    return request(b"POST /", *fields, body=body)


CASES = [
    *_refused(
        BOTH,
        ("CL.TE", _post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG")),
        ("TE.CL", _post(CHUNKED, b"Content-Length: 4")),
        ("CL.TE with length 0", _post(b"Content-Length: 0", CHUNKED)),
        ("CL.TE in a GET", request(b"GET /", b"Content-Length: 15", CHUNKED, body=HELLO)),
        ("CL.TE where Connection names the length", _post(b"Connection: Content-Length", LENGTH_5, CHUNKED)),
        ("CL.TE where Connection names Transfer-Encoding", _post(b"Connection: Transfer-Encoding", LENGTH_5, CHUNKED)),
        ("CL.TE with an unknown coding", _post(LENGTH_5, b"Transfer-Encoding: x", body=b"hello")),
        ("CL.TE with an empty coding", _post(LENGTH_5, b"Transfer-Encoding:", body=b"hello")),
    ),
    *_refused(
        CODING,
        ("TE.TE chunked twice in two lines", _post(CHUNKED, CHUNKED)),
        ("TE.TE chunked twice in one line", _post(b"Transfer-Encoding: chunked, chunked")),
        ("TE.TE with another line", _post(CHUNKED, b"Transfer-Encoding: x")),
        ("TE.TE with another line before", _post(b"Transfer-Encoding: x", CHUNKED)),
        ("TE.TE with identity", _post(b"Transfer-Encoding: identity, chunked")),
        ("TE identity", _post(b"Transfer-Encoding: identity", body=b"")),
        ("TE gzip, chunked", _post(b"Transfer-Encoding: gzip, chunked")),
        ("TE chunked, gzip", _post(b"Transfer-Encoding: chunked, gzip")),
        ("TE xchunked", _post(b"Transfer-Encoding: xchunked")),
        ("TE chunkedx", _post(b"Transfer-Encoding: chunkedx")),
        ("TE in capitals, which not all readers take for the same", _post(b"Transfer-Encoding: Chunked")),
        ("TE in quotes", _post(b'Transfer-Encoding: "chunked"')),
        ("TE with a parameter", _post(b"Transfer-Encoding: chunked;q=1")),
        ("TE with a comma before", _post(b"Transfer-Encoding: ,chunked")),
        ("TE with a comma after", _post(b"Transfer-Encoding: chunked,")),
        ("TE empty", _post(b"Transfer-Encoding:")),
        ("TE with a vertical tab", _post(b"Transfer-Encoding: \x0bchunked")),
        ("TE with a form feed", _post(b"Transfer-Encoding: \x0cchunked")),
        ("TE with a NUL", _post(b"Transfer-Encoding: chunked\x00")),
        ("TE with a no-break space", _post(b"Transfer-Encoding: \xa0chunked")),
        ("TE with a Kelvin sign, whose lower case is a k", _post(b"Transfer-Encoding: chun\xe2\x84\xaaed")),
        ("TE with a tab after", _post(b"Transfer-Encoding: chunked\t")),
        ("TE in HTTP/1.0", b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n\r\n" + HELLO),
        ("TE in HTTP/1.0 with a length", b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n" + LENGTH_5 + b"\r\n\r\n" + HELLO),
    ),
    *_refused(
        TWO,
        ("two equal lengths", _post(LENGTH_5, LENGTH_5, body=b"hello")),
        ("two different lengths", _post(b"Content-Length: 0", LENGTH_5, body=b"hello")),
        ("two lengths in one line", _post(b"Content-Length: 5, 5", body=b"hello")),
        ("two lengths in other spellings", _post(LENGTH_5, b"content-LENGTH: 5", body=b"hello")),
        ("a length and an empty one", _post(LENGTH_5, b"Content-Length:", body=b"hello")),
    ),
    *_refused(
        NUMBER,
        ("length with a plus", _post(b"Content-Length: +5", body=b"hello")),
        ("length with a minus", _post(b"Content-Length: -5", body=b"hello")),
        ("length in hexadecimal", _post(b"Content-Length: 0x5", body=b"hello")),
        ("length with an underscore", _post(b"Content-Length: 1_0", body=b"helloworld")),
        ("length with a point", _post(b"Content-Length: 5.0", body=b"hello")),
        ("length with a space inside", _post(b"Content-Length: 5 0", body=b"hello")),
        ("length with a word", _post(b"Content-Length: five", body=b"hello")),
        ("length empty", _post(b"Content-Length:", body=b"hello")),
        ("length in Arabic digits", _post(b"Content-Length: \xd9\xa5", body=b"hello")),
        ("length in superscript", _post(b"Content-Length: \xb2", body=b"he")),
        ("length with a comma", _post(b"Content-Length: 5,", body=b"hello")),
        ("length over 64 bits", _post(b"Content-Length: 18446744073709551621", body=b"hello")),
        ("length of a thousand digits", _post(b"Content-Length: " + b"0" * 999 + b"5", body=b"hello")),
        ("length with a form feed", _post(b"Content-Length: \x0c5", body=b"hello")),
    ),
    *_refused(
        LINES,
        ("bare LF after the request line", b"POST / HTTP/1.1\n" + LOCAL + b"\r\n"),
        ("bare LF after a field", b"POST / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n"),
        ("bare LF hides a length", _post(b"X: y\nContent-Length: 5", body=b"hello")),
        ("bare LF hides Transfer-Encoding", _post(b"X: y\nTransfer-Encoding: chunked", LENGTH_5)),
        ("bare CR after a field", _post(b"X: y\rContent-Length: 5", body=b"hello")),
        ("bare CR hides a request", _post(b"X: y\r\rGET /x HTTP/1.1", body=b"")),
        ("CR CR LF", _post(b"X: y\r", body=b"")),
        ("LF CR", b"POST / HTTP/1.1\n\r" + LOCAL + b"\r\n"),
        ("an empty line by bare LFs", b"POST / HTTP/1.1\r\n" + LOCAL + b"X: y\n\n"),
        ("an empty line by CRLF and LF", b"POST / HTTP/1.1\r\n" + LOCAL + b"\n"),
        ("a bare CR before the request", b"\r" + GET),
        ("a bare LF before the request", b"\n" + GET),
    ),
    *_refused(
        COLON,
        ("space before the colon of a length", _post(b"Content-Length : 5", body=b"hello")),
        ("tab before the colon of a length", _post(b"Content-Length\t: 5", body=b"hello")),
        ("space before the colon of TE", _post(LENGTH_5, b"Transfer-Encoding : chunked")),
        ("vertical tab before the colon of TE", _post(LENGTH_5, b"Transfer-Encoding\x0b: chunked")),
        ("space before the colon of any field", _post(b"X : y", body=b"")),
        ("a field without a colon", _post(b"X", body=b"")),
        ("a field without a name", _post(b": y", body=b"")),
        ("space inside a name", _post(b"X Y: z", body=b"")),
    ),
    *_refused(
        FOLD,
        ("obs-fold in a plain field", _post(b"X: y\r\n z", body=b"")),
        ("obs-fold hides a length", _post(b"X: y\r\n Content-Length: 5", body=b"hello")),
        ("obs-fold in Transfer-Encoding", _post(b"Transfer-Encoding:\r\n chunked")),
        ("obs-fold with a tab", _post(b"Transfer-Encoding:\r\n\tchunked", LENGTH_5)),
        ("obs-fold of nothing", _post(b"X: y\r\n ", body=b"")),
        ("a first field that begins with a space", b"POST / HTTP/1.1\r\n " + LOCAL + b"\r\n"),
        ("a first field that begins with a tab", b"POST / HTTP/1.1\r\n\tX: y\r\n" + LOCAL + b"\r\n"),
    ),
    *_refused(
        OCTETS,
        ("NUL in a value", _post(b"X: y\x00z", body=b"")),
        ("NUL in a name", _post(b"X\x00: y", body=b"")),
        ("NUL before Content-Length", _post(b"\x00Content-Length: 5", body=b"hello")),
        ("DEL in a value", _post(b"X: \x7f", body=b"")),
        ("BEL in a value", _post(b"X: \x07", body=b"")),
        ("latin-1 in a name", _post(b"\xdc: y", body=b"")),
        ("brackets in a name", _post(b"Content-Length[]: 5", body=b"hello")),
    ),
    # What is not in doubt passes, and its framing is written anew.
    Case(
        "Transfer-Encoding in another spelling of its name",
        "names of fields are case-insensitive (RFC 9110 §5.1); what goes on has the one usual spelling",
        _post(b"tRaNsFeR-eNcOdInG: chunked"),
        OK,
        (Turn(forwarded(b"POST /", CHUNKED, body=HELLO)),),
    ),
    Case(
        "a coding between white space",
        "white space around a value is not the value's (RFC 9112 §5)",
        _post(b"Transfer-Encoding: \t  chunked  "),
        OK,
        (Turn(forwarded(b"POST /", CHUNKED, body=HELLO)),),
    ),
    Case(
        "a length with leading zeros",
        "they say nothing (RFC 9110 §8.6 is 1*DIGIT), and an octal reading is impossible once it is written anew",
        _post(b"Content-Length: 0010", body=b"helloworld"),
        OK,
        (Turn(forwarded(b"POST /", b"Content-Length: 10", body=b"helloworld")),),
    ),
    Case(
        "a length in an underscore's spelling is another field",
        "CGI's reading of `_` as `-` is not HTTP's; the field passes, and the body has no length",
        request(b"POST /", b"Content_Length: 5"),
        OK,
        (Turn(forwarded(b"POST /", b"Content_Length: 5")),),
    ),
    Case(
        "0.CL: a GET with a body",
        "a body is framed by its fields whatever the method (RFC 9112 §6.3): its bytes are never the next request",
        request(b"GET /", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        OK,
        (Turn(forwarded(b"GET /", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED)),),
    ),
    Case(
        "0.CL: a HEAD with a chunked body",
        "as above; the answer to HEAD has none, the request has",
        request(b"HEAD /", CHUNKED, body=HELLO),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        (Turn(forwarded(b"HEAD /", CHUNKED, body=HELLO), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),),
    ),
    Case(
        "CL.0: what follows the body is the next request, and only that",
        "the length ends the body to the byte (RFC 9112 §6.3 rule 6)",
        _post(LENGTH_5, body=b"hello") + request(b"GET /next"),
        (OK, OK),
        (Turn(forwarded(b"POST /", LENGTH_5, body=b"hello")), Turn(forwarded(b"GET /next"))),
    ),
    Case(
        "a length dropped by Connection is still the framing",
        "Connection may name any field (RFC 9110 §7.6.1), but framing is made anew and never dropped",
        _post(b"Connection: Content-Length", LENGTH_5, body=b"hello"),
        OK,
        (Turn(forwarded(b"POST /", LENGTH_5, body=b"hello")),),
    ),
    Case(
        "chunked where Connection names Transfer-Encoding",
        "as above",
        _post(b"Connection: Transfer-Encoding", CHUNKED),
        OK,
        (Turn(forwarded(b"POST /", CHUNKED, body=HELLO)),),
    ),
    Case(
        "Expect of anything else",
        "an expectation that others may read as 100-continue moves the body's place in time (RFC 9110 §10.1.1)",
        _post(b"Expect: y 100-continue", LENGTH_5, body=b"hello") + SMUGGLED,
        BAD,
    ),
    Case(
        "Expect twice",
        "as above",
        _post(b"Expect: 100-continue", b"Expect: 100-continue", LENGTH_5, body=b"hello") + SMUGGLED,
        BAD,
    ),
    Case(
        "a caller that ends in the middle of its body",
        "what is sent on must not look whole (RFC 9112 §8)",
        _post(LENGTH_5, body=b"he"),
        BAD,
        (Cut(forwarded(b"POST /", LENGTH_5, body=b"hello")),),
        ends=True,
    ),
    Case(
        "a caller that ends before the last chunk",
        "as above (RFC 9112 §8): without the last chunk the message is not whole",
        _post(CHUNKED, body=b"5\r\nhello\r\n"),
        BAD,
        (Cut(forwarded(b"POST /", CHUNKED, body=HELLO)),),
        ends=True,
    ),
]
