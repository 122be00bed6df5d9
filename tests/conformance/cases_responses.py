"""Framing of responses (RFC 9112 §6): where a body ends, for each kind of upstream and each kind of caller."""

from __future__ import annotations

from typing import Any

from tests.conformance.table import (
    BAD,
    LOCAL,
    Case,
    Turn,
    forwarded,
    request,
    response,
)
from tests.forward.rig import GET, OK

CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close"
HINTS = response(b"103 Early Hints", b"Link: </a.css>; rel=preload")
CALLER_1_0 = b"GET / HTTP/1.0\r\n\r\n"
BIG = bytes(range(256)) * 300
"""More than one packet, and every byte."""

UNTIL_CLOSED = (
    "a response without length ends with its connection (RFC 9112 §6.3 rule 8); to HTTP/1.1 it goes on as chunked"
)
TO_1_0 = "HTTP/1.0 has no chunks and no keep-alive here: without a length the end of the connection is the end (§6.3)"
NO_BODY = "a response to HEAD, a 204 and a 304 have no body, whatever their fields say (RFC 9112 §6.3 rule 1)"
INTERIM = "interim answers come before the final one (RFC 9110 §15.2)"


def _get(name: str, why: str, says: bytes, got: bytes, then: str = "", **more: Any) -> Case:
    return Case(name, why, GET, got, (Turn(forwarded(b"GET /"), says, then),), **more)


def _old(
    name: str, why: str, says: bytes, got: bytes, then: str = "", sent: bytes = CALLER_1_0, after: str = "closed"
) -> Case:
    return Case(name, why, sent, got, (Turn(forwarded(b"GET /"), says, then),), after=after)


def _head(name: str, why: str, says: bytes, got: bytes, then: str = "") -> Case:
    return Case(name, why, request(b"HEAD /"), got, (Turn(forwarded(b"HEAD /"), says, then),))


