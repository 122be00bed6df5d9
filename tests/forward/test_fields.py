"""Heads on their way through: what stays on its hop, what is set, and that the rest is untouched."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import Headers, Url, Value
from proxy.forward.fields import Locations, ResponseShape, make_rules, request_head, response_head
from proxy.forward.http1 import parse_request_head
from proxy.forward.target import below_prefix
from tests.forward.make import request, response, settings

VIA = b"Via: 1.1 cognito-sidecar\r\n"
RULES = make_rules(settings(), b"")
KEEPS = ResponseShape(chunked=False, close=False)


def sent(*fields: str, first: str = "GET / HTTP/1.1", websocket: bool = False) -> list[bytes]:
    """The lines that go to the upstream under plain rules, without the first two and the credential."""
    lines = request_head(request(first, *fields), b"/", RULES, websocket=websocket).split(b"\r\n")
    assert lines[1] == b"Host: api.test"
    assert lines[-2:] == [VIA.strip(), b""]
    return lines[2:-2]


def answered(*fields: str, first: str = "HTTP/1.1 200 OK", shape: ResponseShape = KEEPS) -> list[bytes]:
    """The field lines that go to the caller."""
    lines = response_head(response(first, *fields), shape, lambda value: b"mapped:" + value).split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    return lines[1:-2]


# Requests.


def test_a_whole_request_head_in_its_order() -> None:
    """Request line, Host, the caller's fields, framing, configured fields, Via, and the credential last."""
    changes = Headers(set={"X-Team": Value("blue"), "x-Umlaut": Value("\xe4")}, remove=("X-Debug",))
    rules = make_rules(settings(path="/dev", headers=changes), b"x-key")
    head = request(
        "POST /api/a?b HTTP/1.1",
        "Host: localhost:8080",
        "x-b: 1",
        "X-Key: k3y",
        "authorization: Basic c2VjcmV0",
        "X-A:",
        "X-B:2 ",
        "x-debug: 1",
        "x-team: red",
        "Via: 1.0 before",
        "X-Latin: \xff",
        "Content-Length: 5",
    )
    assert request_head(head, b"/dev/a?b", rules, websocket=False) == (
        b"POST /dev/a?b HTTP/1.1\r\nHost: api.test\r\nx-b: 1\r\nX-A:\r\nX-B:2 \r\nVia: 1.0 before\r\nX-Latin: \xff\r\n"
        b"Content-Length: 5\r\nX-Team: blue\r\nx-Umlaut: \xc3\xa4\r\n" + VIA
    )


@pytest.mark.parametrize(
    "field",
    [
        *("Connection: x", "Keep-Alive: timeout=5", "Proxy-Authenticate: x", "Proxy-Authentication-Info: x"),
        *("Proxy-Authorization: Basic x", "proxy-connection: keep-alive", "TE: trailers", "Trailer: X", "Upgrade: h2c"),
        *("Expect: 100-continue", "Authorization: Bearer mine", "AUTHORIZATION: x", "aUtHoRiZaTiOn:"),
    ],
)
def test_what_stays_on_its_hop(field: str) -> None:
    assert sent("A: 1", field, "B: 2", field) == [b"A: 1", b"B: 2"]


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        pytest.param(["Connection: X-Hop", "x-hop: 1", "B: 2"], [b"B: 2"], id="what Connection names"),
        pytest.param(["x-hop: 1", "connection: a,\tX-HOP ,,"], [], id="in any case, place and spacing"),
        pytest.param(["Connection: a", "Connection: x-hop", "X-Hop: 1"], [], id="in a second line"),
        pytest.param(["Connection: host"], [], id="not Host, which is the sidecar's own"),
        pytest.param(["Connection: via, authorization"], [], id="nor Via and the credential"),
        pytest.param(["Connection: content-length", "Content-Length: 3"], [b"Content-Length: 3"], id="nor the framing"),
        pytest.param(
            ["Connection: transfer-encoding", "Transfer-Encoding: chunked"],
            [b"Transfer-Encoding: chunked"],
            id="nor chunks",
        ),
        pytest.param(["Connection: close", "Close: 1", "Closed: 1"], [b"Closed: 1"], id="exact names only"),
        pytest.param(["Authorization-X: 1", "X-Authorization: 1"], [b"Authorization-X: 1", b"X-Authorization: 1"]),
        pytest.param(["X-Sidecar-Error: 1"], [b"X-Sidecar-Error: 1"], id="a caller's field of that name is a field"),
    ],
)
def test_what_connection_names(fields: list[str], lines: list[bytes]) -> None:
    assert sent(*fields) == lines


