"""Lying and broken upstreams: what cannot be read in one way only becomes a 502, what breaks off is cut off visibly."""

from __future__ import annotations

from typing import Any

from proxy.config.model import Duration, Pool
from tests.conformance.table import BAD_UPSTREAM, PROBE, PROBED, Case, No, Turn, forwarded, request, response
from tests.forward.rig import GET, OK

CHUNKED = b"Transfer-Encoding: chunked"
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
UNREACHABLE = No("upstream_unreachable", 502)
CLOSED = "the upstream closed the connection before its answer was whole"
LARGE = b"X: " + b"x" * 70_000

TWO_READINGS = "an answer that two readers end at two places is no answer to pass on (RFC 9112 §6.3)"
GRAMMAR = "an answer that is no HTTP/1.1 is not guessed at (RFC 9112 §2.2, §4, §5)"
CUT = "what has begun and cannot be finished is never ended as if it were whole (RFC 9112 §8)"
NOT_MINE = (
    "bytes past the end of a message belong to nobody: the connection is closed, and the next caller gets none of them"
)
ONCE = "an idle connection's end is not the request's fault: it is sent once more, if it may be (RFC 9110 §9.2.2)"
NOT_TWICE = "it may have been acted on already, and is not sent twice (RFC 9110 §9.2.2)"


def _refused(why: str, *rows: tuple[str, bytes]) -> list[Case]:
    """The caller's connection is kept: the fault is not the caller's. The upstream's is closed."""
    return [Case(name, why, GET, BAD_UPSTREAM, (Turn(forwarded(b"GET /"), says, "gone"),)) for name, says in rows]


def _answer(says: bytes, got: bytes | No, then: str = "", **more: Any) -> dict[str, Any]:
    return {"sent": GET, "got": got, "upstream": (Turn(forwarded(b"GET /"), says, then),), **more}


def _ends_early(name: str, says: bytes, got: bytes, then: str = "close") -> Case:
    return Case(name, CUT, after="closed", **_answer(says, got, then))


def _past_the_end(name: str, says: bytes, got: bytes, method: bytes = b"GET") -> Case:
    turn = Turn(forwarded(method + b" /"), says + FORGED, "gone")
    return Case(name, NOT_MINE, request(method + b" /"), got, (turn,), says_bytewise=False)


def _stale(
    name: str,
    why: str,
    line: bytes,
    got: bytes | No,
    *fields: bytes,
    body: bytes = b"",
    then: str = "close",
    again: bool = True,
) -> Case:
    """A first request opens the upstream's connection, the second finds it closed in the moment that it is sent."""
    turns = (
        Turn(forwarded(b"GET /")),
        Turn(forwarded(line, *fields, body=body), b"", then),
        *((Turn(forwarded(line, *fields, body=body)),) if again else ()),
    )
    return Case(name, why, GET, (OK, got), turns, goes_on=request(line, *fields, body=body))


