"""One decision on one head: who is asked first, and as what a request goes on."""

from __future__ import annotations

import pytest

from proxy.config.model import Address, Allow, Peers, RequireHeader, Size, UserId, Value
from proxy.errors import Name
from proxy.forward.admission import Admission, Rejection, admit
from proxy.forward.guard import make_guard
from proxy.forward.peers import Peer
from proxy.forward.routes import Routes
from tests.forward.make import LOCAL, request, upstream

GUARD = make_guard(Address("127.0.0.1", 8080), False, None)
KEYED = make_guard(Address("127.0.0.1", 8080), False, RequireHeader("X-Key", Value("k3y")))

PLAIN = upstream("plain")
BASED = upstream("based", path="/dev")
API = upstream("api", prefix="/api", path="/dev")
RULED = upstream("ruled", allow=(Allow(methods=("GET",), paths=("/orders/*",)), Allow(paths=("/open/**",))))


def target_of(decision: Admission | Rejection) -> str:
    """The target that goes on, or the name of the refusal."""
    if isinstance(decision, Rejection):
        return decision.refusal.name
    return decision.outgoing.reveal().split(b" ", 2)[1].decode("latin-1")


def decide(*upstreams: object, first: str, fields: tuple[str, ...] = (LOCAL,), draining: bool = False) -> str | Name:
    """The target that goes on, or the name of the refusal."""
    routes = Routes([item for item in (PLAIN, BASED, API, RULED) if item in upstreams])
    decision = admit(request(first, *fields), GUARD, routes, draining=draining)
    return target_of(decision)


MINE = upstream("mine", prefix="/mine", allow_peers=Peers((UserId(1),)))
YOURS = upstream("yours", prefix="/yours", allow_peers=Peers((UserId(2),)))
OURS = upstream("ours", prefix="/ours")


@pytest.mark.parametrize(
    ("uid", "first", "outcome"),
    [
        pytest.param(1, "GET /mine HTTP/1.1", "/", id="let in"),
        pytest.param(2, "GET /mine HTTP/1.1", "caller_denied", id="not let in"),
        pytest.param(2, "GET /yours HTTP/1.1", "/", id="let in to another upstream of the listener"),
        pytest.param(2, "GET /none HTTP/1.1", "no_route", id="who may use any of them is told of routes"),
        pytest.param(3, "GET /none HTTP/1.1", "caller_denied", id="who may use none learns nothing"),
        pytest.param(3, "GET /mine/../yours HTTP/1.1", "caller_denied", id="nor by a path that means two things"),
        pytest.param(2, "GET /yours/../mine HTTP/1.1", "bad_request", id="and nobody gets across"),
        pytest.param(3, "TRACE /mine HTTP/1.1", "caller_denied", id="before what is asked for"),
        pytest.param(3, "CONNECT a:1 HTTP/1.1", "caller_denied", id="a tunnel is for nobody, least of all for these"),
    ],
)
def test_upstreams_of_one_listener_may_differ_in_whom_they_let_in(uid: int, first: str, outcome: str) -> None:
    peer = Peer(uid, frozenset())
    decision = admit(request(first, LOCAL), GUARD, Routes([MINE, YOURS]), draining=False, peer=peer)
    assert target_of(decision) == outcome
    if isinstance(decision, Rejection) and " /mine " in first:
        assert decision.upstream is MINE, "so that it is counted there"


def test_a_listener_that_lets_everybody_in_somewhere_tells_everybody_of_routes() -> None:
    for first, outcome in (("GET /none HTTP/1.1", "no_route"), ("GET /mine HTTP/1.1", "caller_denied")):
        decision = admit(request(first, LOCAL), GUARD, Routes([MINE, OURS]), draining=False, peer=Peer(3, frozenset()))
        assert target_of(decision) == outcome


def test_who_is_not_known_is_not_let_in() -> None:
    assert target_of(admit(request("GET /mine HTTP/1.1", LOCAL), GUARD, Routes([MINE]), draining=False)) == (
        "caller_denied"
    )