@pytest.mark.parametrize(
    ("first", "fields", "lines"),
    [
        pytest.param("GET / HTTP/1.1", [], [], id="no body, no framing"),
        pytest.param("POST / HTTP/1.1", ["Content-Length: 0"], [b"Content-Length: 0"], id="an explicit nothing"),
        pytest.param("POST / HTTP/1.1", ["Content-Length: 007"], [b"Content-Length: 7"], id="made anew, not copied"),
        pytest.param("POST / HTTP/1.0", ["Content-Length: 3"], [b"Content-Length: 3"], id="of an HTTP/1.0 request"),
        pytest.param("POST / HTTP/1.1", ["transfer-encoding: chunked"], [b"Transfer-Encoding: chunked"], id="chunked"),
    ],
)
def test_a_requests_framing_is_made_anew(first: str, fields: list[str], lines: list[bytes]) -> None:
    assert sent(*fields, first=first) == lines


def test_a_websocket_handshake_is_the_one_upgrade_that_goes_on() -> None:
    fields = ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: k")
    assert sent(*fields) == [b"Sec-WebSocket-Key: k"]
    assert sent(*fields, websocket=True) == [b"Sec-WebSocket-Key: k", b"Connection: Upgrade", b"Upgrade: websocket"]


@pytest.mark.parametrize(
    ("header", "scheme", "begins", "kept"),
    [
        ("Authorization", "Bearer", b"Authorization: Bearer ", [b"X-Token: a"]),
        ("Authorization", "", b"Authorization: ", [b"X-Token: a"]),
        ("x-token", "Token", b"x-token: Token ", [b"AUTHORIZATION: b"]),
    ],
)
def test_the_configured_header_is_not_the_callers(header: str, scheme: str, begins: bytes, kept: list[bytes]) -> None:
    auth = msgspec.structs.replace(settings().auth, header=header, scheme=scheme)
    rules = make_rules(settings(auth=auth), b"")
    assert rules.auth_begins == begins
    head = request_head(request("GET / HTTP/1.1", "X-Token: a", "AUTHORIZATION: b"), b"/", rules, websocket=False)
    assert head.split(b"\r\n")[2:-2] == kept


def test_the_host_is_the_upstreams_with_its_port() -> None:
    rules = make_rules(settings(url=Url("http", "::1", 8081, "/dev")), b"")
    assert (rules.host_line, rules.origin, rules.base_path) == (b"Host: [::1]:8081", b"http://[::1]:8081", b"/dev")


ends_to_end = st.from_regex(rb"X-[A-Za-z0-9_.!#~-]{1,8}", fullmatch=True)
vchars = st.lists(st.sampled_from([9, *range(0x20, 0x7F), *range(0x80, 0x100)]), max_size=16).map(
    lambda value: bytes(value).strip(b" \t")
)


@given(st.lists(st.tuples(ends_to_end, vchars), max_size=8))
def test_all_other_fields_go_through_untouched(fields: list[tuple[bytes, bytes]]) -> None:
    """Order, case, repetition, bytes."""
    block = b"".join(b"%b: %b\r\n" % field for field in fields)
    head = parse_request_head(b"GET / HTTP/1.1\r\n" + block + b"\r\n")
    out = request_head(head, b"/", RULES, websocket=False)
    assert out == b"GET / HTTP/1.1\r\nHost: api.test\r\n" + block + VIA
    assert parse_request_head(out + b"\r\n").lines[1:-1] == head.lines


# Responses.


