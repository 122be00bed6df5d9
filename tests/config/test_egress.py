"""Which proxy a connection goes through: the key, the environment's variables, and what they leave out."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from proxy.config import from_flags
from proxy.config.egress import parse_proxy, parse_setting, proxy_for
from proxy.config.model import Egress, Proxy, Url, Value
from proxy.config.rules import base_url
from proxy.config.scalars import InvalidError
from proxy.config.values import A_VALUE
from proxy.errors import ConfigError
from tests.config.files import ENVIRON, load_data, problems, upstream, upstream_problems

PASSWORD = "pr0xy-passw0rd"
CORP = "http://proxy.corp:3128"
API = base_url("https://api.example.com/dev")


def _shown(proxy: Proxy | None) -> str | None:
    """A proxy with its credentials in clear."""
    if proxy is None:
        return None
    secret = proxy.authorization.reveal() if proxy.authorization else ""
    pair = base64.b64decode(secret.removeprefix("Basic ")).decode()
    return f"{proxy.scheme} {pair and pair + '@'}{proxy}"


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.corp:3128", "http proxy.corp:3128"),
        ("http://proxy.corp", "http proxy.corp:80"),
        ("https://proxy.corp/", "https proxy.corp:443"),
        ("HTTP://Proxy.Corp:3128/", "http proxy.corp:3128"),
        ("http://[FD00::1]:3128", "http [fd00::1]:3128"),
        ("http://10.1.2.3:8080", "http 10.1.2.3:8080"),
        ("http://user:pass@proxy.corp:3128", "http user:pass@proxy.corp:3128"),
        ("http://user@proxy.corp:3128", "http user:@proxy.corp:3128"),
        ("http://:@proxy.corp:3128", "http proxy.corp:3128"),
        ("http://@proxy.corp:3128", "http proxy.corp:3128"),
        # A domain's user, a password with everything that a URL would take for its own, and one beyond ASCII.
        ("http://CORP%5Cjoe:a%3Ab%40c%2F%25@proxy.corp:3128", "http CORP\\joe:a:b@c/%@proxy.corp:3128"),
        ("http://user:a:b@c@proxy.corp:3128", "http user:a:b@c@proxy.corp:3128"),
        ("http://user:p%C3%A4ss@proxy.corp:3128", "http user:päss@proxy.corp:3128"),
        ("http://user:päss@proxy.corp:3128", "http user:päss@proxy.corp:3128"),
    ],
)
def test_a_proxys_url(text: str, proxy: str) -> None:
    assert _shown(parse_proxy(text, "literal")) == proxy


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected the URL of a proxy such as http://proxy.example:3128"),
        ("proxy.corp", "expected the URL of a proxy such as"),
        ("socks5://u:{}@proxy.corp:1080", "that begins with http:// or https://"),
        ("http://", "the URL names no host"),
        ("http://u:{}@", "the URL names no host"),
        ("http://u:{}@proxy corp:3128", "contains a space"),
        ("http://u:{}\n@proxy.corp:3128", "contains a space, a line break or a control character"),
        ("http://u:{}%0d%0aX@proxy.corp:3128", "has a control character"),
        ("http://u%3Av:{}@proxy.corp:3128", "a user name with a colon"),
        ("http://u:{}@proxy.corp:0", "expected a port from 1 to 65535"),
        ("http://u:{}@proxy.corp:x", "expected a port"),
        ("http://u:{}@fd00::1:3128", "expected an IPv6 address in brackets"),
        ("http://u:{}@-proxy:3128", "expected a host name"),
        ("http://u:{}@proxy.corp:3128/path", "has no place in the URL of a proxy"),
        ("http://u:{}@proxy.corp:3128?query", "has no place in the URL of a proxy"),
        ("http://u/{}@proxy.corp:3128", "percent-encode / ? # in the user name and password"),
    ],
)
def test_what_is_no_proxys_url(text: str, problem: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_proxy(text.format(PASSWORD), "literal")
    assert problem in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_no_representation_shows_the_credentials() -> None:
    egress = parse_setting(Value(f"http://user:{PASSWORD}@proxy.corp:3128", "env EGRESS"))
    encoded = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    for text in (repr(egress), str(egress), str(egress.upstream)):
        assert PASSWORD not in text
        assert encoded not in text
    assert str(egress.upstream) == "proxy.corp:3128"


def test_the_key() -> None:
    assert parse_setting(Value("none")) == Egress(None, None)
    proxy = Proxy("http", "proxy.corp", 3128)
    assert parse_setting(Value(CORP)) == Egress(proxy, proxy)
    with pytest.raises(InvalidError, match="expected none, or the URL of a proxy"):
        parse_setting(Value("proxy.corp:3128"))


# The environment

OTHER = "http://other.corp:3128"


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        ({}, None),
        ({"HTTPS_PROXY": CORP}, "proxy.corp"),
        ({"https_proxy": CORP}, "proxy.corp"),
        ({"https_proxy": CORP, "HTTPS_PROXY": OTHER}, "proxy.corp"),
        ({"https_proxy": "", "HTTPS_PROXY": OTHER}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": " "}, None),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, "proxy.corp"),
        ({"HTTPS_PROXY": "user:pass@proxy.corp:3128"}, "proxy.corp"),
        ({"HTTP_PROXY": OTHER}, None),
        ({"ALL_PROXY": OTHER}, None),
        ({"HTTPS_PROXY": CORP, "REQUEST_METHOD": "GET"}, "proxy.corp"),
    ],
)
def test_the_variables_for_https(environ: dict[str, str], used: str | None) -> None:
    proxy = proxy_for(API, environ)
    assert (proxy and proxy.host) == used


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        ({"HTTP_PROXY": CORP}, "proxy.corp"),
        ({"http_proxy": CORP, "HTTP_PROXY": OTHER}, "proxy.corp"),
        ({"HTTPS_PROXY": OTHER}, None),
        # A CGI's caller could have written the first, and not the second.
        ({"HTTP_PROXY": CORP, "REQUEST_METHOD": "GET"}, None),
        ({"http_proxy": CORP, "REQUEST_METHOD": "GET"}, "proxy.corp"),
    ],
)
def test_the_variables_for_http(environ: dict[str, str], used: str | None) -> None:
    proxy = proxy_for(base_url("http://api.example.com"), environ)
    assert (proxy and proxy.host) == used


@pytest.mark.parametrize(
    ("url", "no_proxy", "straight"),
    [
        ("https://api.example.com", "", False),
        ("https://api.example.com", "*", True),
        ("https://api.example.com", " * ", True),
        ("https://api.example.com", "example.com", True),
        ("https://api.example.com", ".example.com", True),
        ("https://api.example.com", "*.example.com", True),
        ("https://api.example.com", "EXAMPLE.com.", True),
        ("https://api.example.com.", "example.com", True),
        ("https://example.com", "example.com", True),
        ("https://badexample.com", "example.com", False),
        ("https://api.example.com", "other.test, example.com", True),
        ("https://api.example.com", "other.test example.com", True),
        ("https://api.example.com", ",,", False),
        ("https://api.example.com", "api.example.com:443", True),
        ("https://api.example.com:8443", "api.example.com:443", False),
        ("https://api.example.com:8443", "example.com:8443", True),
        ("https://api.example.com:8443", "example.com", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.9/24", True),
        ("https://10.1.2.3", "192.168.0.0/16", False),
        ("https://10.1.2.3", "fd00::/8", False),
        ("https://10.1.2.3:8443", "10.1.2.3:8443", True),
        ("https://[fd00::1]", "fd00:0::1", True),
        ("https://[fd00::1]", "[fd00::1]", True),
        ("https://[fd00::1]:8443", "[fd00::1]:8443", True),
        ("https://[fd00::1]:8443", "[fd00::1]:443", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fe80::1]", "fd00::/8", False),
        # Loopback needs no entry.
        ("https://localhost:8443", "", True),
        ("https://127.0.0.1:8443", "", True),
        ("https://[::1]:8443", "", True),
    ],
)
def test_what_no_proxy_leaves_out(url: str, no_proxy: str, straight: bool) -> None:
    assert (proxy_for(base_url(url), {"HTTPS_PROXY": CORP, "NO_PROXY": no_proxy}) is None) is straight


def test_no_proxy_in_lower_case_goes_first() -> None:
    environ = {"HTTPS_PROXY": CORP, "NO_PROXY": "example.com", "no_proxy": "other.test"}
    assert proxy_for(API, environ) is not None
    assert proxy_for(API, {"HTTPS_PROXY": CORP, "NO_PROXY": "example.com", "no_proxy": ""}) is not None
    assert proxy_for(API, {"HTTPS_PROXY": CORP, "no_proxy": "example.com"}) is None


def test_a_bad_variable_is_named_and_not_quoted() -> None:
    environ = {"https_proxy": f"socks5://user:{PASSWORD}@proxy.corp"}
    with pytest.raises(InvalidError) as caught:
        proxy_for(API, environ)
    assert str(caught.value).startswith("environment variable https_proxy: expected the URL of a proxy that begins")
    assert PASSWORD not in str(caught.value)
    # One that is not used may be as bad as it likes.
    assert proxy_for(Url("https", "localhost", 443, ""), environ) is None


# In a configuration


def _egress(folder: Path, environ: dict[str, str] | None = None, **changes: object) -> Egress | None:
    loaded = load_data(folder, {"upstreams": {"orders": upstream(**changes)}}, ENVIRON | (environ or {}))
    return loaded.config.upstreams["orders"].egress_proxy


def test_by_default_there_is_none(tmp_path: Path) -> None:
    assert not any(_egress(tmp_path) or ())
    assert not any(_egress(tmp_path, egress_proxy=None) or ())


def test_the_environment_is_read_for_each_url(tmp_path: Path) -> None:
    proxy = Proxy("http", "proxy.corp", 3128)
    environ = {"HTTPS_PROXY": CORP, "NO_PROXY": "api.example.com"}
    assert _egress(tmp_path, {"HTTPS_PROXY": CORP}) == Egress(proxy, proxy)
    assert _egress(tmp_path, environ) == Egress(None, proxy)
    assert _egress(tmp_path, environ, egress_proxy="none") == Egress(None, None)


def test_the_key_is_for_all_connections(tmp_path: Path) -> None:
    environ = {"HTTPS_PROXY": OTHER, "NO_PROXY": "*"}
    found = _egress(tmp_path, environ, egress_proxy=CORP, url="https://127.0.0.1:8443")
    assert found == Egress(Proxy("http", "proxy.corp", 3128), Proxy("http", "proxy.corp", 3128))


def test_the_key_may_come_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "egress").write_text(f"http://user:{PASSWORD}@proxy.corp:3128\n")
    found = _egress(tmp_path, egress_proxy={"file": "egress"})
    assert found is not None
    assert _shown(found.token) == f"http user:{PASSWORD}@proxy.corp:3128"
    assert _egress(tmp_path, {"EGRESS": "none"}, egress_proxy={"env": "EGRESS"}) == Egress()


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("proxy.corp:3128", "egress_proxy: expected none, or the URL of a proxy such as http://proxy.example:3128"),
        ("", "egress_proxy: expected none, or the URL of a proxy such as http://proxy.example:3128"),
        (False, f"egress_proxy: expected {A_VALUE}, got true or false"),
        ({"env": "EGRESS"}, "egress_proxy: environment variable EGRESS is not set"),
    ],
)
def test_problems_of_the_key(tmp_path: Path, raw: object, problem: str) -> None:
    [found] = upstream_problems(tmp_path, egress_proxy=raw)
    assert found.startswith(problem)


def test_a_bad_variable_is_one_problem_among_the_others(tmp_path: Path) -> None:
    data = {
        "upstreams": {
            "orders": upstream(retry_on_401="maybe"),
            "bills": upstream(listen="127.0.0.1:8081"),
            "broken": upstream(listen="127.0.0.1:8082", url="nonsense"),
            "own": upstream(listen="127.0.0.1:8083", egress_proxy="none"),
        }
    }
    found = problems(tmp_path, data, ENVIRON | {"HTTPS_PROXY": f"http://u:{PASSWORD}@"})
    assert len(found) == 3
    assert "upstreams.orders.egress_proxy: environment variable HTTPS_PROXY: the URL names no host" in found


def test_without_a_file_no_key_is_named() -> None:
    environ = {"COGNITO_SIDECAR_CLIENT_SECRET": "s", "HTTPS_PROXY": "socks5://proxy.corp"}
    with pytest.raises(ConfigError) as caught:
        from_flags("https://api.example.com", "https://login.example.com/oauth2/token", "id", environ=environ)
    [problem] = caught.value.problems
    assert problem.startswith("egress proxy: environment variable HTTPS_PROXY: ")


def test_another_proxy_is_another_configuration(tmp_path: Path) -> None:
    data = {"upstreams": {"orders": upstream()}}
    proxies = [{}, {"HTTPS_PROXY": CORP}, {"HTTPS_PROXY": OTHER}, {"HTTPS_PROXY": "http://user:pass@proxy.corp:3128"}]
    hashes = {load_data(tmp_path, data, ENVIRON | environ).hash for environ in proxies}
    assert len(hashes) == len(proxies)
