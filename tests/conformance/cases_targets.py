"""Request targets (RFC 9112 §3.2): forms, and spellings that another reader takes for another path."""

from __future__ import annotations

from typing import Any

from proxy.config.model import Allow
from tests.conformance.table import BAD, DENIED, LOCAL, NOT_ALLOWED, Case, No, Turn, forwarded, request
from tests.forward.rig import OK

PREFIX: dict[str, Any] = {"prefix": "/api"}
BASE: dict[str, Any] = {"base": "/dev"}
BOTH: dict[str, Any] = {**PREFIX, **BASE}
ORDERS: dict[str, Any] = {"allow": (Allow(methods=("GET",), paths=("/orders/*",)), Allow(paths=("/public/**",)))}
NO_ROUTE = No("no_route", 404)
ALLOWED_PROBE = request(b"GET /public/probe")
PREFIXED_PROBE = request(b"GET /api/probe")

SPELLING = (
    "a path that a next reader normalises or decodes (RFC 3986 §6.2.2) would leave the space that prefix, base path "
    "and allow rules give it"
)
SAME = "the path goes on as it was written, byte for byte: normal forms are for the upstream to make"


def _spelling(name: str, path: bytes, options: dict[str, Any]) -> Case:
    return Case(f"{name}: {path!r}", SPELLING, request(b"GET " + path), BAD, options=options)


def _passes(name: str, path: bytes, to: bytes, why: str = SAME, **options: Any) -> Case:
    probe = PREFIXED_PROBE if "prefix" in options else ALLOWED_PROBE
    turn = Turn(forwarded(b"GET " + to))
    return Case(f"{name}: {path!r}", why, request(b"GET " + path), OK, (turn,), options=options, probe=probe)


DOTS = [b"/..", b"/../", b"/a/../b", b"/.", b"/a/./b", b"/a/..", b"/%2e%2e/b", b"/%2E./b", b"/.%2e/b", b"/%2e/b"]
PARAMETERS = [b"/..;/b", b"/a/..;x=1/b", b"/.;/b", b"/%2e%2e;/b", b"/..%3b/b", b"/..%3B"]
SLASHES = [b"/a%2fb", b"/a%2Fb", b"/..%2fb", b"/a%5cb", b"/a%5C..%5Cb", b"/a\\b", b"/..\\b", b"/%2f%2e%2e%2fb"]
OVERLONG = [b"/%c0%ae%c0%ae/b", b"/%c0%afb", b"/%C1%9Cb", b"/%e0%80%afb", b"/%e0%80%ae", b"/%f0%80%80%af", b"/\xc0\xae"]
CONTROLS = [b"/a%00b", b"/a%00/..", b"/a%0d%0aX:%20y", b"/a%0Ab", b"/a%09b", b"/a%1fb", b"/a%7f"]
FRAGMENTS = [b"/a#b", b"/a#/../b", b"/#"]
BROKEN = [b"/a%", b"/a%2", b"/a%zz", b"/%%32%65", b"/%u002e%u002e/b"]