def test_a_whole_response_head() -> None:
    head = response(
        "HTTP/1.0 299 Very \xf6dd",
        "Set-Cookie: a",
        "set-cookie: b",
        "X-Sidecar-Error: forged",
        "Content-Length: 3",
        "Connection: close, x-hop",
        "X-Hop: 1",
        "Via: 1.1 gateway",
    )
    assert response_head(head, KEEPS, bytes) == (
        b"HTTP/1.1 299 Very \xf6dd\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 3\r\nVia: 1.1 gateway\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("first", "fields", "shape", "lines"),
    [
        pytest.param(
            "200 OK", ["Transfer-Encoding: chunked"], (True, False), [b"Transfer-Encoding: chunked"], id="chunks"
        ),
        pytest.param("200 OK", [], (False, True), [b"Connection: close"], id="the connection is the end"),
        pytest.param("200 OK", ["Transfer-Encoding: chunked"], (False, False), [], id="to HEAD"),
        pytest.param("304 Not Modified", ["Content-Length: 9"], (False, False), [b"Content-Length: 9"], id="304"),
        pytest.param("204 No Content", ["Content-Length: 9"], (False, False), [], id="204 has no length (§8.6)"),
        pytest.param("103 Early Hints", ["Content-Length: 9", "Link: x"], (False, False), [b"Link: x"], id="103"),
        pytest.param(
            "200 OK",
            ["Connection: Content-Length", "Content-Length: 9"],
            (False, False),
            [b"Content-Length: 9"],
            id="Connection cannot take the framing off",
        ),
        pytest.param("200 OK", ["connection: x-sidecar-error", "x-SIDECAR-error: a"], (False, False), [], id="forged"),
        pytest.param(
            "101 Switching",
            ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: a"],
            (False, False),
            [b"Sec-WebSocket-Accept: a", b"Connection: Upgrade", b"Upgrade: websocket"],
            id="a WebSocket",
        ),
        pytest.param("426 Upgrade", ["Connection: upgrade", "Upgrade: h2c"], (False, False), [], id="no other upgrade"),
        pytest.param(
            "302 Found",
            ["LOCATION: /a", "Content-Location: /b", "Refresh: /c"],
            (False, False),
            [b"LOCATION: mapped:/a", b"Content-Location: mapped:/b", b"Refresh: /c"],
            id="locations",
        ),
    ],
)
def test_how_answers_go_on(first: str, fields: list[str], shape: tuple[bool, bool], lines: list[bytes]) -> None:
    assert answered(*fields, first=f"HTTP/1.1 {first}", shape=ResponseShape(*shape)) == lines


# Locations.


def test_a_location_that_is_not_ours_stays_byte_for_byte() -> None:
    head = response("HTTP/1.1 302 Found", "LOCATION:https://other.test/ ", "Content-Location:  /z")
    assert response_head(head, KEEPS, lambda value: value) == (
        b"HTTP/1.1 302 Found\r\nLOCATION:https://other.test/ \r\nContent-Location:  /z\r\n\r\n"
    )


MAPPED = Locations(b"https://api.test", b"/dev", b"/api", b"http://localhost:8080")
ROOTS = Locations(b"http://127.0.0.1:81", b"", b"", b"http://localhost:8080")


