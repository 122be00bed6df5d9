"""Who may use a listener, and for what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import Address, Allow, RequireHeader, Value
from proxy.errors import Refusal
from proxy.forward.guard import Guard, check_caller, compile_rules, is_allowed, make_guard, requested_host
from proxy.forward.http1 import BadMessage, RequestHead
from proxy.forward.target import Target, split_target
from tests.forward.make import LOCAL, request

ORIGIN_FORM = Target(None, b"/", b"")
TCP = Address("127.0.0.1", 8080)
KEY = RequireHeader("X-Sidecar-Key", Value("k3y"))


def passes(guard: Guard, head: RequestHead, *more_hosts: bytes) -> bool:
    """Whether the guard lets the caller in that sends this head."""
    authority = requested_host(head, split_target(head.target, head.method))
    try:
        check_caller(guard, head, authority, frozenset(more_hosts))
    except Refusal:
        return False
    return True


# Host (RFC 9112 §3.2, RFC 9110 §7.2).


@pytest.mark.parametrize(
    ("first", "fields", "authority"),
    [
        pytest.param("GET / HTTP/1.1", ["Host: a:1"], b"a:1", id="Host"),
        pytest.param("GET / HTTP/1.1", ["hOST:  A "], b"A", id="Host in any case"),
        pytest.param("GET / HTTP/1.1", ["Host:"], b"", id="an empty Host is one"),
        pytest.param("GET http://b/ HTTP/1.1", ["Host: a"], b"b", id="an absolute target says more (§3.2.2)"),
        pytest.param("GET http://b/ HTTP/1.0", [], b"b", id="HTTP/1.0, absolute"),
        pytest.param("GET / HTTP/1.0", [], None, id="HTTP/1.0 without Host"),
        pytest.param("GET / HTTP/1.0", ["Host: a"], b"a", id="HTTP/1.0 with Host"),
        pytest.param("GET / HTTP/1.1", ["Host: a,b"], b"a,b", id="a comma is a character of a name"),
    ],
)
def test_whom_a_request_names(first: str, fields: list[str], authority: bytes | None) -> None:
    head = request(first, *fields)
    assert requested_host(head, split_target(head.target, head.method)) == authority


@pytest.mark.parametrize(
    ("first", "fields"),
    [
        pytest.param("GET / HTTP/1.1", [], id="no Host"),
        pytest.param("GET http://localhost/ HTTP/1.1", [], id="no Host beside an absolute target"),
        pytest.param("GET / HTTP/1.1", ["Host: localhost", "Host: evil.test"], id="two"),
        pytest.param("GET / HTTP/1.1", ["Host: localhost", "HOST: localhost"], id="two equal ones"),
        pytest.param("GET / HTTP/1.1", ["Host:", "Host:"], id="two empty ones"),
        pytest.param("GET / HTTP/1.0", ["Host: localhost", "Host: localhost"], id="two in HTTP/1.0"),
        pytest.param("GET / HTTP/1.1", ["Host: u@localhost"], id="userinfo"),
        pytest.param("GET / HTTP/1.1", ["Host: localhost/x"], id="a path"),
        pytest.param("GET / HTTP/1.1", ["Host: localhost, evil.test"], id="a list with a space"),
        pytest.param("GET / HTTP/1.1", ["Host: [::1"], id="half a bracket"),
        pytest.param("GET / HTTP/1.1", ["Host: localhost:x"], id="a port that is no number"),
        pytest.param("GET http://localhost/ HTTP/1.1", ["Host: a b"], id="malformed beside an absolute target"),
    ],
)
def test_hosts_that_are_no_http(first: str, fields: list[str]) -> None:
    head = request(first, *fields)
    with pytest.raises(BadMessage):
        requested_host(head, split_target(head.target, head.method))


@pytest.mark.parametrize(
    ("host", "passed"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("localhost:", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("orders.internal:80", True),
        ("ORDERS.internal", True),
        ("evil.test", False),
        ("localhost.evil.test", False),
        ("evil.test,localhost", False),
        ("localhost.", False),
        ("127.1", False),
        ("127.0.0.2", False),
        ("0.0.0.0", False),
        ("[::]", False),
        ("[0:0:0:0:0:0:0:1]", False),
        ("local%68ost", False),
        ("", False),
        (":8080", False),
        ("*", False),
    ],
)
def test_hosts_of_a_tcp_listener(host: str, passed: bool) -> None:
    """Against DNS rebinding: a name of somebody else's that leads here is refused."""
    guard = make_guard(TCP, False, None)
    assert passes(guard, request("GET / HTTP/1.1", f"Host: {host}"), b"orders.internal") is passed
    assert passes(guard, request("GET / HTTP/1.1", f"Host: {host}"), b"*"), "`*` accepts any"
    unix = make_guard(Address("", 0, "/run/s.sock"), False, None)
    assert passes(unix, request("GET / HTTP/1.1", f"Host: {host}")), "no web page reaches a unix socket"