CASES = [
    # Spellings, under each of the three things that a path may be held to.
    *(_spelling("dots below a base path", path, BASE) for path in DOTS),
    *(_spelling("dots below a prefix", b"/api" + path, PREFIX) for path in DOTS),
    *(_spelling("dots below an allowed path", b"/public" + path, ORDERS) for path in DOTS),
    *(_spelling("dots with a parameter", b"/public" + path, ORDERS) for path in PARAMETERS),
    *(_spelling("slashes", path, BASE) for path in SLASHES),
    *(_spelling("overlong UTF-8", b"/api" + path, PREFIX) for path in OVERLONG),
    *(_spelling("control characters", b"/public" + path, ORDERS) for path in CONTROLS),
    *(_spelling("fragment", path, BASE) for path in FRAGMENTS),
    *(_spelling("broken escapes", path, BASE) for path in BROKEN),
    # What only looks like one of them.
    _passes("dots inside a name", b"/api/a..b/...;x/.a", b"/dev/a..b/...;x/.a", **BOTH),
    _passes("an escape", b"/api/%41%7e%C3%BC", b"/dev/%41%7e%C3%BC", **BOTH),
    _passes("an escape of an escape", b"/api/%252e%252e/b", b"/dev/%252e%252e/b", **BOTH),
    _passes("two slashes", b"/api//a//", b"/dev//a//", **BOTH),
    _passes("dots in the query", b"/api/a?/../b&c=%2f%00", b"/dev/a?/../b&c=%2f%00", **BOTH),
    _passes("an empty query", b"/api/a?", b"/dev/a?", **BOTH),
    _passes("a query with question marks", b"/api?a?b", b"/dev/?a?b", **BOTH),
    _passes("latin-1", b"/api/\xfc", b"/dev/\xfc", **BOTH),
    _passes("dots where nothing is held to a path", b"/a/../b/%2e/%2f%00\\#c", b"/a/../b/%2e/%2f%00\\#c"),
    _passes("two slashes at the beginning", b"//localhost/x", b"//localhost/x"),
    # Prefixes.
    _passes("the prefix itself", b"/api", b"/", "it is the upstream's root", **PREFIX),
    _passes("the prefix with a slash", b"/api/", b"/dev/", "it is the upstream's root", **BOTH),
    _passes("the prefix twice", b"/api/api", b"/api", "it is taken off once", **PREFIX),
    *(
        Case(
            f"no prefix: {path!r}",
            "a prefix ends at a segment's end, is compared byte for byte, and nothing but it leads to the upstream",
            request(b"GET " + path),
            NO_ROUTE,
            options=PREFIX,
            probe=PREFIXED_PROBE,
        )
        for path in (
            b"/",
            b"/apix",
            b"/ap",
            b"/API/a",
            b"/%61pi/a",
            b"//api/a",
            b"/x/../api/a",
            b"/api%2fa",
            b"/api;x/a",
        )
    ),
    # Rules.
    _passes("allowed by a star", b"/orders/7", b"/orders/7", "`*` is any one segment", **ORDERS),
    _passes("allowed by two stars", b"/public/a/b/c", b"/public/a/b/c", "`**` is any number of segments", **ORDERS),
    _passes("allowed in another spelling", b"/%6frders/7", b"/%6frders/7", "rules see the path decoded once", **ORDERS),
    _passes("a query is no path", b"/orders/7?/x/y", b"/orders/7?/x/y", "rules see the path alone", **ORDERS),
    *(
        Case(
            f"not allowed: {line!r}",
            "what no rule names does not go on; methods are exact (RFC 9110 §9.1: case-sensitive)",
            request(line),
            NOT_ALLOWED,
            options=ORDERS,
            probe=ALLOWED_PROBE,
        )
        for line in (
            b"GET /orders",
            b"GET /orders/7/items",
            b"GET /Orders/7",
            b"GET //orders/7",
            b"POST /orders/7",
            b"get /orders/7",
            b"HEAD /orders/7",
            b"GET /x?/orders/7",
            b"GET /x%3f/../orders/7".replace(b"/..", b""),
            b"GET /%256frders/7",
            b"GET /",
        )
    ),
    # Forms.
    Case(
        "absolute form",
        "a server takes it (RFC 9112 §3.2.2); the upstream is asked in origin form",
        request(b"GET http://LocalHost:8080/a?b"),
        OK,
        (Turn(forwarded(b"GET /a?b")),),
    ),
    Case(
        "absolute form without a path",
        "an empty path is `/` (RFC 9110 §4.2.3)",
        request(b"GET http://localhost?q"),
        OK,
        (Turn(forwarded(b"GET /?q")),),
    ),
    Case(
        "absolute form goes before Host",
        "the target's authority counts, and Host is ignored (RFC 9112 §3.2.2)",
        b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n",
        OK,
        (Turn(forwarded(b"GET /")),),
    ),
    Case(
        "absolute form below a prefix",
        "its path is held to the same rules",
        request(b"GET http://localhost/api/../b"),
        BAD,
        options=PREFIX,
    ),
    Case("absolute form of another host", "it is not this listener's", request(b"GET http://elsewhere.test/"), DENIED),
    Case(
        "absolute form of another host behind a good Host",
        "the target counts (RFC 9112 §3.2.2)",
        request(b"GET http://169.254.169.254/latest"),
        DENIED,
    ),
    *(
        Case(f"no form of a target: {line!r}", "RFC 9112 §3.2 knows four forms", request(line), BAD)
        for line in (
            b"GET *",
            b"GET a",
            b"GET ?a",
            b"GET ../a",
            b"GET localhost:80",
            b"POST *",
            b"GET **",
            b"OPTIONS *?a",
            b"GET https://localhost/",
            b"GET ftp://localhost/",
            b"GET http:/a",
            b"GET http:a",
            b"GET http://localhost#a",
            b"GET http://localhost:99999999/",
            b"GET http://me@localhost/",
            b"GET http://me:pw@localhost/",
            b"GET http://localhost\\@elsewhere.test/",
            b"GET http://[::1/",
            b"GET \\a",
        )
    ),
    Case(
        "a malformed host in an absolute form of HTTP/1.0",
        "it counts without a Host beside it too (RFC 9112 §3.2.2)",
        b"GET http://me@localhost/ HTTP/1.0\r\n\r\n",
        BAD,
    ),
    Case(
        "OPTIONS *",
        "of the whole server (RFC 9112 §3.2.4)",
        request(b"OPTIONS *"),
        OK,
        (Turn(forwarded(b"OPTIONS *")),),
    ),
    Case(
        "OPTIONS of a bare origin",
        "the next hop's `*` (RFC 9112 §3.2.4)",
        request(b"OPTIONS http://localhost"),
        OK,
        (Turn(forwarded(b"OPTIONS *")),),
    ),
    Case("OPTIONS * with a base path", "`*` would ask beyond it", request(b"OPTIONS *"), BAD, options=BASE),
    Case("OPTIONS * with a prefix", "`*` would ask beyond it", request(b"OPTIONS *"), BAD, options=PREFIX),
    Case("OPTIONS of a path", "like any other", request(b"OPTIONS /a"), OK, (Turn(forwarded(b"OPTIONS /a")),)),
    Case(
        "CONNECT",
        "never forwarded (RFC 9110 §9.3.6)",
        b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
        NOT_ALLOWED,
    ),
    Case("CONNECT of a path", "never forwarded", request(b"CONNECT /"), NOT_ALLOWED),
    Case("TRACE", "it would echo the token (RFC 9110 §9.3.8)", request(b"TRACE /"), NOT_ALLOWED),
    Case(
        "trace in small letters",
        "methods are case-sensitive (RFC 9110 §9.1): it is another one",
        request(b"trace /"),
        OK,
        (Turn(forwarded(b"trace /")),),
    ),
    Case(
        "a method nobody knows",
        "any token is one (RFC 9110 §9.1)",
        request(b"BREW!#$%&'*+-.^_`|~1 /"),
        OK,
        (Turn(forwarded(b"BREW!#$%&'*+-.^_`|~1 /")),),
    ),
    # The first line.
    *(
        Case(
            f"no request line: {line!r}",
            "method SP target SP version CRLF, to the byte (RFC 9112 §3)",
            line + b"\r\n" + LOCAL + b"\r\n",
            BAD,
        )
        for line in (
            b"GET / HTTP/1.2",
            b"GET / HTTP/2.0",
            b"GET / HTTP/0.9",
            b"GET / HTTP/1.10",
            b"GET / http/1.1",
            b"GET / HTTP/1",
            b"GET /",
            b"GET",
            b"GET  / HTTP/1.1",
            b"GET /  HTTP/1.1",
            b"GET / HTTP/1.1 ",
            b" GET / HTTP/1.1",
            b"GET\t/ HTTP/1.1",
            b"GET /a b HTTP/1.1",
            b"GET /\x00 HTTP/1.1",
            b"GET /\x7f HTTP/1.1",
            b"G(T / HTTP/1.1",
            b"GET / HTTP/1.1\x0b",
            b"G\xcaT / HTTP/1.1",
            b"GET / ICAP/1.0",
            b"HTTP/1.1 200 OK",
            b"/ GET HTTP/1.1",
            b"GET /\x0c HTTP/1.1",
        )
    ),
]