CASES = [
    # Responses.
    _get(
        "an answer with a length",
        "it stays (RFC 9112 §6.2)",
        response(b"200 OK", b"Content-Length: %d" % len(BIG), body=BIG),
        response(b"200 OK", b"Content-Length: %d" % len(BIG), body=BIG),
        whole_only=True,
    ),
    _get(
        "an answer with length 0",
        "it stays",
        response(b"200 OK", b"Content-Length: 0"),
        response(b"200 OK", b"Content-Length: 0"),
    ),
    _get(
        "a chunked answer",
        "it goes on chunked, framed anew (RFC 9112 §7.1)",
        response(b"200 OK", CHUNKED, body=HELLO),
        response(b"200 OK", CHUNKED, body=HELLO),
    ),
    _get(
        "a chunked answer without content",
        "the last chunk alone",
        response(b"200 OK", CHUNKED, body=b"0\r\n\r\n"),
        response(b"200 OK", CHUNKED, body=b"0\r\n\r\n"),
    ),
    _get(
        "extensions and trailers of an answer",
        "dropped (RFC 9112 §7.1.1, §7.1.2)",
        response(
            b"200 OK", b"Trailer: X", b"transfer-encoding: Chunked", body=b"5;a=b\r\nhello\r\n0;c\r\nX: y\r\n\r\n"
        ),
        response(b"200 OK", CHUNKED, body=HELLO),
    ),
    _get(
        "a compressed answer",
        "content is never decoded",
        response(b"200 OK", b"Content-Encoding: gzip", b"Content-Length: 4", body=b"\x1f\x8b\x00\xff"),
        response(b"200 OK", b"Content-Encoding: gzip", b"Content-Length: 4", body=b"\x1f\x8b\x00\xff"),
    ),
    _get(
        "an answer that ends with its connection",
        UNTIL_CLOSED,
        response(b"200 OK", CLOSE, body=b"hello"),
        response(b"200 OK", CHUNKED, body=HELLO),
        "close",
    ),
    _get(
        "an empty answer that ends with its connection",
        UNTIL_CLOSED,
        response(b"200 OK", CLOSE),
        response(b"200 OK", CHUNKED, body=b"0\r\n\r\n"),
        "close",
    ),
    _get(
        "HTTP/1.0 without a length",
        UNTIL_CLOSED,
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        response(b"200 OK", CHUNKED, body=HELLO),
        "close",
    ),
    _get(
        "HTTP/1.0 with a length",
        "it stays; the upstream's connection does not",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK,
        "gone",
    ),
    _get(
        "HTTP/1.0 with keep-alive",
        "its keep-alive is not spoken here",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        OK,
        "gone",
    ),
    _get(
        "an upstream that closes",
        "close is the upstream's hop's (RFC 9112 §9.6); the caller's connection stays",
        response(b"200 OK", b"connection: Close", b"Content-Length: 2", body=b"ok"),
        OK,
        "gone",
    ),
    # Without a body.
    _head(
        "HEAD with a length",
        NO_BODY,
        response(b"200 OK", b"Content-Length: 99"),
        response(b"200 OK", b"Content-Length: 99"),
    ),
    _head("HEAD with chunks announced", NO_BODY, response(b"200 OK", CHUNKED), response(b"200 OK")),
    _head("HEAD without framing", NO_BODY, response(b"200 OK", b"X: y"), response(b"200 OK", b"X: y")),
    _head("HEAD of an HTTP/1.0 upstream", NO_BODY, b"HTTP/1.0 200 OK\r\n\r\n", response(b"200 OK"), "gone"),
    _get("204", NO_BODY, response(b"204 No Content", b"X: y"), response(b"204 No Content", b"X: y")),
    _get(
        "204 with a length",
        "it must not have one (RFC 9110 §8.6), and it is taken off",
        response(b"204 No Content", b"Content-Length: 0"),
        response(b"204 No Content"),
    ),
    _get("204 with chunks announced", NO_BODY, response(b"204 No Content", CHUNKED), response(b"204 No Content")),
    _get("304", NO_BODY, response(b"304 Not Modified", b"ETag: x"), response(b"304 Not Modified", b"ETag: x")),
    _get(
        "304 with a length",
        "the length is the 200's (RFC 9110 §8.6)",
        response(b"304 Not Modified", b"Content-Length: 99"),
        response(b"304 Not Modified", b"Content-Length: 99"),
    ),
    _get(
        "205",
        "its length 0 says that it is empty (RFC 9110 §15.3.6)",
        response(b"205 Reset Content", b"Content-Length: 0"),
        response(b"205 Reset Content", b"Content-Length: 0"),
    ),
    # Interim answers.
    _get("103", INTERIM, HINTS + OK, HINTS + OK),
    _get(
        "several interim answers",
        INTERIM,
        HINTS + HINTS + response(b"102 Processing") + OK,
        HINTS + HINTS + response(b"102 Processing") + OK,
    ),
    _get(
        "a 100 that nobody asked the upstream for",
        "it is this hop's, and no answer (RFC 9110 §15.2.1)",
        CONTINUE + OK,
        OK,
    ),
    _get(
        "103 with framing",
        "an interim answer has no body, and no fields that say so (RFC 9110 §8.6)",
        response(b"103 Early Hints", b"Content-Length: 5", b"Connection: x", b"X: y") + OK,
        response(b"103 Early Hints") + OK,
    ),
    _old(
        "103 to HTTP/1.0",
        "HTTP/1.0 has no interim answers (RFC 9110 §15.2)",
        HINTS + OK,
        response(b"200 OK", b"Content-Length: 2", CLOSE, body=b"ok"),
    ),
    Case(
        "103 in the middle of an upload",
        INTERIM,
        request(b"POST /", b"Content-Length: 5"),
        (HINTS, OK),
        (Turn(forwarded(b"POST /", b"Content-Length: 5"), HINTS), Turn(b"hello")),
        goes_on=b"hello",
    ),
    Case(
        "an answer before the body is whole",
        "an early answer goes on at once, then the connections end on both sides (RFC 9112 §9.6)",
        request(b"POST /", b"Content-Length: 5", body=b"he"),
        response(b"413 Too Large", b"Content-Length: 2", CLOSE, body=b"no"),
        (
            Turn(
                forwarded(b"POST /", b"Content-Length: 5", body=b"he"),
                response(b"413 Too Large", b"Content-Length: 2", body=b"no"),
                "gone",
            ),
        ),
        after="closed",
        whole_only=True,  # Told only where all of it is here: otherwise the body may still become whole.
    ),
    # HTTP/1.0 callers.
    _old("a length to HTTP/1.0", TO_1_0, OK, response(b"200 OK", b"Content-Length: 2", CLOSE, body=b"ok")),
    _old(
        "chunks to HTTP/1.0",
        TO_1_0,
        response(b"200 OK", CHUNKED, body=HELLO),
        response(b"200 OK", CLOSE, body=b"hello"),
    ),
    _old(
        "until the end to HTTP/1.0",
        TO_1_0,
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        response(b"200 OK", CLOSE, body=b"hello"),
        "close",
    ),
    _old(
        "chunks that are cut, to HTTP/1.0",
        "where the end is the connection's, only a reset shows a cut (RFC 9112 §8)",
        response(b"200 OK", CHUNKED, body=b"5\r\nhello\r\n"),
        response(b"200 OK", CLOSE, body=b"hello"),
        "close",
        after="reset",
    ),
    _old(
        "a length that is cut, to HTTP/1.0",
        "what is missing shows by the length (RFC 9112 §8)",
        response(b"200 OK", b"Content-Length: 5", body=b"he"),
        response(b"200 OK", b"Content-Length: 5", CLOSE, body=b"he"),
        "close",
    ),
    _old(
        "HTTP/1.0 with a Host",
        "it may name one",
        OK,
        response(b"200 OK", b"Content-Length: 2", CLOSE, body=b"ok"),
        sent=b"GET / HTTP/1.0\r\n" + LOCAL + b"\r\n",
    ),
    Case(
        "HTTP/1.0 with two Hosts",
        "no version may have two (RFC 9112 §3.2)",
        b"GET / HTTP/1.0\r\n" + LOCAL + LOCAL + b"\r\n",
        BAD,
    ),
    Case(
        "HEAD of HTTP/1.0",
        NO_BODY,
        b"HEAD / HTTP/1.0\r\n\r\n",
        response(b"200 OK", CLOSE),
        (Turn(forwarded(b"HEAD /"), response(b"200 OK", CHUNKED)),),
        after="closed",
    ),
]
