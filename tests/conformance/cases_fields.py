"""A request's fields (RFC 9110 §5, §7.6): what stays on its hop, what is set here; all else is untouched."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.config.model import Headers, RequireHeader, Value
from tests.conformance.table import BAD, DENIED, HOST, LOCAL, TOKEN, VIA, Case, Turn, forwarded, request, response
from tests.forward.make import SETTINGS
from tests.forward.rig import OK

KEY: dict[str, Any] = {"key": RequireHeader(name="X-Sidecar-Key", value=Value("open,sesame"))}
KEY_LINE = b"X-Sidecar-Key: open,sesame"
KEYED_PROBE = request(b"GET /probe", KEY_LINE)
SETS: dict[str, Any] = {"headers": Headers(set={"X-Tenant": Value("blue"), "Accept": Value("*/*")}, remove=("Cookie",))}

MANY = (
    *(b"Accept: text/html", b"x-b: 1", b"X-A: 2", b"X-B: 3", b"X-Empty:", b"x-A:  \t 4", b"Cookie: a=b; c=d"),
    *(b"cookie: e", b'X-Quote: "a, b", c', b"X-Latin: gr\xfc\xdfe \x80\xff", b"X-Utf8: \xe2\x82\xac", b"X-Tab: a\tb"),
    *(b"!#$%&'*+-.^_`|~0Z: t", b'If-None-Match: W/"x"', b"Range: bytes=0-1", b"Accept-Encoding: gzip, br"),
    *(b"User-Agent: curl/8", b"Forwarded: for=x"),
)

HOP = "a field of one hop stays on it (RFC 9110 §7.6.1)"
NAMED = "Connection names the fields that are its hop's only (RFC 9110 §7.6.1)"
OWN = "the credential is the sidecar's alone: whatever the caller says of it, in any spelling, is taken off"


def _drops(name: str, why: str, *fields: bytes, left: tuple[bytes, ...] = (), **options: Any) -> Case:
    return Case(name, why, request(b"GET /", *fields), OK, (Turn(forwarded(b"GET /", *left)),), options=options)


def _auth(**changes: Any) -> dict[str, Any]:
    return {"auth": msgspec.structs.replace(SETTINGS.auth, **changes)}


CASES = [
    Case(
        "many fields",
        "order, case, repetition and bytes are the caller's (RFC 9110 §5.3); so is the white space around values",
        request(b"GET /", *MANY),
        OK,
        (Turn(forwarded(b"GET /", *MANY)),),
    ),
    # Hop by hop.
    *(
        _drops(f"{line.partition(b':')[0].decode()} stays here", HOP, b"X: 1", line, b"Y: 2", left=(b"X: 1", b"Y: 2"))
        for line in (
            b"Connection: keep-alive",
            b"Keep-Alive: timeout=5",
            b"Proxy-Connection: keep-alive",
            b"TE: trailers",
            b"Proxy-Authorization: Basic eA==",
            b"Proxy-Authenticate: Basic",
            b"Trailer: X-Sum",
            b"Upgrade: h2c",
            b"upgrade: websocket",
            b"CONNECTION: KEEP-ALIVE",
            b"Proxy-Authentication-Info: x",
        )
    ),
    _drops(
        "named in Connection",
        NAMED,
        b"Connection: X-One, x-TWO ,,",
        b"x-one: 1",
        b"X-Two: 2",
        b"X-Three: 3",
        left=(b"X-Three: 3",),
    ),
    _drops("named in a later Connection", NAMED, b"X-One: 1", b"Connection: a", b"Connection: x-one", b"A: 2"),
    _drops(
        "the credential named in Connection",
        "the sidecar's own fields are of the next hop",
        b"Connection: Authorization, Host, Via, Content-Length",
    ),
    _drops(
        "h2c",
        "an upgrade to HTTP/2 would tunnel past every rule; it and its settings are taken off (RFC 9113 §3.1)",
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAARAAAAA",
    ),
    _drops(
        "two upgrades at once",
        "only a WebSocket, alone, is passed on",
        b"Connection: Upgrade",
        b"Upgrade: websocket, h2c",
    ),
    _drops(
        "an upgrade that Connection does not name", "without it there is none (RFC 9110 §7.8)", b"Upgrade: websocket"
    ),
    Case(
        "a WebSocket with a body",
        "a handshake has none (RFC 6455 §4.1): this is a request like any other",
        request(b"GET /", b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 2", body=b"hi"),
        OK,
        (Turn(forwarded(b"GET /", b"Content-Length: 2", body=b"hi")),),
    ),
    Case(
        "close",
        "it is answered as asked (RFC 9112 §9.6), and does not close the upstream's connection",
        request(b"GET /", b"Connection: close"),
        response(b"200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok"),
        (Turn(forwarded(b"GET /")),),
        after="closed",
    ),
    Case(
        "close among others, in capitals",
        "options are case-insensitive (RFC 9110 §7.6.1)",
        request(b"GET /", b"Connection: x, CLOSE"),
        response(b"200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok"),
        (Turn(forwarded(b"GET /")),),
        after="closed",
    ),
    # The credential.
    *(
        _drops(f"the caller's own credential: {line!r}", OWN, line)
        for line in (
            b"Authorization: Bearer mine",
            b"authorization: Basic eA==",
            b"AUTHORIZATION:",
            b"aUtHoRiZaTiOn:\tx",
        )
    ),
    _drops(
        "the caller's own credential, twice", OWN, b"Authorization: a", b"X: y", b"authorization: b", left=(b"X: y",)
    ),
    _drops(
        "fields that only look like it pass",
        "names are compared whole",
        b"Authorization2: a",
        b"X-Authorization: b",
        left=(b"Authorization2: a", b"X-Authorization: b"),
    ),
    Case(
        "another auth header",
        "the configured one is set; Authorization is then a field like any other",
        request(b"GET /", b"X-API-TOKEN: mine", b"Authorization: Basic eA=="),
        OK,
        (Turn(forwarded(b"GET /", b"Authorization: Basic eA==", last=VIA + b"X-Api-Token: Token tok.1\r\n")),),
        options=_auth(header="X-Api-Token", scheme="Token"),
    ),
    Case(
        "a bare token",
        "an empty scheme sends the token alone",
        request(b"GET /", b"authorization: mine"),
        OK,
        (Turn(forwarded(b"GET /", last=VIA + b"Authorization: tok.1\r\n")),),
        options=_auth(scheme=""),
    ),
    # Host, Via, Expect, the configured fields.
    Case(
        "Host",
        "the upstream gets its own name (RFC 9110 §7.2), first",
        b"GET / HTTP/1.1\r\nX: y\r\nhOsT: 127.0.0.1:8080\r\n\r\n",
        OK,
        (Turn(b"GET / HTTP/1.1\r\nHost: " + HOST + b"\r\nX: y\r\n" + VIA + TOKEN + b"\r\n"),),
    ),
    *(
        Case(f"bad Host: {lines!r}", "one valid Host (RFC 9112 §3.2)", b"GET / HTTP/1.1\r\n" + lines + b"\r\n", BAD)
        for lines in (
            b"",
            b"X: localhost\r\n",
            LOCAL + LOCAL,
            LOCAL + b"host: elsewhere.test\r\n",
            b"Host: local host\r\n",
            b"Host: localhost/\r\n",
            b"Host: me@localhost\r\n",
            b"Host: localhost:x\r\n",
            b"Host: localhost:1:2\r\n",
            b"Host: localhost#\r\n",
            b"Host: localhost?\r\n",
            b"Host: \xe4\r\n",
            b"Host: [::1\r\n",
            b"Host: localhost:999999\r\n",
        )
    ),
    *(
        Case(
            f"foreign Host: {host!r}",
            "against DNS rebinding, only the listener's own names",
            b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
            DENIED,
        )
        for host in (
            b"",
            b"elsewhere.test",
            b"localhost.elsewhere.test",
            b"localhost.",
            b"127.0.0.2",
            b"localhost,localhost",
            b"[::ffff:127.0.0.1]",
            b"xlocalhost",
        )
    ),
    _drops(
        "Via",
        "each hop adds itself after those before (RFC 9110 §7.6.3)",
        b"Via: 1.1 one",
        b"via: 1.0 two",
        left=(b"Via: 1.1 one", b"via: 1.0 two"),
    ),
    Case(
        "fields set and removed",
        "set replaces the caller's in any spelling; remove takes off all of them",
        request(b"GET /", b"x-tenant: red", b"X-TENANT: green", b"COOKIE: a=b", b"accept: text/html", b"X: y"),
        OK,
        (Turn(forwarded(b"GET /", b"X: y", last=b"X-Tenant: blue\r\nAccept: */*\r\n" + VIA + TOKEN)),),
        options=SETS,
    ),
    Case(
        "fields set are not dropped by Connection",
        "Connection names the caller's fields only",
        request(b"GET /", b"Connection: X-Tenant, Accept"),
        OK,
        (Turn(forwarded(b"GET /", last=b"X-Tenant: blue\r\nAccept: */*\r\n" + VIA + TOKEN)),),
        options=SETS,
    ),
    # Callers.
    Case(
        "the right key",
        "it opens the listener and goes no further, in any spelling of its name",
        request(b"GET /", b"x-SIDECAR-key: open,sesame", b"X: y"),
        OK,
        (Turn(forwarded(b"GET /", b"X: y")),),
        options=KEY,
        probe=KEYED_PROBE,
    ),
    *(
        Case(
            f"a wrong key: {lines!r}",
            "it must come once, to the byte",
            request(b"GET /", *lines),
            DENIED,
            options=KEY,
            probe=KEYED_PROBE,
        )
        for lines in (
            (),
            (b"X-Sidecar-Key:",),
            (b"X-Sidecar-Key: open",),
            (b"X-Sidecar-Key: OPEN,SESAME",),
            (KEY_LINE, KEY_LINE),
            (b"X-Sidecar-Key: open", b"X-Sidecar-Key: sesame"),
            (b"X-Sidecar-Key: open, sesame",),
            (KEY_LINE, b"x-sidecar-key: x"),
            (b"X-Sidecar-Key: open,sesame\xff",),
            (b"X_Sidecar_Key: open,sesame",),
        )
    ),
    *(
        Case(f"a web page: {line!r}", "a browser's page has no business here", request(b"GET /", line), DENIED)
        for line in (
            b"Origin: http://localhost",
            b"origin: null",
            b"Origin:",
            b"Sec-Fetch-Site: cross-site",
            b"sec-fetch-site: same-site",
            b"Sec-Fetch-Site:",
        )
    ),
    _drops(
        "a page of this origin",
        "Sec-Fetch-Site none and same-origin pass, in any case",
        b"Sec-Fetch-Site: Same-Origin",
        left=(b"Sec-Fetch-Site: Same-Origin",),
    ),
    Case(
        "a head of 64 KiB",
        "the limit is 64 KiB with the last empty line (RFC 9110 §5.4)",
        request(b"GET /", b"X: " + b"x" * (65536 - len(request(b"GET /", b"X: ")))),
        OK,
        (Turn(forwarded(b"GET /", b"X: " + b"x" * (65536 - len(request(b"GET /", b"X: "))))),),
        whole_only=True,
    ),
]