@pytest.mark.parametrize(
    ("to", "first", "outcome"),
    [
        pytest.param(PLAIN, "GET /a%2Fb/../c?d#e HTTP/1.1", "/a%2Fb/../c?d#e", id="no rule by path: byte for byte"),
        pytest.param(PLAIN, "GET //a?? HTTP/1.1", "//a??", id="two slashes and an odd query"),
        pytest.param(PLAIN, "GET http://localhost:8080/a?b HTTP/1.1", "/a?b", id="absolute becomes a path"),
        pytest.param(PLAIN, "GET http://localhost HTTP/1.1", "/", id="a bare origin"),
        pytest.param(PLAIN, "GET http://evil.test/ HTTP/1.1", "caller_denied", id="another host's URL"),
        pytest.param(PLAIN, "GET https://localhost/ HTTP/1.1", "bad_request", id="TLS inside of HTTP"),
        pytest.param(PLAIN, "GET http://localhost#/a HTTP/1.1", "bad_request", id="no path at all"),
        pytest.param(PLAIN, "GET http://u:p@localhost/ HTTP/1.1", "bad_request", id="userinfo"),
        pytest.param(PLAIN, "GET http://localhost:x/ HTTP/1.1", "bad_request", id="a URL whose port is no number"),
        pytest.param(PLAIN, "OPTIONS * HTTP/1.1", "*", id="OPTIONS * to a whole server"),
        pytest.param(PLAIN, "OPTIONS http://localhost HTTP/1.1", "*", id="its absolute form"),
        pytest.param(PLAIN, "GET * HTTP/1.1", "bad_request", id="* for OPTIONS only"),
        pytest.param(BASED, "OPTIONS * HTTP/1.1", "bad_request", id="OPTIONS * where there is a base path"),
        pytest.param(API, "OPTIONS * HTTP/1.1", "bad_request", id="OPTIONS * where there is a prefix"),
        pytest.param(RULED, "OPTIONS * HTTP/1.1", "not_allowed", id="OPTIONS * where rules name paths"),
        pytest.param(BASED, "GET / HTTP/1.1", "/dev/", id="the base path comes before"),
        pytest.param(BASED, "GET /a?b/.. HTTP/1.1", "/dev/a?b/..", id="dots in a query"),
        pytest.param(BASED, "GET /../a HTTP/1.1", "bad_request", id="out of the base path"),
        pytest.param(BASED, "GET /..%3bx/a HTTP/1.1", "bad_request", id="out of the base path by a parameter"),
        pytest.param(BASED, "GET /%c0%ae%c0%ae/a HTTP/1.1", "bad_request", id="out of the base path, overlong"),
        pytest.param(BASED, "GET /a#b HTTP/1.1", "bad_request", id="a fragment"),
        pytest.param(API, "GET /api HTTP/1.1", "/dev/", id="the prefix itself is the upstream's root"),
        pytest.param(API, "GET /api?a HTTP/1.1", "/dev/?a", id="the prefix with a query"),
        pytest.param(API, "GET /api/a/ HTTP/1.1", "/dev/a/", id="below the prefix"),
        pytest.param(API, "GET /api/%2e%2e/a HTTP/1.1", "bad_request", id="out of the prefix"),
        pytest.param(API, "GET /api/a%5c HTTP/1.1", "bad_request", id="a backslash below the prefix"),
        pytest.param(API, "GET /apix HTTP/1.1", "no_route", id="not on a path boundary"),
        pytest.param(API, "GET / HTTP/1.1", "no_route", id="above the prefix"),
        pytest.param(RULED, "GET /orders/1?a HTTP/1.1", "/orders/1?a", id="allowed"),
        pytest.param(RULED, "GET /orders/%31 HTTP/1.1", "/orders/%31", id="allowed and as written"),
        pytest.param(RULED, "GET /%6frders/1 HTTP/1.1", "/%6frders/1", id="compared after decoding"),
        pytest.param(RULED, "HEAD /orders/1 HTTP/1.1", "not_allowed", id="GET does not imply HEAD"),
        pytest.param(RULED, "GET /orders/1/2 HTTP/1.1", "not_allowed", id="another path"),
        pytest.param(RULED, "DELETE /open/a/b HTTP/1.1", "/open/a/b", id="any method"),
        pytest.param(RULED, "GET /open/../secret HTTP/1.1", "bad_request", id="out of the allowed space"),
        pytest.param(RULED, "GET /open/%2e%2e%2fsecret HTTP/1.1", "bad_request", id="out of it, encoded"),
        pytest.param(RULED, "GET /open/..;/secret HTTP/1.1", "bad_request", id="out of it by a parameter"),
        pytest.param(RULED, "GET /open/%00 HTTP/1.1", "bad_request", id="NUL"),
        pytest.param(PLAIN, "TRACE / HTTP/1.1", "not_allowed", id="TRACE"),
        pytest.param(PLAIN, "CONNECT localhost:80 HTTP/1.1", "not_allowed", id="CONNECT"),
        pytest.param(API, "CONNECT localhost:80 HTTP/1.1", "not_allowed", id="CONNECT, whatever the prefix"),
        pytest.param(PLAIN, "CONNECT /a HTTP/1.1", "not_allowed", id="CONNECT to anything"),
        pytest.param(PLAIN, "connect localhost:80 HTTP/1.1", "bad_request", id="another method has no such target"),
        pytest.param(PLAIN, "PURGE /a HTTP/1.1", "/a", id="an unknown method"),
    ],
)
def test_what_becomes_of_a_target(to: object, first: str, outcome: str) -> None:
    assert decide(to, first=first) == outcome