@pytest.mark.parametrize(
    ("locations", "value", "local"),
    [
        pytest.param(MAPPED, "https://api.test/dev/x?y#z", "http://localhost:8080/api/x?y#z", id="absolute"),
        pytest.param(MAPPED, "HTTPS://API.Test/dev/X", "http://localhost:8080/api/X", id="in capitals"),
        pytest.param(MAPPED, "https://api.test:443/dev/x", "http://localhost:8080/api/x", id="the scheme's own port"),
        pytest.param(MAPPED, "https://api.test:/dev/x", "http://localhost:8080/api/x", id="an empty port"),
        pytest.param(MAPPED, "//api.test/dev/x", "//localhost:8080/api/x", id="without a scheme"),
        pytest.param(MAPPED, "/dev/x", "/api/x", id="a path"),
        pytest.param(MAPPED, "/dev", "/api/", id="the base path itself"),
        pytest.param(MAPPED, "/dev?a", "/api/?a", id="the base path with a query"),
        pytest.param(MAPPED, "/dev#a", "/api/#a", id="the base path with a fragment"),
        pytest.param(MAPPED, "https://api.test/dev", "http://localhost:8080/api/", id="the base URL itself"),
        pytest.param(MAPPED, "/dev/x?to=/a/../b", "/api/x?to=/a/../b", id="dots in a query are no path"),
        pytest.param(MAPPED, "/dev//evil.test/", "/api//evil.test/", id="two slashes below a prefix"),
        pytest.param(ROOTS, "http://127.0.0.1:81", "http://localhost:8080/", id="a bare origin"),
        pytest.param(ROOTS, "http://127.0.0.1:81?a", "http://localhost:8080/?a", id="a bare origin with a query"),
        pytest.param(ROOTS, "/x", "/x", id="a path between two roots"),
        pytest.param(
            Locations(b"https://api.test", b"/dev", b"", b"http://localhost"),
            "/dev//evil.test/x",
            "http://localhost//evil.test/x",
            id="two slashes never become a host",
        ),
    ],
)
def test_locations_below_the_upstream_lead_back_here(locations: Locations, value: str, local: str) -> None:
    assert locations.to_local(value.encode()) == local.encode()


@pytest.mark.parametrize(
    "value",
    [
        *("https://other.test/dev/x", "http://api.test/dev/x", "https://api.test:8443/dev/x", "//other.test/dev/x"),
        *("https://api.test.evil.test/dev", "https://api.test@evil.test/dev", "https://u@api.test/dev/x"),
        *("https://api.test:80/dev/x", "//api.test:443443/dev", "https://api.test/prod/x", "https://api.test/"),
        *("https://api.test:443:/dev/x", "https://api.test::/dev/x"),
        *("https://api.test", "https://api.test/developer", "/developer", "/dev;x", "/prod/x", "/", "///dev/x"),
        *(
            "/dev/../prod",
            "/dev/..",
            "/dev/./x",
            "/dev/..?a",
            "/dev/%2e%2e/prod",
            "/dev/.%2E",
            "/dev/..;x/prod",
            "https://api.test/dev/../x",
        ),
        *("x", "../x", "?a", "#a", "", "dev/x", "mailto:a@api.test", "https:/dev/x", "https:dev", "\\\\api.test/dev"),
    ],
)
def test_other_locations_stay_as_they_came(value: str) -> None:
    assert MAPPED.to_local(value.encode()) == value.encode()


segments = st.lists(st.sampled_from(["", "a", "dev", "b.c", "%41", "x;y"]), max_size=4)
paths = segments.map(lambda parts: "/" + "/".join(parts))
suffixes = st.sampled_from(["", "?", "?a=/../b", "#c", "?a#/b"])
bases = st.sampled_from(["", "/dev", "/a/b"])


@given(bases, bases, paths, suffixes, st.sampled_from(["https://api.test", "//api.test:443", ""]))
def test_what_was_mapped_leads_back(base: str, prefix: str, path: str, suffix: str, form: str) -> None:
    """A caller that follows the mapped Location asks the upstream for what the Location said."""
    if not form and (base + path).startswith("//"):
        return  # That names a host.
    local_origin = b"http://localhost:8080"
    local = Locations(b"https://api.test", base.encode(), prefix.encode(), local_origin).to_local(
        (form + base + path + suffix).encode()
    )
    for origin in (local_origin, local_origin.removeprefix(b"http:")):
        if local.startswith(origin + b"/"):
            local = local.removeprefix(origin)
            break
    else:
        assert local[:1] == b"/"
        assert local[:2] != b"//"
    assert below_prefix(local.partition(b"?")[0].partition(b"#")[0], prefix.encode()) == path.encode()
    assert local.endswith((path + suffix).encode())


@pytest.mark.parametrize("unit", [b"/", b"a", b"a:", b"//", b"/..", b"?", b"a.-+"])
def test_a_long_location_takes_no_long_look(unit: bytes) -> None:
    for begins in (b"", b"/", b"https://api.test", b"https://api.test/dev"):
        MAPPED.to_local(begins + unit * (65536 // len(unit)))
