"""Pipelining, and what takes too long. The limits are tiny here; nothing else waits."""

from __future__ import annotations

from typing import Any

from proxy.config.model import Duration, Limits, Timeouts
from tests.conformance.table import BAD, NOT_ALLOWED, Case, Cut, No, Turn, forwarded, request, response
from tests.forward.rig import GET, OK

CHUNKED = b"Transfer-Encoding: chunked"
SHORT = Duration(0.05)
TIMEOUT = No("upstream_timeout", 504)
TOO_LARGE_HEAD = No("headers_too_large", 431)
IN_ORDER = "requests that came together are answered one by one, in order (RFC 9112 §9.3.2)"
FAULT_ENDS = (
    "after a request that cannot be read nobody knows where the next begins (RFC 9112 §2.2): nothing after it is read"
)


def _limits(**limits: Duration) -> dict[str, Any]:
    return {"timeouts": Timeouts(**limits)}


def _numbered(number: int) -> bytes:
    return response(b"200 OK", b"X-Number: %d" % number, b"Content-Length: 2", body=b"%02d" % number)


CASES = [
    Case(
        "ten requests at once",
        IN_ORDER,
        b"".join(request(b"GET /%d" % number) for number in range(10)),
        tuple(_numbered(number) for number in range(10)),
        tuple(Turn(forwarded(b"GET /%d" % number), _numbered(number)) for number in range(10)),
    ),
    Case(
        "bodies between them",
        IN_ORDER,
        request(b"POST /1", b"Content-Length: 5", body=b"hello")
        + request(b"PUT /2", CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n")
        + request(b"GET /3"),
        tuple(_numbered(number) for number in (1, 2, 3)),
        (
            Turn(forwarded(b"POST /1", b"Content-Length: 5", body=b"hello"), _numbered(1)),
            Turn(forwarded(b"PUT /2", CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"), _numbered(2)),
            Turn(forwarded(b"GET /3"), _numbered(3)),
        ),
    ),
    Case(
        "a refused one among them",
        "a refusal that was read whole ends nothing",
        request(b"GET /1") + request(b"TRACE /") + request(b"GET /3"),
        (_numbered(1), NOT_ALLOWED, _numbered(3)),
        (Turn(forwarded(b"GET /1"), _numbered(1)), Turn(forwarded(b"GET /3"), _numbered(3))),
    ),
    Case(
        "a malformed one among them",
        FAULT_ENDS,
        request(b"GET /1") + b"GET / HTTP/1.1\r\nX : y\r\n\r\n" + request(b"GET /3"),
        (_numbered(1), BAD),
        (Turn(forwarded(b"GET /1"), _numbered(1)),),
    ),
    Case(
        "a malformed body among them",
        FAULT_ENDS,
        request(b"GET /1") + request(b"POST /2", CHUNKED, body=b"zz\r\n\r\n") + request(b"GET /3"),
        (_numbered(1), BAD),
        (Turn(forwarded(b"GET /1"), _numbered(1)), Cut(forwarded(b"POST /2", CHUNKED, body=b"0\r\n\r\n"))),
    ),
    Case(
        "close among them",
        "what comes after a request that says close is not read (RFC 9112 §9.6)",
        request(b"GET /1") + request(b"GET /2", b"Connection: close") + request(b"GET /3"),
        (OK, response(b"200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok")),
        (Turn(forwarded(b"GET /1")), Turn(forwarded(b"GET /2"))),
        after="closed",
    ),
    Case(
        "a HEAD among them",
        "no body is expected or sent for it (RFC 9112 §6.3 rule 1)",
        request(b"HEAD /1") + request(b"GET /2"),
        (response(b"200 OK", b"Content-Length: 9"), OK),
        (Turn(forwarded(b"HEAD /1"), response(b"200 OK", b"Content-Length: 9")), Turn(forwarded(b"GET /2"))),
    ),
    Case(
        "an upstream's fault among them",
        "it is one request's and not the connection's",
        request(b"GET /1") + request(b"GET /2"),
        (No("upstream_protocol", 502), OK),
        (Turn(forwarded(b"GET /1"), b"?\r\n\r\n", "gone"), Turn(forwarded(b"GET /2"))),
    ),
    Case(
        "a cut answer among them",
        "the connection ends with it, and nothing after it is sent on (RFC 9112 §8)",
        request(b"GET /1") + request(b"GET /2"),
        response(b"200 OK", b"Content-Length: 5", body=b"he"),
        (Turn(forwarded(b"GET /1"), response(b"200 OK", b"Content-Length: 5", body=b"he"), "close"),),
        after="closed",
    ),
    Case(
        "a half-closed caller's requests",
        "all that were sent are answered (RFC 9112 §9.6)",
        request(b"GET /1") + request(b"GET /2"),
        (OK, OK),
        (Turn(forwarded(b"GET /1")), Turn(forwarded(b"GET /2"))),
        after="closed",
        ends=True,
    ),
    Case(
        "a million empty lines",
        "they are read past (RFC 9112 §2.2), and cost nobody else the event loop",
        b"\r\n" * 1_000_000 + GET,
        OK,
        (Turn(forwarded(b"GET /")),),
    ),
    # Heads that do not come.
    Case(
        "a head that stops",
        "it holds its connection no longer than a head may take",
        GET[:-2],
        No("bad_request", 400, "in time"),
        options={"limits": Limits(head_time=Duration(0.05))},
        whole_only=True,
    ),
    Case(
        "half a head, then the end",
        "it is no request",
        GET[:-2],
        BAD,
        ends=True,
    ),
    Case("nothing, then the end", "it is no fault", b"", (), after="closed", ends=True),
    Case(
        "nothing at all",
        "an idle connection ends by itself, without a word",
        b"",
        (),
        after="closed",
        options={"limits": Limits(keepalive=Duration(0.05))},
    ),
    Case(
        "nothing after a request",
        "as above",
        GET,
        OK,
        (Turn(forwarded(b"GET /")),),
        after="closed",
        options={"limits": Limits(keepalive=Duration(0.3))},
        whole_only=True,
    ),
    Case(
        "a head over 64 KiB",
        "the limit of a request's head",
        request(b"GET /", b"X: " + b"x" * 65536),
        TOO_LARGE_HEAD,
        after="closed",
        whole_only=True,
    ),
    Case(
        "many fields over 64 KiB",
        "as above",
        request(b"GET /", *(b"X: y",) * 11_000),
        TOO_LARGE_HEAD,
        after="closed",
        whole_only=True,
    ),
    Case(
        "a target over 64 KiB",
        "as above: there is no 414 here",
        request(b"GET /" + b"x" * 65536),
        TOO_LARGE_HEAD,
        after="closed",
        whole_only=True,
    ),
    # Bodies and answers that do not come.
    Case(
        "a request body that stops",
        "the fault is the caller's; the upstream must not take it for whole",
        request(b"POST /", b"Content-Length: 5", body=b"he"),
        No("bad_request", 400, "in time"),
        (Cut(forwarded(b"POST /", b"Content-Length: 5", body=b"hello")),),
        options=_limits(idle=SHORT),
        whole_only=True,
    ),
    Case(
        "no answer",
        "the upstream has its time for a head, and no more",
        GET,
        TIMEOUT,
        (Turn(forwarded(b"GET /"), b"", "gone"),),
        options=_limits(response=SHORT),
    ),
    Case(
        "half an answer's head",
        "bytes of a head are no head",
        GET,
        TIMEOUT,
        (Turn(forwarded(b"GET /"), b"HTTP/1.1 200 OK\r\nX: ", "gone"),),
        options=_limits(response=SHORT),
    ),
    Case(
        "interim answers only",
        "they are no answer, and buy no time",
        GET,
        (response(b"103 Early Hints"), TIMEOUT),
        (Turn(forwarded(b"GET /"), response(b"103 Early Hints"), "gone"),),
        options=_limits(response=SHORT),
    ),
    Case(
        "an answer's body that stops",
        "it is cut off visibly (RFC 9112 §8)",
        GET,
        response(b"200 OK", b"Content-Length: 5", body=b"he"),
        (Turn(forwarded(b"GET /"), response(b"200 OK", b"Content-Length: 5", body=b"he"), "gone"),),
        after="closed",
        options=_limits(idle=SHORT),
    ),
    Case(
        "chunks that stop",
        "as above",
        GET,
        response(b"200 OK", CHUNKED, body=b"2\r\nhe\r\n"),
        (Turn(forwarded(b"GET /"), response(b"200 OK", CHUNKED, body=b"2\r\nhe\r\n"), "gone"),),
        after="closed",
        options=_limits(idle=SHORT),
    ),
    Case(
        "chunks that stop, to HTTP/1.0",
        "as above, by a reset, which alone shows it there",
        b"GET / HTTP/1.0\r\n\r\n",
        response(b"200 OK", b"Connection: close", body=b"he"),
        (Turn(forwarded(b"GET /"), response(b"200 OK", CHUNKED, body=b"2\r\nhe\r\n"), "gone"),),
        after="reset",
        options=_limits(idle=Duration(0.3)),
    ),
]