@pytest.mark.parametrize(
    ("first", "fields", "outcome"),
    [
        pytest.param("GET / HTTP/1.1", [], "bad_request", id="no Host"),
        pytest.param("GET / HTTP/1.0", [], "/", id="no Host in HTTP/1.0"),
        pytest.param("GET / HTTP/1.1", [LOCAL, LOCAL], "bad_request", id="two Hosts"),
        pytest.param("GET / HTTP/1.1", ["Host: evil.test"], "caller_denied", id="a foreign Host"),
        pytest.param("GET / HTTP/1.1", [LOCAL, "Origin: null"], "caller_denied", id="a browser"),
        pytest.param("GET / HTTP/1.1", [LOCAL, "Expect: 100-Continue"], "/", id="the expectation there is"),
        pytest.param("GET / HTTP/1.1", [LOCAL, "Expect: 200-ok"], "bad_request", id="another: never a 417"),
        pytest.param("GET / HTTP/1.1", [LOCAL, "Expect:"], "bad_request", id="an empty one"),
        pytest.param("CONNECT api.test:443 HTTP/1.1", ["Host: api.test:443"], "not_allowed", id="CONNECT as curl does"),
        pytest.param("CONNECT api.test:443 HTTP/1.1", ["Host: a b"], "bad_request", id="CONNECT with a broken Host"),
        pytest.param("CONNECT api.test:443 HTTP/1.1", [LOCAL, "Origin: x"], "caller_denied", id="CONNECT of a browser"),
        pytest.param("TRACE / HTTP/1.1", ["Host: evil.test"], "caller_denied", id="TRACE with a foreign Host"),
    ],
)
def test_what_becomes_of_fields(first: str, fields: list[str], outcome: str) -> None:
    assert decide(PLAIN, first=first, fields=tuple(fields)) == outcome


@pytest.mark.parametrize(
    ("first", "fields", "outcome"),
    [
        ("GET x HTTP/1.1", ("Host: evil.test",), "bad_request"),
        ("GET /none HTTP/1.1", ("Host: evil.test",), "caller_denied"),
        ("TRACE /none HTTP/1.1", (LOCAL,), "not_allowed"),
        ("GET /none HTTP/1.1", (LOCAL,), "shutting_down"),
        ("GET /api/.. HTTP/1.1", (LOCAL,), "shutting_down"),
    ],
)
def test_who_is_asked_first(first: str, fields: tuple[str, ...], outcome: Name) -> None:
    """Malformed, then not welcome, then never forwarded, then too late: each before what was asked for."""
    assert decide(API, first=first, fields=fields, draining=True) == outcome


def test_a_refusal_is_counted_where_it_belongs() -> None:
    both = Routes([API, PLAIN])
    for routes, first, name in (
        (Routes([API]), "GET x HTTP/1.1", "api"),
        (Routes([API]), "GET /none HTTP/1.1", "api"),
        (both, "GET x HTTP/1.1", None),
        (both, "GET /api/.. HTTP/1.1", "api"),
        (both, "TRACE / HTTP/1.1", "plain"),
        (Routes([API, RULED]), "CONNECT a:1 HTTP/1.1", "ruled"),
    ):
        decision = admit(request(first, LOCAL), GUARD, routes, draining=False)
        assert isinstance(decision, Rejection)
        assert (decision.upstream.name if decision.upstream else None) == name


