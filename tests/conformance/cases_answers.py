"""An answer's fields on their way to the caller, and where its Location leads (RFC 9110 §7.6.1, §10.2.2)."""

from __future__ import annotations

from typing import Any

from tests.conformance.table import (
    HOST,
    Case,
    Turn,
    forwarded,
    request,
    response,
)
from tests.forward.rig import OK

HOP = "a field of one hop stays on it (RFC 9110 §7.6.1)"


def _answer(name: str, why: str, says: bytes, got: bytes, **options: Any) -> Case:
    return Case(name, why, request(b"GET /"), got, (Turn(forwarded(b"GET /"), says),), options=options)


def _location(name: str, value: bytes, local: bytes, field: bytes = b"Location", **options: Any) -> Case:
    says, got = (response(b"201 Created", field + b": " + one, b"Content-Length: 0") for one in (value, local))
    prefix, base = (options.get(key, "").encode() for key in ("prefix", "base"))
    return Case(
        f"{name}: {value!r}",
        "what points below the upstream's base URL leads back here",
        request(b"GET " + prefix + b"/x"),
        got,
        (Turn(forwarded(b"GET " + base + b"/x"), says),),
        options=options,
        probe=request(b"GET " + prefix + b"/probe"),
    )


CASES = [
    # The answer's fields.
    _answer(
        "many fields of an answer",
        "order, case, repetition, bytes and reason are the upstream's; several Set-Cookie stay several (RFC 9110 §5.3)",
        response(
            b"299 Gr\xfcn  is it",
            b"b: 1",
            b"A: 2",
            b"Set-Cookie: a=b, c; Path=/",
            b"set-cookie: d=e",
            b"a: \t3 ",
            b"X: \xff\x80",
            b"Server: s",
            b"Via: 1.1 x",
            b"Empty:",
            b"Content-Length: 2",
            body=b"ok",
        ),
        response(
            b"299 Gr\xfcn  is it",
            b"b: 1",
            b"A: 2",
            b"Set-Cookie: a=b, c; Path=/",
            b"set-cookie: d=e",
            b"a: \t3 ",
            b"X: \xff\x80",
            b"Server: s",
            b"Via: 1.1 x",
            b"Empty:",
            b"Content-Length: 2",
            body=b"ok",
        ),
    ),
    _answer(
        "hop-by-hop fields of an answer",
        HOP,
        response(
            b"200 OK",
            b"Connection: x-hop",
            b"X-Hop: 1",
            b"Keep-Alive: timeout=5",
            b"Proxy-Authenticate: Basic",
            b"Trailer: X",
            b"Upgrade: h2",
            b"Proxy-Connection: x",
            b"TE: x",
            b"Content-Length: 2",
            body=b"ok",
        ),
        OK,
    ),
    _answer(
        "Content-Length named in an answer's Connection",
        "framing is no option of a connection, whoever says so (RFC 9110 §7.6.1)",
        response(b"200 OK", b"Connection: Content-Length", b"Content-Length: 2", body=b"ok"),
        OK,
    ),
    _answer(
        "X-Sidecar-Error of the upstream",
        "only the sidecar says that an answer is its own",
        response(
            b"502 Bad Gateway",
            b"X-Sidecar-Error: upstream_protocol",
            b"x-sidecar-ERROR: x",
            b"Content-Length: 2",
            body=b"ok",
        ),
        response(b"502 Bad Gateway", b"Content-Length: 2", body=b"ok"),
    ),
    _answer(
        "a reason that is empty",
        "it may be (RFC 9112 §4)",
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    ),
    _answer(
        "no reason and no space",
        "lenient readers take it; what goes on is well-formed (RFC 9112 §4)",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    ),
    # Locations.
    _location(
        "absolute Location",
        b"http://" + HOST + b"/dev/a?b#c",
        b"http://localhost/api/a?b#c",
        prefix="/api",
        base="/dev",
    ),
    _location("Location of a path", b"/dev/a", b"/api/a", prefix="/api", base="/dev"),
    _location("Content-Location", b"/dev", b"/api/", field=b"cOnTeNt-location", prefix="/api", base="/dev"),
    _location(
        "Location elsewhere",
        b"https://elsewhere.test/dev/a",
        b"https://elsewhere.test/dev/a",
        prefix="/api",
        base="/dev",
    ),
    _location("Location beside the base", b"/developer", b"/developer", prefix="/api", base="/dev"),
    _location("Location with dots", b"/dev/../x", b"/dev/../x", prefix="/api", base="/dev"),
    _location("relative Location", b"a/b", b"a/b", prefix="/api", base="/dev"),
    _location("Location at a root", b"http://" + HOST + b"/a", b"http://localhost/a"),
    _location("Location in bytes", b"/\xfc%", b"/\xfc%"),
    Case(
        "redirects are not followed",
        "they are the caller's to follow, or not",
        request(b"GET /", b"Authorization: x"),
        response(b"302 Found", b"Location: https://elsewhere.test/", b"Content-Length: 0"),
        (
            Turn(
                forwarded(b"GET /"), response(b"302 Found", b"Location: https://elsewhere.test/", b"Content-Length: 0")
            ),
        ),
    ),
]