def test_the_host_of_an_absolute_target_is_the_one_that_counts() -> None:
    guard = make_guard(TCP, False, None)
    assert passes(guard, request("GET http://localhost:8080/ HTTP/1.1", "Host: evil.test"))
    assert not passes(guard, request("GET http://evil.test/ HTTP/1.1", LOCAL))
    assert not passes(guard, request("GET http:///x HTTP/1.1", LOCAL)), "a URL without a host is nobody's"


def test_http_1_0_without_a_host_passes() -> None:
    assert passes(make_guard(TCP, False, None), request("GET / HTTP/1.0"))


@pytest.mark.parametrize(
    ("listens_on", "host", "passed"),
    [
        pytest.param("10.0.0.5", "10.0.0.5:80", True, id="its own address"),
        pytest.param("10.0.0.5", "10.0.0.6", False, id="another address"),
        pytest.param("fd00::5", "[FD00::5]", True, id="its own IPv6 address"),
        pytest.param("0.0.0.0", "0.0.0.0", False, id="every address is none"),
        pytest.param("::", "[::]", False, id="every IPv6 address is none"),
        pytest.param("sidecar.internal", "sidecar.internal", False, id="a name can be pointed anywhere"),
        pytest.param("cafe", "cafe", False, id="a name that looks like hexadecimal"),
        pytest.param("dead.be", "dead.be", False, id="a domain that looks like hexadecimal"),
    ],
)
def test_the_own_address_of_a_listener_is_one_of_its_hosts(listens_on: str, host: str, passed: bool) -> None:
    guard = make_guard(Address(listens_on, 80), False, None)
    assert passes(guard, request("GET / HTTP/1.1", f"Host: {host}")) is passed


# Browsers.


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        pytest.param([], True, id="no browser"),
        pytest.param(["Origin: http://evil.test"], False, id="Origin"),
        pytest.param(["oRIGIN: null"], False, id="Origin null"),
        pytest.param(["Origin:"], False, id="an empty Origin"),
        pytest.param(["Origin: http://localhost:8080"], False, id="the listener's own Origin: no page comes from here"),
        pytest.param(["Sec-Fetch-Site: none"], True, id="typed in"),
        pytest.param(["Sec-Fetch-Site: Same-Origin"], True, id="the same origin"),
        pytest.param(["Sec-Fetch-Site: same-site"], False, id="the same site, another port"),
        pytest.param(["Sec-Fetch-Site: cross-site"], False, id="another site"),
        pytest.param(["Sec-Fetch-Site:"], False, id="an empty mark"),
        pytest.param(["Sec-Fetch-Site: none", "Sec-Fetch-Site: none"], False, id="two marks"),
    ],
)
def test_browsers(fields: list[str], passed: bool) -> None:
    head = request("GET / HTTP/1.1", LOCAL, *fields)
    assert passes(make_guard(TCP, False, None), head) is passed
    assert passes(make_guard(TCP, True, None), head), "allow_browsers"


# The key.


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        pytest.param(["X-Sidecar-Key: k3y"], True, id="right"),
        pytest.param(["x-sidecar-KEY:  k3y "], True, id="right in another spelling"),
        pytest.param([], False, id="missing"),
        pytest.param(["X-Sidecar-Key:"], False, id="empty"),
        pytest.param(["X-Sidecar-Key: K3y"], False, id="another case"),
        pytest.param(["X-Sidecar-Key: k3y "], True, id="space around it is no part of it"),
        pytest.param(["X-Sidecar-Key: k3yy"], False, id="longer"),
        pytest.param(["X-Sidecar-Key: \xff"], False, id="beyond ASCII"),
        pytest.param(["X-Sidecar-Key: k3y", "X-Sidecar-Key: k3y"], False, id="twice: callers send it once"),
        pytest.param(["X-Sidecar-Key: k3y", "x-sidecar-key: no"], False, id="right and wrong"),
        pytest.param(["X_Sidecar_Key: k3y"], False, id="a name that only looks alike"),
    ],
)
def test_the_key_of_callers(fields: list[str], passed: bool) -> None:
    assert passes(make_guard(TCP, False, KEY), request("GET / HTTP/1.1", LOCAL, *fields)) is passed


def test_a_key_with_a_comma_does_not_come_in_two_halves() -> None:
    guard = make_guard(TCP, False, RequireHeader("X-Key", Value("a, \xe4")))
    assert passes(guard, request("GET / HTTP/1.1", LOCAL, "X-Key: a, \xc3\xa4"))
    assert not passes(guard, request("GET / HTTP/1.1", LOCAL, "X-Key: a", "X-Key: \xc3\xa4"))


def test_a_refusal_says_nothing_of_the_key() -> None:
    head = request("GET / HTTP/1.1", LOCAL, "X-Sidecar-Key: guess")
    with pytest.raises(Refusal) as caught:
        check_caller(make_guard(TCP, False, KEY), head, b"localhost", frozenset())
    assert caught.value.name == "caller_denied"
    assert "k3y" not in str(caught.value)
    assert "guess" not in str(caught.value)


