"""URLs, prefixes, path patterns, host names and credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import rules
from proxy.config.model import Url
from proxy.config.scalars import InvalidError


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("HTTPS://API.Example.com:443/dev/", "https://api.example.com/dev"),
        ("http://127.0.0.1:8080/a/b", "http://127.0.0.1:8080/a/b"),
        ("https://[0::1]:8443/x", "https://[::1]:8443/x"),
        ("https://[::1]", "https://[::1]"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://svc_a.ns.svc.cluster.local.:8443", "https://svc_a.ns.svc.cluster.local.:8443"),
        ("https://a/b%20c;v=1", "https://a/b%20c;v=1"),
    ],
)
def test_base_urls(text: str, written: str) -> None:
    assert str(rules.base_url(text)) == written


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://a/oauth2/token", Url("https", "a", 443, "/oauth2/token")),
        ("https://a/oauth2/token/", Url("https", "a", 443, "/oauth2/token/")),
        ("http://localhost:9229/t?p=1&q=%2F", Url("http", "localhost", 9229, "/t?p=1&q=%2F")),
        ("https://a", Url("https", "a", 443, "/")),
        ("https://a?p", Url("https", "a", 443, "/?p")),
    ],
)
def test_token_urls_keep_path_and_query(text: str, url: Url) -> None:
    assert rules.token_url(text) == url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("api.example.com", "expected a URL such as"),
        ("", "expected a URL such as"),
        ("https:/a", "expected a URL such as"),
        ("https://a\\b", "must be percent-encoded"),
        ("ftp://a", "begins with https:// or http://"),
        ("https://", "names no host"),
        ("https://:443", "names no host"),
        ("https://user:pass@a", "user name or password"),
        ("https://user@a", "user name or password"),
        ("https://a/b?c", "a query has no place"),
        ("https://a/b#c", "a fragment"),
        ("https://a b", "a space"),
        ("https://a/\n", "a line break"),
        ("https://a/\tb", "a control character"),
        ("https://a:0", "port from 1 to 65535"),
        ("https://a:", "port from 1 to 65535"),
        ("https://a:x", "port from 1 to 65535"),
        ("https://[::1]:99999", "port from 1 to 65535"),
        ("https://::1", "in brackets"),
        ("https://[::1", "in brackets"),
        ("https://[::1]x", "in brackets"),
        ("https://[a]", "IPv6 address between"),
        ("https://[fe80::1%25eth0]", "IPv6 address"),
        ("https://[fe80::1%eth0]", "without a zone"),
        ("https://1.2.3", "in full"),
        ("https://a..b", "a host name"),
        ("https://" + "a" * 64, "a host name"),
        ("https://ü..b", "international"),
        ("https://a%2eb", "a host name"),
        ("https://a/b/../c", ". or .. segment"),
        ("https://a/b/%2E%2e/c", ". or .. segment"),
        ("https://a/..;x/c", ". or .. segment"),
        ("https://a/b%2Fc", "encoded slash"),
        ("https://a/b%5Cc", "backslash"),
        ("https://a/b%00c", "control character"),
        ("https://a/b//c", "empty segment"),
        ("https://a/b%zz", "must be percent-encoded"),
        ("https://a/bücher", "must be percent-encoded"),
    ],
)
def test_what_is_no_base_url(text: str, why: str) -> None:
    with pytest.raises(InvalidError) as caught:
        rules.base_url(text)
    assert why in str(caught.value)


def test_the_query_of_a_token_url_is_checked() -> None:
    with pytest.raises(InvalidError, match="query of the URL"):
        rules.token_url("https://a/b?ü")


@given(st.text())
def test_any_text_is_a_url_or_a_problem(text: str) -> None:
    for kind in (rules.base_url, rules.token_url):
        try:
            url = kind("https://" + text)
        except InvalidError:
            continue
        assert kind(str(url)) == url


@pytest.mark.parametrize(
    ("text", "kept"), [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a/b.c", "/a/b.c"), ("/a-b_c~d", "/a-b_c~d")]
)
def test_prefixes(text: str, kept: str) -> None:
    assert rules.prefix(text) == kept


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with a slash"),
        ("a", "begins with a slash"),
        ("/a?b", "a query"),
        ("/a#b", "a query or fragment"),
        ("/a b", "plain characters"),
        ("/a%20b", "plain characters"),
        ("/ä", "plain characters"),
        ("/a\n", "plain characters"),
        ("/..", ". and .. segments"),
        ("/a/../b", ". and .. segments"),
        ("/./", ". and .. segments"),
        ("/..;x/", ". and .. segments"),
        ("//", "empty segment"),
        ("/a//b", "empty segment"),
        ("/a//", "empty segment"),
    ],
)
def test_what_is_no_prefix(text: str, why: str) -> None:
    with pytest.raises(InvalidError) as caught:
        rules.prefix(text)
    assert why in str(caught.value)


@pytest.mark.parametrize("text", ["/", "/*", "/**", "/orders/*/items/**", "/a*b", "/ü b", "/100%"])
def test_path_patterns(text: str) -> None:
    assert rules.path_pattern(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("orders", "begins with a slash"),
        ("*", "begins with a slash"),
        ("/a\nb", "control characters"),
        ("/a?b=c", "leave the query out"),
        ("/a#b", "leave the query out"),
        ("/a%20b", "write the character itself"),
        ("/a/../b", "never forwarded"),
        ("/a/.", "never forwarded"),
        ("/a**", "whole segments"),
        ("/***", "whole segments"),
    ],
)
def test_what_is_no_path_pattern(text: str, why: str) -> None:
    with pytest.raises(InvalidError) as caught:
        rules.path_pattern(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("*", "*"),
        ("Orders.Local", "orders.local"),
        ("10.0.0.1", "10.0.0.1"),
        ("[FD00::1]", "[fd00::1]"),
        ("fd00::1", "[fd00::1]"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_hosts_are_kept_as_a_host_field_has_them(text: str, kept: str) -> None:
    assert rules.host_pattern(text) == kept


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("orders:8080", "without a port"),
        ("[::1]:80", "without a port"),
        ("[::1", "without a port"),
        ("*.example.com", "is a wildcard"),
        ("https://orders", "without scheme"),
        ("", "a host name"),
        ("a b", "a host name"),
    ],
)
def test_what_is_no_host(text: str, why: str) -> None:
    with pytest.raises(InvalidError) as caught:
        rules.host_pattern(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(("text", "kept"), [("API.example", "api.example"), ("::1", "::1"), ("10.0.0.1", "10.0.0.1")])
def test_server_names(text: str, kept: str) -> None:
    assert rules.host_name(text) == kept


def test_credentials_may_hold_anything_that_is_printable() -> None:
    assert rules.credential(":/+ %&ü€\U0001f511") == ":/+ %&ü€\U0001f511"


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "a\x7f", "a\x85b", "\udce4", "a\u2028b", ""])
def test_credentials_without_line_breaks(text: str) -> None:
    with pytest.raises(InvalidError):
        rules.credential(text)
    with pytest.raises(InvalidError):
        rules.caller_key(text)


def test_header_values() -> None:
    assert rules.header_value("") == ""
    assert rules.header_value("a\tb ü") == "a\tb ü"
    assert rules.caller_key("key") == "key"
    for bad in (" a", "a ", "\ta", "a\r\nb: c", "a\0"):
        with pytest.raises(InvalidError):
            rules.header_value(bad)


@pytest.mark.parametrize(
    "text",
    [
        "redis://127.0.0.1:6379",
        "redis://cache",
        "redis://cache:6379/",
        "rediss://cache.internal:6380/2",
        "unix:///run/valkey.sock",
        "redis+cluster://cache:7000",
        "rediss+cluster://cache:7000/",
        "redis+sentinel://a:26379,b,c:1/mymaster",
        "rediss+sentinel://a/my-master.1/3",
    ],
)
def test_where_a_cache_is(text: str) -> None:
    assert rules.cache_url(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cache:6379", "expected redis://HOST:PORT"),
        ("http://cache", "expected redis://HOST:PORT"),
        ("redis://", "expected redis://HOST:PORT"),
        ("redis://a,b", "expected redis://HOST:PORT"),
        ("redis://cache/name", "expected redis://HOST:PORT"),
        ("redis://cache?ssl_cert_reqs=none", "expected redis://HOST:PORT"),
        ("redis+cluster://cache/1", "expected redis://HOST:PORT"),
        ("redis+sentinel://a:26379", "expected redis://HOST:PORT"),
        ("unix://relative", "expected redis://HOST:PORT"),
        ("redis://cache:port", "expected a port from 1 to 65535"),
        ("redis://cache:70000", "expected a port from 1 to 65535"),
        ("redis+sentinel://a:26379,b:0/mymaster", "expected a port from 1 to 65535"),
        ("rediss://[::1", "expected an IPv6 address in brackets"),
        ("redis://user:secret@cache", "user name and password have keys of their own"),
    ],
)
def test_what_is_no_cache(text: str, why: str) -> None:
    with pytest.raises(InvalidError, match=why) as caught:
        rules.cache_url(text)
    assert "secret" not in str(caught.value)
