"""Targets: their forms, and every spelling that another reader may take for another path."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forward.http1 import BadMessage
from proxy.forward.target import Target, below_prefix, check_spelling, split_authority, split_target


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        pytest.param(b"GET", b"/", Target(None, b"/", b""), id="a path"),
        pytest.param(b"GET", b"/a/b?c?d=/e", Target(None, b"/a/b", b"?c?d=/e"), id="a query begins at the first mark"),
        pytest.param(b"GET", b"/a?", Target(None, b"/a", b"?"), id="an empty query stays one"),
        pytest.param(b"GET", b"//a/b", Target(None, b"//a/b", b""), id="two slashes are a path here, no authority"),
        pytest.param(b"GET", b"/%2F\xff#x", Target(None, b"/%2F\xff#x", b""), id="as written"),
        pytest.param(b"OPTIONS", b"*", Target(None, b"*", b""), id="the asterisk form (§3.2.4)"),
        pytest.param(b"GET", b"http://h:1/a?b", Target(b"h:1", b"/a", b"?b"), id="the absolute form (§3.2.2)"),
        pytest.param(b"GET", b"HTTP://H/a", Target(b"H", b"/a", b""), id="a scheme in capitals"),
        pytest.param(b"GET", b"http://h", Target(b"h", b"/", b""), id="a bare origin is its root"),
        pytest.param(b"GET", b"http://h?b", Target(b"h", b"/", b"?b"), id="a bare origin with a query"),
        pytest.param(b"OPTIONS", b"http://h", Target(b"h", b"*", b""), id="OPTIONS of a bare origin (§3.2.4)"),
        pytest.param(b"OPTIONS", b"http://h?b", Target(b"h", b"/", b"?b"), id="OPTIONS of a query"),
        pytest.param(b"OPTIONS", b"http://h/", Target(b"h", b"/", b""), id="OPTIONS of the root"),
        pytest.param(b"GET", b"http:///a", Target(b"", b"/a", b""), id="no authority: no listener has that name"),
        pytest.param(b"GET", b"http://u@h/a", Target(b"u@h", b"/a", b""), id="userinfo stays in sight"),
    ],
)
def test_targets_that_are_read(method: bytes, target: bytes, expected: Target) -> None:
    assert split_target(target, method) == expected


@pytest.mark.parametrize(
    ("method", "target"),
    [
        pytest.param(b"GET", b"*", id="* for another method (§3.2.4)"),
        pytest.param(b"OPTIONS", b"*?a", id="* with a query"),
        pytest.param(b"GET", b"a/b", id="a relative path"),
        pytest.param(b"GET", b"?a", id="a query alone"),
        pytest.param(b"GET", b"#a", id="a fragment alone"),
        pytest.param(b"GET", b"\\a", id="a backslash for the slash"),
        pytest.param(b"GET", b"%2Fa", id="an encoded slash"),
        pytest.param(b"GET", b"h:443", id="the authority form, which is CONNECT's (§3.2.3)"),
        pytest.param(b"GET", b"https://h/a", id="TLS inside of HTTP"),
        pytest.param(b"GET", b"ftp://h/a", id="another scheme"),
        pytest.param(b"GET", b"file:///etc/passwd", id="a file"),
        pytest.param(b"GET", b"http:/a", id="one slash"),
        pytest.param(b"GET", b"://h/a", id="no scheme"),
        pytest.param(b"GET", b"1http://h/a", id="a scheme that begins with a digit"),
        pytest.param(b"GET", b"http://h#a", id="a fragment in the path's place"),
        pytest.param(b"GET", b"http://h#/../a", id="a fragment that hides a path"),
    ],
)
def test_targets_that_are_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(BadMessage):
        split_target(target, method)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        (b"localhost", b"localhost"),
        (b"LocalHost:8080", b"localhost"),
        (b"localhost:", b"localhost"),
        (b"127.0.0.1:1", b"127.0.0.1"),
        (b"[::1]", b"[::1]"),
        (b"[FE80::1]:8080", b"[fe80::1]"),
        (b"[::ffff:127.0.0.1]", b"[::ffff:127.0.0.1]"),
        (b"local%68ost", b"local%68ost"),
        (b"localhost.", b"localhost."),
        (b"", b""),
        (b":8080", b""),
    ],
)
def test_the_host_of_an_authority(authority: bytes, host: bytes) -> None:
    assert split_authority(authority) == host


@pytest.mark.parametrize(
    "authority",
    [
        pytest.param(b"user@localhost", id="userinfo"),
        pytest.param(b"user:secret@localhost", id="userinfo with a password"),
        pytest.param(b"localhost@evil.test", id="userinfo that looks like the host"),
        pytest.param(b"evil.test#localhost", id="a fragment"),
        pytest.param(b"localhost/x", id="a path"),
        pytest.param(b"localhost?x", id="a query"),
        pytest.param(b"localhost\\x", id="a backslash"),
        pytest.param(b"localhost:80:80", id="two ports"),
        pytest.param(b"localhost:http", id="a port by name"),
        pytest.param(b"localhost:+80", id="a port with a sign"),
        pytest.param(b"localhost:123456", id="a port of six digits"),
        pytest.param(b"localhost evil.test", id="a space"),
        pytest.param(b"::1", id="an IPv6 address without brackets"),
        pytest.param(b"[::1", id="one bracket"),
        pytest.param(b"[::1]x", id="something after the bracket"),
        pytest.param(b"[localhost]", id="a name in brackets"),
        pytest.param(b"[fe80::1%25eth0]", id="a zone"),
        pytest.param(b"caf\xc3\xa9", id="a name beyond ASCII"),
        pytest.param(b"localhost\n", id="a line feed at the end"),
    ],
)
def test_authorities_that_are_refused(authority: bytes) -> None:
    with pytest.raises(BadMessage):
        split_authority(authority)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(b"/", id="the root"),
        pytest.param(b"/orders/1", id="the usual one"),
        pytest.param(b"/orders/", id="a slash at the end"),
        pytest.param(b"//orders//1", id="empty segments"),
        pytest.param(b"/a.b/c..d/e..", id="dots inside of a segment"),
        pytest.param(b"/.well-known/x", id="a dot first"),
        pytest.param(b"/...", id="three dots"),
        pytest.param(b"/..a/.b;c", id="dots before a letter"),
        pytest.param(b"/a;v=1/b;/;", id="parameters"),
        pytest.param(b"/a;../b", id="dots in a parameter"),
        pytest.param(b"/caf%C3%A9/%e2%82%ac/%F0%9F%98%80", id="UTF-8 of two, three and four bytes"),
        pytest.param(b"/caf\xe9", id="Latin-1 as it comes"),
        pytest.param(b"/%20a%3F%23%25", id="encoded characters that are no separators"),
        pytest.param(b"/%252e%252e/%252F", id="encoded twice: decoded once it is no dot and no slash"),
        pytest.param(b"/a\"<>^`{|}'", id="odd but unmistakable"),
        pytest.param(b"/%ed%a0%80", id="a surrogate is odd, but not another spelling of anything"),
    ],
)
def test_spellings_that_mean_one_thing(path: bytes) -> None:
    check_spelling(path)


@pytest.mark.parametrize(
    "path",
    [
        *(b"/..", b"/.", b"/../", b"/./", b"/a/../b", b"/a/./b", b"/a/..", b"/a/.", b"//..", b"/../../a"),
        *(b"/%2e%2e/a", b"/%2E%2e", b"/.%2e/a", b"/%2e./a", b"/%2e", b"/a/%2E/b", b"/a/%2e%2E"),
        *(b"/..;/a", b"/..;x=1/a", b"/.;/a", b"/%2e%2e;x/a", b"/..%3b/a", b"/%2e%2e%3Bx", b"/..;x;y", b"/.;.."),
        *(b"/a%2fb", b"/a%2Fb", b"/..%2f", b"/%2f..", b"/a%5cb", b"/a%5Cb", b"/a\\b", b"/..\\a", b"/%5c.."),
        *(b"/a#b", b"/#", b"/#/../a", b"/a%00", b"/%00", b"/a%00/../b", b"/a%0a", b"/a%0D", b"/a%1f", b"/%09"),
        *(b"/%", b"/%2", b"/%zz", b"/%%32e", b"/%2/", b"/a%", b"/%u002e", b"/%-1", b"/% 1"),
        *(b"/%c0%ae%c0%ae/a", b"/%C0%AF", b"/%c1%9c", b"/%e0%80%ae", b"/%e0%9f%bf", b"/%f0%80%80%af", b"/%f0%8f%bf%bf"),
        *(b"/%f8%80%80%80%af", b"/%fc%80%80%80%80%af", b"/\xc0\xae\xc0\xae/", b"/%c0\xae", b"/\xc0%ae"),
        *(b"/a/\x00", b"/a\x7f", b"/a%7F"),
    ],
)
def test_spellings_that_are_refused(path: bytes) -> None:
    with pytest.raises(BadMessage):
        check_spelling(path)


segments = st.lists(
    st.sampled_from(
        [b".", b"..", b"%2e", b"%2E", b";", b"%3b", b"a", b"%61", b"x=1", b"/", b"%252e", b"~", b"%c3%a9", b"@", b"-"]
    ),
    max_size=8,
).map(b"".join)


@given(segments)
def test_a_path_passes_only_if_it_has_no_dot_segment_once_decoded(rest: bytes) -> None:
    """Against the definition, spelled out: decode once, split, take parameters off, look."""
    path = b"/" + rest
    dots = any(part.split(b";")[0] in (b".", b"..") for part in unquote_to_bytes(path).split(b"/"))
    if dots:
        with pytest.raises(BadMessage):
            check_spelling(path)
    else:
        check_spelling(path)


@given(st.binary(max_size=24))
def test_what_passes_holds_nothing_that_another_reader_splits(noise: bytes) -> None:
    path = b"/" + noise
    try:
        check_spelling(path)
    except BadMessage:
        return
    decoded = unquote_to_bytes(path)
    assert decoded.count(b"/") == path.count(b"/")
    assert not {0, 0x23, 0x5C, 0x7F, *range(0x20)} & {*path}
    assert not {0, 0x5C, 0x7F, *range(0x20)} & {*decoded}


@pytest.mark.parametrize("unit", [b"/a", b"/", b"/.", b"/..", b"%", b"%2", b"/a.", b";", b"\xe0", b"/a;", b"%41"])
def test_a_long_path_takes_no_long_look(unit: bytes) -> None:
    path = b"/" + unit * (65536 // len(unit))
    for ending in (b"", b"\0", b"\n"):
        for look in (check_spelling, split_authority, lambda text: split_target(b"http://" + text, b"GET")):
            try:
                look(path + ending)
            except BadMessage:
                pass


@pytest.mark.parametrize(
    ("path", "prefix", "rest"),
    [
        (b"/a", b"", b"/a"),
        (b"*", b"", b"*"),
        (b"/api", b"/api", b"/"),
        (b"/api/", b"/api", b"/"),
        (b"/api/x//y", b"/api", b"/x//y"),
        (b"/api//x", b"/api", b"//x"),
        (b"/apix", b"/api", None),
        (b"/api.x", b"/api", None),
        (b"/api;x", b"/api", None),
        (b"/API/x", b"/api", None),
        (b"/%61pi/x", b"/api", None),
        (b"//api/x", b"/api", None),
        (b"/x/api", b"/api", None),
        (b"/", b"/api", None),
        (b"*", b"/api", None),
        (b"", b"/api", None),
    ],
)
def test_what_is_left_below_a_prefix(path: bytes, prefix: bytes, rest: bytes | None) -> None:
    assert below_prefix(path, prefix) == rest