def test_hosts_are_those_of_the_upstream_that_is_asked() -> None:
    one, two = upstream("one", prefix="/one", hosts=("one.internal",)), upstream("two", prefix="/two", hosts=("*",))
    routes = Routes([one, two])
    for path, host, passed in (
        ("/one/a", "one.internal", True),
        ("/one/a", "two.internal", False),
        ("/two/a", "two.internal", True),
    ):
        decision = admit(request(f"GET {path} HTTP/1.1", f"Host: {host}"), GUARD, routes, draining=False)
        assert isinstance(decision, Admission) is passed


def test_the_key_comes_before_everything_that_tells_of_routes() -> None:
    for first in ("GET /none HTTP/1.1", "TRACE / HTTP/1.1", "CONNECT a:1 HTTP/1.1", "GET /api/.. HTTP/1.1"):
        decision = admit(request(first, LOCAL), KEYED, Routes([API]), draining=True)
        assert isinstance(decision, Rejection)
        assert decision.refusal.name == "caller_denied"


@pytest.mark.parametrize(
    ("limit", "fields", "outcome"),
    [
        (10, ["Content-Length: 10"], "/"),
        (10, ["Content-Length: 11"], "body_too_large"),
        (10, ["Transfer-Encoding: chunked"], "/"),
        (0, ["Content-Length: 18446744073709551615"], "/"),
    ],
)
def test_a_declared_length_over_the_limit(limit: int, fields: list[str], outcome: str) -> None:
    routes = Routes([upstream(max_body=Size(limit))])
    decision = admit(request("POST / HTTP/1.1", LOCAL, *fields), GUARD, routes, draining=False)
    assert target_of(decision) == outcome


UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket")


@pytest.mark.parametrize(
    ("first", "fields", "websocket"),
    [
        pytest.param("GET / HTTP/1.1", UPGRADE, True, id="a handshake (RFC 6455 §4.1)"),
        pytest.param("GET / HTTP/1.1", (*UPGRADE, "Content-Length: 0"), True, id="with an explicit nothing"),
        pytest.param("GET / HTTP/1.1", (*UPGRADE, "Content-Length: 1"), False, id="with a body"),
        pytest.param("GET / HTTP/1.1", (*UPGRADE, "Transfer-Encoding: chunked"), False, id="with chunks"),
        pytest.param("POST / HTTP/1.1", UPGRADE, False, id="POST"),
        pytest.param("GET / HTTP/1.0", UPGRADE, False, id="HTTP/1.0"),
        pytest.param("GET / HTTP/1.1", UPGRADE[:1], False, id="no Upgrade"),
        pytest.param("GET / HTTP/1.1", UPGRADE[1:], False, id="no Connection"),
        pytest.param("GET / HTTP/1.1", (UPGRADE[0], "Upgrade: h2c"), False, id="h2c would tunnel past every rule"),
        pytest.param("GET / HTTP/1.1", (UPGRADE[0], "Upgrade: websocket, h2c"), False, id="a choice"),
        pytest.param("GET / HTTP/1.1", (*UPGRADE, "Upgrade: h2c"), False, id="a choice in two lines"),
    ],
)
def test_the_one_upgrade_that_goes_on(first: str, fields: tuple[str, ...], websocket: bool) -> None:
    decision = admit(request(first, LOCAL, *fields), GUARD, Routes([PLAIN]), draining=False)
    assert isinstance(decision, Admission)
    assert decision.websocket is websocket


@pytest.mark.parametrize(
    ("first", "fields", "authority"),
    [
        ("GET / HTTP/1.1", ["Host: LocalHost:8080"], b"LocalHost:8080"),
        ("GET http://localhost:81/ HTTP/1.1", ["Host: x"], b"localhost:81"),
        ("GET / HTTP/1.0", [], None),
        ("GET / HTTP/1.1", ["Host:"], None),
    ],
)
def test_by_which_name_the_listener_was_reached(first: str, fields: list[str], authority: bytes | None) -> None:
    """An empty Host says no more than none: a Location cannot be made with it."""
    guard = make_guard(Address("", 0, "/run/s.sock"), False, None)
    decision = admit(request(first, *fields), guard, Routes([PLAIN]), draining=False)
    assert isinstance(decision, Admission)
    assert decision.authority == authority