CASES = [
    *_refused(
        TWO_READINGS,
        ("an answer with two lengths", response(b"200 OK", b"Content-Length: 2", b"Content-Length: 3", body=b"ok!")),
        (
            "an answer with the same length twice",
            response(b"200 OK", b"Content-Length: 2", b"Content-Length: 2", body=b"ok"),
        ),
        ("an answer with a list of lengths", response(b"200 OK", b"Content-Length: 2, 2", body=b"ok")),
        ("an answer with a length and chunks", response(b"200 OK", b"Content-Length: 2", CHUNKED, body=b"0\r\n\r\n")),
        ("an answer with chunks and a length", response(b"200 OK", CHUNKED, b"Content-Length: 2", body=b"0\r\n\r\n")),
        ("an answer chunked twice", response(b"200 OK", CHUNKED, CHUNKED, body=b"0\r\n\r\n")),
        ("an answer with gzip and chunks", response(b"200 OK", b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")),
        ("an answer with gzip as its transfer coding", response(b"200 OK", b"Transfer-Encoding: gzip", body=b"x")),
        ("an answer with identity", response(b"200 OK", b"Transfer-Encoding: identity", body=b"x")),
        ("an answer with an empty coding", response(b"200 OK", b"Transfer-Encoding:", body=b"x")),
        ("an answer with chunks in HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n"),
        ("an answer with a negative length", response(b"200 OK", b"Content-Length: -2", body=b"ok")),
        ("an answer with a length of words", response(b"200 OK", b"Content-Length: two", body=b"ok")),
        ("an answer with an empty length", response(b"200 OK", b"Content-Length:", body=b"ok")),
        (
            "an answer with a length over 64 bits",
            response(b"200 OK", b"Content-Length: 99999999999999999999", body=b"ok"),
        ),
        ("a HEAD-like 304 with two lengths", response(b"304 Not Modified", b"Content-Length: 2", b"Content-Length: 3")),
        ("a 204 with a length and chunks", response(b"204 No Content", b"Content-Length: 0", CHUNKED)),
        ("an interim answer with two lengths", response(b"103 Hints", b"Content-Length: 2", b"Content-Length: 3") + OK),
    ),
    *_refused(
        GRAMMAR,
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        ("an HTML page", b"<html>\r\n\r\n</html>"),
        ("zeros", bytes(16) + b"\r\n\r\n"),
        ("HTTP/2", b"HTTP/2 200 OK\r\n\r\n"),
        ("HTTP/1.2", b"HTTP/1.2 200 OK\r\n\r\n"),
        ("a version in small letters", b"http/1.1 200 OK\r\n\r\n"),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n"),
        ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n"),
        ("a status below 100", b"HTTP/1.1 099 OK\r\n\r\n"),
        ("a status of words", b"HTTP/1.1 OK\r\n\r\n"),
        ("a status after two spaces", b"HTTP/1.1  200 OK\r\n\r\n"),
        ("an empty line before the status", b"\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ("a control character in the reason", b"HTTP/1.1 200 O\x07K\r\n\r\n"),
        ("a bare LF after the status", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
        ("bare LFs", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
        ("a bare CR in a field", response(b"200 OK", b"X: y\rSet-Cookie: z", b"Content-Length: 0")),
        ("a NUL in a field", response(b"200 OK", b"X: \x00", b"Content-Length: 0")),
        ("obs-fold of an answer", response(b"200 OK", b"X: y\r\n Content-Length: 9", b"Content-Length: 0")),
        ("a space before the colon of an answer", response(b"200 OK", b"Content-Length : 9", b"Content-Length: 0")),
        ("a field of an answer without a colon", response(b"200 OK", b"X", b"Content-Length: 0")),
        ("a field of an answer without a name", response(b"200 OK", b": x", b"Content-Length: 0")),
        ("a head over 64 KiB of an answer", response(b"200 OK", LARGE, b"Content-Length: 0")),
        ("a head without end of an answer", response(b"200 OK", LARGE)[:-4]),
        ("an interim head over 64 KiB", response(b"103 Hints", LARGE) + OK),
        (
            "a malformed answer after an interim one that is not passed on",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2 OK\r\n\r\n",
        ),
        ("a 101 that nobody asked for", response(b"101 Switching", b"Upgrade: websocket", b"Connection: upgrade")),
    ),
    # No answer at all, or not all of it.
    Case(
        "a close instead of an answer",
        "it may have been acted on",
        **_answer(b"", No("upstream_protocol", 502, CLOSED), "close"),
    ),
    Case("a reset instead of an answer", "as above", **_answer(b"", No("upstream_protocol", 502, CLOSED), "reset")),
    Case(
        "half a head",
        "as above",
        **_answer(b"HTTP/1.1 200 OK\r\nContent-", No("upstream_protocol", 502, CLOSED), "close"),
    ),
    Case(
        "half a head that looks whole but for the empty line",
        "as above",
        **_answer(OK.partition(b"\r\n\r\n")[0] + b"\r\n", No("upstream_protocol", 502, CLOSED), "close"),
    ),
    Case(
        "only an interim answer",
        "it is not the answer",
        **_answer(b"HTTP/1.1 100 Continue\r\n\r\n", BAD_UPSTREAM, "close"),
    ),
    Case(
        "nobody listens",
        "a connection that cannot be made",
        GET,
        UNREACHABLE,
        options={"nobody": True},
        after="closed",
        ends=True,
    ),
    _ends_early(
        "a body shorter than its length",
        response(b"200 OK", b"Content-Length: 5", body=b"he"),
        response(b"200 OK", b"Content-Length: 5", body=b"he"),
    ),
    _ends_early(
        "no body in spite of its length",
        response(b"200 OK", b"Content-Length: 5"),
        response(b"200 OK", b"Content-Length: 5"),
    ),
    _ends_early(
        "chunks without the last one",
        response(b"200 OK", CHUNKED, body=b"2\r\nhe\r\n"),
        response(b"200 OK", CHUNKED, body=b"2\r\nhe\r\n"),
    ),
    _ends_early(
        "chunks without the last empty line",
        response(b"200 OK", CHUNKED, body=b"2\r\nhe\r\n0\r\n"),
        response(b"200 OK", CHUNKED, body=b"2\r\nhe\r\n"),
    ),
    _ends_early(
        "chunks of garbage", response(b"200 OK", CHUNKED, body=b"zz\r\n"), response(b"200 OK", CHUNKED), "gone"
    ),
    _ends_early(
        "chunks with a bare LF",
        response(b"200 OK", CHUNKED, body=b"2\nhe\r\n0\r\n\r\n"),
        response(b"200 OK", CHUNKED),
        "gone",
    ),
    _ends_early(
        "a chunk longer than its size, of an answer",
        response(b"200 OK", CHUNKED, body=b"2\r\nhello\r\n0\r\n\r\n"),
        response(b"200 OK", CHUNKED),
        "gone",
    ),
    _ends_early(
        "over 16 KiB of extensions of an answer",
        response(b"200 OK", CHUNKED, body=b"2;" + b"x" * 17_000 + b"\r\n"),
        response(b"200 OK", CHUNKED),
        "gone",
    ),
    Case(
        "a reset where the end of the connection is the end of the body",
        CUT,
        GET,
        response(b"200 OK", CHUNKED, body=b"5\r\nhello\r\n"),
        (Turn(forwarded(b"GET /"), b"HTTP/1.0 200 OK\r\n\r\nhello", "reset"),),
        after="closed",
        cuts_late=True,
        whole_only=True,
    ),
    # More than the answer.
    _past_the_end("bytes after a length", OK, OK),
    _past_the_end(
        "bytes after the last chunk",
        response(b"200 OK", CHUNKED, body=b"0\r\n\r\n"),
        response(b"200 OK", CHUNKED, body=b"0\r\n\r\n"),
    ),
    _past_the_end(
        "a body after HEAD",
        response(b"200 OK", b"Content-Length: 36"),
        response(b"200 OK", b"Content-Length: 36"),
        b"HEAD",
    ),
    _past_the_end("a body after 204", response(b"204 No Content"), response(b"204 No Content")),
    _past_the_end("a body after 304", response(b"304 Not Modified"), response(b"304 Not Modified")),
    Case(
        "bytes on an idle connection",
        NOT_MINE,
        GET,
        (OK, PROBED),
        (Turn(forwarded(b"GET /"), OK), Turn(b"", FORGED, "gone"), Turn(forwarded(b"GET /probe"), PROBED)),
        when_gone=True,
        goes_on=PROBE,
        says_bytewise=False,
    ),
    Case(
        "a second answer to one request",
        NOT_MINE,
        GET + PROBE,
        (OK, PROBED),
        (Turn(forwarded(b"GET /"), OK + FORGED, "gone"), Turn(forwarded(b"GET /probe"), PROBED)),
        says_bytewise=False,
    ),
    # A connection that was reused.
    _stale("GET on a stale connection", ONCE, b"GET /again", OK),
    _stale("GET on a connection that is reset", ONCE, b"GET /again", OK, then="reset"),
    _stale("OPTIONS on a stale connection", ONCE, b"OPTIONS /again", OK),
    _stale("DELETE on a stale connection", ONCE, b"DELETE /again", OK),
    _stale("PUT with a kept body on a stale connection", ONCE, b"PUT /again", OK, b"Content-Length: 5", body=b"hello"),
    _stale(
        "POST on a stale connection",
        NOT_TWICE,
        b"POST /again",
        BAD_UPSTREAM,
        b"Content-Length: 5",
        body=b"hello",
        again=False,
    ),
    _stale("PATCH on a stale connection", NOT_TWICE, b"PATCH /again", BAD_UPSTREAM, again=False),
    _stale("an unknown method on a stale connection", NOT_TWICE, b"BREW /again", BAD_UPSTREAM, again=False),
    Case(
        "a replacement that is closed too",
        "once is enough",
        GET,
        (OK, BAD_UPSTREAM),
        (
            Turn(forwarded(b"GET /")),
            Turn(forwarded(b"GET /again"), b"", "close"),
            Turn(forwarded(b"GET /again"), b"", "close"),
        ),
        goes_on=request(b"GET /again"),
    ),
    Case(
        "a connection that has been idle for too long",
        "it is dropped before the other side drops it",
        GET,
        OK,
        (Turn(forwarded(b"GET /"), OK, "gone"),),
        options={"pool": Pool(keepalive=Duration(0))},
    ),
]