# `allow`.


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/", "/", True),
        ("/", "/a", False),
        ("/orders", "/orders", True),
        ("/orders", "/orders/", False),
        ("/orders", "/Orders", False),
        ("/orders/*", "/orders/1", True),
        ("/orders/*", "/orders/1/2", False),
        ("/orders/*", "/orders", False),
        ("/orders/*/lines", "/orders/1/lines", True),
        ("/orders/**", "/orders/1/2", True),
        ("/orders/**", "/orders/", True),
        ("/orders/**", "/orders", True),
        ("/orders/**", "/orders-old/1", False),
        ("/**", "/", True),
        ("/**/lines", "/lines", True),
        ("/**/lines", "/a/b/lines", True),
        ("/**/lines", "/a/b/lines/1", False),
        ("/a/**/b/**/c", "/a/b/c", True),
        ("/a/**/b/**/c", "/a/x/b/y/b/c", True),
        ("/a/**/b/**/c", "/a/x/c/b", False),
        ("/**/**", "/a", True),
        ("/v*/x", "/v1/x", True),
        ("/v*/x", "/v/x", True),
        ("/v*/x", "/w1/x", False),
        ("/*.json", "/a.json", True),
        ("/*.json", "/a/b.json", False),
        ("/a*b*c", "/abc", True),
        ("/a*b*c", "/axxbyyc", True),
        ("/a*b*c", "/axxcyyb", False),
        ("/ab*ba", "/aba", False),
        ("/a*aa*a", "/aaa", False),
        ("/a[b]?.c", "/a[b]%3F.c", True),
        ("/a[b]?.c", "/abx.c", False),
        ("/a b", "/a%20b", True),
        ("/é", "/%c3%A9", True),
        ("/é", "/é", True),
        ("/orders", "/%6frders", True),
        ("/orders", "/%256frders", False),
        ("/orders", "/orders;x=1", False),
        ("/orders/*", "/orders/1;x=1", True),
        ("/orders/*", "/orders/;x=1", False),
        ("/*.pdf", "/a.pdf;x=1.pdf", True),
        ("/*.pdf", "/secret;x=1.pdf", False),
        ("/*.pdf", "/secret%3Bx=1.pdf", False),
        ("/orders;v=*", "/orders;v=1", True),
        ("/*", "/a%2Fb", True),
    ],
)
def test_how_paths_are_matched(pattern: str, path: str, matches: bool) -> None:
    rules = compile_rules([Allow(paths=(pattern,))])
    assert is_allowed(rules, b"GET", path.encode()) is matches


def test_methods_are_exact_and_one_rule_must_match_as_a_whole() -> None:
    rules = compile_rules(
        [Allow(methods=("GET",), paths=("/a", "/b")), Allow(methods=("POST", "PUT")), Allow(paths=("/c",))]
    )
    for method, path, allowed in (
        (b"GET", b"/a", True),
        (b"GET", b"/b", True),
        (b"HEAD", b"/a", False),
        (b"get", b"/a", False),
        (b"PUT", b"/anything", True),
        (b"DELETE", b"/c", True),
        (b"GET", b"/d", False),
    ):
        assert is_allowed(rules, method, path) is allowed
    assert is_allowed((), b"DELETE", b"/anything"), "no rules: everything"
    assert is_allowed(compile_rules([Allow()]), b"DELETE", b"/anything"), "an empty rule: everything"


def _matches(pattern: list[str], path: list[str]) -> bool:
    """The definition, as recursion."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return _matches(pattern[1:], path) or bool(path and _matches(pattern, path[1:]))
    return bool(path) and _matches_text(pattern[0], path[0]) and _matches(pattern[1:], path[1:])


def _matches_text(part: str, text: str) -> bool:
    if part == "*":
        return bool(text)
    return _matches_stars(part, text)


def _matches_stars(part: str, text: str) -> bool:
    if not part:
        return not text
    if part[0] == "*":
        return _matches_stars(part[1:], text) or bool(text and _matches_stars(part, text[1:]))
    return text[:1] == part[0] and _matches_stars(part[1:], text[1:])


part_texts = st.text("ab*", max_size=5).filter(lambda part: "**" not in part)
parts = st.lists(part_texts | st.just("**"), min_size=1, max_size=6)
paths = st.lists(st.text("ab", max_size=5), min_size=1, max_size=6)


@given(parts, paths)
def test_matching_is_what_its_definition_says(pattern: list[str], path: list[str]) -> None:
    rules = compile_rules([Allow(paths=("/" + "/".join(pattern),))])
    assert is_allowed(rules, b"GET", ("/" + "/".join(path)).encode()) is _matches(pattern, path)


@pytest.mark.parametrize("pattern", ["/**/a" * 6 + "/b", "/" + "*a" * 20 + "b", "/**/*a*" * 6 + "/b"])
@pytest.mark.parametrize("unit", ["a", "/a"])
def test_a_long_path_is_matched_in_time(pattern: str, unit: str) -> None:
    rules = compile_rules([Allow(paths=(pattern,))])
    assert not is_allowed(rules, b"GET", ("/" + unit * (65536 // len(unit)) + "c").encode())
