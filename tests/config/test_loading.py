"""A configuration that loads: its values and defaults, its hash, its files; from a file and from flags."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.config import from_flags, load
from proxy.config.loading import SECRET as VARIABLE
from proxy.config.model import Address, Auth, Config, Upstream, Url, Value
from proxy.errors import ConfigError
from proxy.socketfile import Access
from tests.config.files import ENVIRON, SECRET, load_data, upstream, write

WHOLE = """
upstreams:
  orders:
    listen: "[::1]:8443"
    prefix: /api/
    url: HTTPS://API.example.com:8443/dev/
    auth:
      token_url: http://127.0.0.1:9229/oauth2/token
      client_id: {env: CLIENT_ID}
      client_secret: [{env: CLIENT_SECRET}, second]
      scopes: [a/b, a/c]
      method: post
      extra_params: {audience: x}
      header: X-Token
      scheme: ""
      refresh_at: 1
      refresh_jitter: 0
      idle_after: 5m
      request_timeout: 2
      wait: 0
    required: no
    allow: [{methods: [GET, M-SEARCH], paths: [/orders/**]}, {}]
    hosts: [Orders.Local, "*"]
    headers: {set: {X-Api-Key: {env: CLIENT_ID}}, remove: [Cookie]}
    retry_on_401: false
    replay_limit: 0
    max_body: 10MiB
    timeouts: {connect: 250ms, response: 1h, idle: "7"}
    pool: {max_connections: 1, keepalive: 0s}
allow_remote_clients: true
allow_browsers: true
require_header: {name: X-Key, value: k}
admin: {listen: "0.0.0.0:0"}
log: {format: json, level: debug, access: yes}
shutdown: {delay: 1s, grace: 0}
"""


def test_every_key(tmp_path: Path) -> None:
    config = load_data(tmp_path, WHOLE).config
    orders = config.upstreams["orders"]
    assert orders.listen == Address("::1", 8443)
    assert orders.prefix == "/api"
    assert orders.url == Url("https", "api.example.com", 8443, "/dev")
    auth = orders.auth
    assert auth.token_url == Url("http", "127.0.0.1", 9229, "/oauth2/token")
    assert [value.reveal() for value in (auth.client_id, *auth.client_secret)] == ["the-id", SECRET, "second"]
    assert (auth.scopes, auth.method, auth.extra_params) == (("a/b", "a/c"), "post", {"audience": Value("x")})
    assert (auth.header, auth.scheme) == ("X-Token", "")
    assert (auth.refresh_at, auth.refresh_jitter) == (1.0, 0.0)
    assert [float(auth.idle_after), float(auth.request_timeout), float(auth.wait)] == [300, 2, 0]
    assert orders.required is False
    assert [(rule.methods, rule.paths) for rule in orders.allow] == [(("GET", "M-SEARCH"), ("/orders/**",)), ((), ())]
    assert orders.hosts == ("orders.local", "*")
    assert orders.headers.set == {"X-Api-Key": Value("the-id")}
    assert orders.headers.remove == ("Cookie",)
    assert (orders.retry_on_401, orders.replay_limit, orders.max_body) == (False, 0, 10 << 20)
    timeouts = orders.timeouts
    assert [float(timeouts.connect), float(timeouts.response), float(timeouts.idle)] == [0.25, 3600, 7]
    assert [orders.pool.max_connections, float(orders.pool.keepalive)] == [1, 0]
    assert config.require_header is not None
    assert (config.require_header.name, config.require_header.value.reveal()) == ("X-Key", "k")
    assert (config.allow_remote_clients, config.allow_browsers) == (True, True)
    assert config.admin.listen == Address("0.0.0.0", 0)
    assert (config.log.format, config.log.level, config.log.access) == ("json", "debug", True)
    assert [float(config.shutdown.delay), float(config.shutdown.grace)] == [1, 0]


def test_a_unix_socket_with_its_permissions(tmp_path: Path) -> None:
    listen = {"unix": "/run/orders.sock", "mode": "0620", "owner": 0, "group": "1000"}
    data = {"upstreams": {"orders": upstream(listen=listen)}, "admin": {"listen": {"unix": "/run/admin.sock"}}}
    config = load_data(tmp_path, data).config
    orders, admin = config.upstreams["orders"].listen, config.admin.listen
    assert (orders, str(orders)) == (Address("", 0, "/run/orders.sock"), "unix:/run/orders.sock")
    assert orders.access == Access(0o620, 0, 1000)
    assert (admin, admin.access, admin.access.permissions) == (Address("", 0, "/run/admin.sock"), Access(), 0o600)


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    config = load_data(tmp_path, {"upstreams": {"orders": upstream()}}).config
    token_url = Url("https", "login.example.com", 443, "/oauth2/token")
    auth = Auth(token_url=token_url, client_id=Value("the-id"), client_secret=(Value(SECRET),))
    url = Url("https", "api.example.com", 443, "/dev")
    assert config == Config(upstreams={"orders": Upstream(listen=Address("127.0.0.1", 8080), url=url, auth=auth)})


def test_the_order_of_upstreams_is_that_of_the_file(tmp_path: Path) -> None:
    data = {"upstreams": {name: upstream(prefix=f"/{name}") for name in ("z", "a", "m")}}
    assert list(load_data(tmp_path, data).config.upstreams) == ["z", "a", "m"]


def test_anchors_share_what_upstreams_have_in_common(tmp_path: Path) -> None:
    text = """
upstreams:
  a: &a
    listen: 127.0.0.1:8080
    url: https://a.example
    auth: {token_url: https://t.example/t, client_id: a, client_secret: b}
  b: {<<: *a, listen: 127.0.0.1:8081}
"""
    upstreams = load_data(tmp_path, text).config.upstreams
    assert upstreams["a"].auth == upstreams["b"].auth
    assert upstreams["b"].listen.port == 8081


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    def hash_of(content: str = "one", environ: str = "id", comment: str = "") -> str:
        (tmp_path / "secret").write_text(content)
        data = {"upstreams": {"orders": upstream(auth__client_secret={"file": "secret"})}}
        path = write(tmp_path, data)
        path.write_text(path.read_text() + comment)
        return load(str(path), environ={"CLIENT_ID": environ}).hash

    first = hash_of()
    assert len(first) == 12
    assert int(first, 16) >= 0
    assert hash_of() == first
    assert len({first, hash_of(content="two"), hash_of(environ="id2"), hash_of(comment="# x")}) == 4
    # Two values next to each other are not one text: ("i", "done") is not ("id", "one").
    assert hash_of(content="done", environ="i") != hash_of(content="one", environ="id")


def test_files_to_watch(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    data = {"upstreams": {"orders": upstream(auth__client_id={"file": "a"}, auth__client_secret={"file": "a"})}}
    expected = (str(tmp_path / "config.yaml"), str(tmp_path / "a"))
    assert load_data(tmp_path, data).files == expected
    # What is wrong today may be mended by a change of a file that could not be read.
    (tmp_path / "a").unlink()
    with pytest.raises(ConfigError) as caught:
        load_data(tmp_path, data)
    assert caught.value.files == expected


def test_a_mounted_secret_is_watched_by_its_link(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "secret").write_text("x")
    (tmp_path / "secret").symlink_to("..data/secret")
    data = {"upstreams": {"orders": upstream(auth__client_secret={"file": "secret"})}}
    assert load_data(tmp_path, data).files[1] == str(tmp_path / "secret")


GOOD: dict[str, Any] = {
    "upstream": "https://api.example.com/dev",
    "token_url": "https://login.example.com/oauth2/token",
    "client_id": "the-id",
}


def test_flags(tmp_path: Path) -> None:
    loaded = from_flags(**GOOD, scopes=("a/b", "a/c"), environ={VARIABLE: SECRET})
    [(name, only)] = loaded.config.upstreams.items()
    assert name == "default"
    assert str(only.url) == GOOD["upstream"]
    assert str(only.auth.token_url) == GOOD["token_url"]
    assert only.auth.client_id.reveal() == "the-id"
    assert only.auth.client_secret[0].reveal() == SECRET
    assert only.auth.scopes == ("a/b", "a/c")
    assert str(only.listen) == "127.0.0.1:8080"
    assert str(loaded.config.admin.listen) == "127.0.0.1:9090"
    assert loaded.files == ()
    assert SECRET not in repr(loaded)
    # All else is as in a file that says nothing about it.
    data = {"upstreams": {"default": upstream(auth__scopes=["a/b", "a/c"])}}
    assert loaded.config == load_data(tmp_path, data, ENVIRON).config


def test_flags_that_are_given() -> None:
    loaded = from_flags(**GOOD, listen="[::1]:0", admin="0.0.0.0:0", environ={VARIABLE: SECRET})
    assert str(loaded.config.upstreams["default"].listen) == "[::1]:0"
    assert str(loaded.config.admin.listen) == "0.0.0.0:0"


def test_the_hash_follows_the_flags() -> None:
    first = from_flags(**GOOD, environ={VARIABLE: SECRET})
    assert from_flags(**GOOD, environ={VARIABLE: SECRET}).hash == first.hash
    assert from_flags(**GOOD, environ={VARIABLE: "other"}).hash != first.hash
    assert from_flags(**{**GOOD, "client_id": "other"}, environ={VARIABLE: SECRET}).hash != first.hash


@pytest.mark.parametrize(
    ("changes", "secret", "found"),
    [
        (
            {"upstream": None, "token_url": None, "client_id": None},
            None,
            [
                f"{VARIABLE}: environment variable {VARIABLE} is not set",
                "--token-url: required, but missing",
                "--client-id: required, but missing",
                "--upstream: required, but missing",
            ],
        ),
        ({"upstream": "api"}, SECRET, ["--upstream: expected a URL such as https://api.example.com/dev"]),
        ({"client_id": ""}, "", ["--client-id: is empty", f"{VARIABLE}: environment variable {VARIABLE}: is empty"]),
        ({"scopes": ["a", "b c"]}, SECRET, ["--scope: expected one scope, without spaces and quotes"]),
        ({"listen": ":8080", "admin": "9090"}, SECRET, ["--listen: expected host:port", "--admin: expected host:port"]),
        ({"admin": "127.0.0.1:8080"}, SECRET, ["--admin: 127.0.0.1:8080 is taken: --listen is 127.0.0.1:8080"]),
        (
            {"token_url": "http://login.example.com"},
            SECRET,
            [
                (
                    "--token-url: plain http to a host that is not loopback sends a credential in clear: "
                    "use https, or set allow_insecure in a configuration file to true"
                )
            ],
        ),
        ({"listen": "0.0.0.0:1"}, SECRET, ["--listen: 0.0.0.0:1 is not loopback"]),
    ],
)
def test_problems_name_the_flags(changes: dict[str, Any], secret: str | None, found: Sequence[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        from_flags(**{**GOOD, **changes}, environ={} if secret is None else {VARIABLE: secret})
    assert len(caught.value.problems) == len(found)
    for said, expected in zip(caught.value.problems, found, strict=True):
        assert said.startswith(expected)
    assert caught.value.exit_code == 2


def test_importing_it_is_light() -> None:
    heavy = "yaml", "ssl", "asyncio", "idna", "difflib", "aiohttp", "proxy.config.schema"
    code = f"import sys, proxy.config; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
