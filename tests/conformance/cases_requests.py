"""Framing of requests (RFC 9112 §6): where a body ends, 100-continue, upgrades, a second time with a new token."""

from __future__ import annotations

from tests.conformance.table import (
    TOKEN,
    VIA,
    Case,
    No,
    Turn,
    forwarded,
    request,
    response,
)
from tests.forward.rig import GET, OK, UNAUTHORIZED

CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = b"Expect: 100-continue"
CLOSE = b"Connection: close"
TOO_LARGE = No("body_too_large", 413)
BIG = bytes(range(256)) * 300
"""More than one packet, and every byte."""


CASES = [
    # Requests.
    Case(
        "a length",
        "a known length stays one (RFC 9112 §6.2)",
        request(b"POST /", b"Content-Length: %d" % len(BIG), body=BIG),
        OK,
        (Turn(forwarded(b"POST /", b"Content-Length: %d" % len(BIG), body=BIG)),),
        whole_only=True,
    ),
    Case(
        "length 0 of a POST",
        "it says that there is none (RFC 9110 §8.6)",
        request(b"POST /", b"Content-Length: 0"),
        OK,
        (Turn(forwarded(b"POST /", b"Content-Length: 0")),),
    ),
    Case(
        "no framing of a POST",
        "then there is no body (RFC 9112 §6.3 rule 7)",
        request(b"POST /"),
        OK,
        (Turn(forwarded(b"POST /")),),
    ),
    Case(
        "an empty line before a request",
        "at least one is read past (RFC 9112 §2.2)",
        b"\r\n\r\n" + GET,
        OK,
        (Turn(forwarded(b"GET /")),),
    ),
    Case(
        "an empty line after a body",
        "an old client's extra CRLF is no request (RFC 9112 §2.2)",
        request(b"POST /", b"Content-Length: 2", body=b"hi\r\n"),
        OK,
        (Turn(forwarded(b"POST /", b"Content-Length: 2", body=b"hi")),),
    ),
    Case(
        "HTTP/1.0 with a body",
        "a length frames it as in HTTP/1.1; the upstream is spoken to in HTTP/1.1 (RFC 9110 §2.5)",
        b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
        response(b"200 OK", b"Content-Length: 2", CLOSE, body=b"ok"),
        (Turn(forwarded(b"POST /", b"Content-Length: 5", body=b"hello")),),
        after="closed",
    ),
    Case(
        "HTTP/1.0 keep-alive",
        "it was never well defined (RFC 9112 §9.3): such a connection serves one request",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET,
        response(b"200 OK", b"Content-Length: 2", CLOSE, body=b"ok"),
        (Turn(forwarded(b"GET /")),),
        after="closed",
    ),
    Case(
        "a half-closed caller",
        "who has said all may still listen (RFC 9112 §9.6)",
        GET,
        OK,
        (Turn(forwarded(b"GET /")),),
        after="closed",
        ends=True,
    ),
    Case(
        "a half-closed caller with an empty line after its request",
        "the empty line is no request that is still to come (RFC 9112 §2.2)",
        GET + b"\r\n",
        OK,
        (Turn(forwarded(b"GET /")),),
        after="closed",
        ends=True,
    ),
    # 100-continue.
    Case(
        "100-continue",
        "the sidecar says it when it starts to read the body (RFC 9110 §10.1.1); the upstream is not asked to",
        request(b"POST /", EXPECT, b"Content-Length: 5"),
        (CONTINUE, OK),
        (Turn(forwarded(b"POST /", b"Content-Length: 5", body=b"hello")),),
        goes_on=b"hello",
    ),
    Case(
        "100-continue for a chunked body, in capitals",
        "expectations are case-insensitive (RFC 9110 §10.1.1)",
        request(b"PUT /", b"expect: 100-CONTINUE", CHUNKED),
        (CONTINUE, OK),
        (Turn(forwarded(b"PUT /", CHUNKED, body=HELLO)),),
        goes_on=HELLO,
    ),
    Case(
        "100-continue when the body is here already",
        "who did not wait needs no 100 (RFC 9110 §10.1.1)",
        request(b"POST /", EXPECT, b"Content-Length: 5", body=b"hello"),
        OK,
        (Turn(forwarded(b"POST /", b"Content-Length: 5", body=b"hello")),),
        whole_only=True,
    ),
    Case(
        "100-continue without a body",
        "there is nothing to wait for",
        request(b"GET /", EXPECT),
        OK,
        (Turn(forwarded(b"GET /")),),
    ),
    Case(
        "100-continue of HTTP/1.0",
        "it is ignored (RFC 9110 §10.1.1)",
        b"POST / HTTP/1.0\r\n" + EXPECT + b"\r\nContent-Length: 5\r\n\r\nhello",
        response(b"200 OK", b"Content-Length: 2", CLOSE, body=b"ok"),
        (Turn(forwarded(b"POST /", b"Content-Length: 5", body=b"hello")),),
        after="closed",
    ),
    Case(
        "100-continue that is refused",
        "a refusal in its place keeps the body from being sent (RFC 9110 §10.1.1)",
        request(b"POST /", EXPECT, b"Content-Length: 5"),
        TOO_LARGE,
        options={"max_body": 4},
        after="closed",
    ),
    Case(
        "a body over max_body",
        "by its length it is refused before a byte of it goes on",
        request(b"POST /", b"Content-Length: 5", body=b"hello"),
        TOO_LARGE,
        options={"max_body": 4},
        after="closed",
    ),
    Case(
        "a body of just max_body",
        "the limit is a size that passes",
        request(b"POST /", b"Content-Length: 5", body=b"hello"),
        OK,
        (Turn(forwarded(b"POST /", b"Content-Length: 5", body=b"hello")),),
        options={"max_body": 5},
    ),
    # Both ways at once.
    Case(
        "a WebSocket",
        "the handshake goes on with the token, then bytes pass both ways (RFC 9110 §7.8)",
        request(b"GET /ws", b"Upgrade: WebSocket", b"Connection: keep-alive, Upgrade", b"Sec-WebSocket-Key: k"),
        (
            response(
                b"101 Switching", b"Sec-WebSocket-Accept: a", b"Connection: Upgrade", b"Upgrade: websocket", body=b"hi"
            ),
            b"pong",
        ),
        (
            Turn(
                forwarded(
                    b"GET /ws",
                    b"Sec-WebSocket-Key: k",
                    last=b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + VIA + TOKEN,
                ),
                response(
                    b"101 Switching",
                    b"upgrade: websocket",
                    b"Connection: upgrade",
                    b"Sec-WebSocket-Accept: a",
                    body=b"hi",
                ),
            ),
            Turn(b"ping", b"pong", "close"),
        ),
        goes_on=b"ping",
        after="closed",
    ),
    Case(
        "a 401 with a renewed token is asked again, with the same body",
        "the second request is the first, but for the token",
        request(b"POST /", b"Content-Length: 5", body=b"hello"),
        OK,
        (
            Turn(forwarded(b"POST /", b"Content-Length: 5", body=b"hello"), UNAUTHORIZED),
            Turn(forwarded(b"POST /", b"Content-Length: 5", body=b"hello", last=VIA + TOKEN.replace(b"1", b"2"))),
        ),
        recovers="renewed",
        says_bytewise=False,
    ),
    Case(
        "a 401 that stays",
        "it is the upstream's, and goes on as it came",
        GET,
        UNAUTHORIZED,
        (Turn(forwarded(b"GET /"), UNAUTHORIZED),),
        recovers="failed",
    ),
]
