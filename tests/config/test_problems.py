"""What is wrong with single keys: each problem is one line with the path of its key, and none hides another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.values import A_VALUE
from tests.config.files import SECRET, problems, upstream, upstream_problems


def test_a_good_one_has_none(tmp_path: Path) -> None:
    assert upstream_problems(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"auth__scopes": "a b"}, "auth.scopes: expected a list of strings, got a string"),
        ({"auth__scopes": None}, "auth.scopes: expected a list of strings, got nothing"),
        ({"auth__scopes": ["a b"]}, "auth.scopes[0]: expected one scope, without spaces and quotes"),
        ({"auth__scopes": ["a", ""]}, "auth.scopes[1]: expected one scope, without spaces and quotes"),
        (
            {"auth__scopes": ["a\n"]},
            "auth.scopes[0]: expected one scope, without spaces and quotes, without control characters",
        ),
        (
            {"auth__scopes": [5]},
            "auth.scopes[0]: expected one scope, without spaces and quotes, got a number: put it in quotes",
        ),
        ({"auth": "x"}, "auth: expected a mapping, got a string"),
        ({"auth__method": "baisc"}, "auth.method: expected one of basic, basic_raw, post; did you mean basic?"),
        ({"auth__method": "zzz"}, "auth.method: expected one of basic, basic_raw, post"),
        ({"auth__method": False}, "auth.method: expected one of basic, basic_raw, post, got true or false"),
        ({"auth__extra_params": ["a"]}, "auth.extra_params: expected a mapping, got a list"),
        (
            {"auth__extra_params": {"a": 1}},
            f"auth.extra_params.a: expected {A_VALUE}, got a number: put it in quotes",
        ),
        (
            {"auth__extra_params": {"a": True}},
            (
                f"auth.extra_params.a: expected {A_VALUE}, got true or false "
                "(YAML reads yes, no, on and off that way too): put it in quotes"
            ),
        ),
        ({"auth__header": "X Y"}, "auth.header: expected the name of an HTTP field"),
        ({"auth__header": ""}, "auth.header: expected the name of an HTTP field"),
        ({"auth__header": "X-A\n"}, "auth.header: expected the name of an HTTP field, without control characters"),
        ({"auth__scheme": "Bearer x"}, "auth.scheme: expected one word such as Bearer, or nothing"),
        (
            {"auth__scheme": None},
            "auth.scheme: expected one word such as Bearer, or nothing, got nothing",
        ),
        ({"auth__refresh_at": 0}, "auth.refresh_at: expected a number > 0 and <= 1, got 0"),
        ({"auth__refresh_at": 1.5}, "auth.refresh_at: expected a number > 0 and <= 1, got 1.5"),
        ({"auth__refresh_at": True}, "auth.refresh_at: expected a number > 0 and <= 1, got true or false"),
        ({"auth__refresh_at": float("nan")}, "auth.refresh_at: expected a number > 0 and <= 1, got a number"),
        ({"auth__refresh_at": 10**400}, "auth.refresh_at: expected a number > 0 and <= 1, got a number"),
        ({"auth__refresh_at": "0.5"}, "auth.refresh_at: expected a number > 0 and <= 1, got a string"),
        ({"auth__refresh_jitter": 1}, "auth.refresh_jitter: expected a number >= 0 and < 1, got 1"),
        (
            {"auth__request_timeout": 0},
            "auth.request_timeout: expected a duration such as 250ms, 30s, 5m, 1h or a number of seconds, more than 0",
        ),
        (
            {"timeouts__idle": "soon"},
            "timeouts.idle: expected a duration such as 250ms, 30s, 5m, 1h or a number of seconds",
        ),
        ({"prefix": "orders"}, "prefix: expected a path that begins with a slash"),
        ({"required": "yes"}, "required: expected true or false, got a string"),
        ({"required": 1}, "required: expected true or false, got a number"),
        ({"allow": {"methods": ["GET"]}}, "allow: expected a list of mappings, got a mapping"),
        ({"allow": [{"methods": ["get"]}]}, "allow[0].methods[0]: expected a method in upper case such as GET"),
        ({"allow": [{}, {"paths": ["a"]}]}, "allow[1].paths[0]: expected a path that begins with a slash"),
        ({"allow": [{"path": ["/"]}]}, "allow[0].path: unknown key; did you mean paths?"),
        ({"allow": ["/x"]}, "allow[0]: expected a mapping, got a string"),
        ({"hosts": ["a:80"]}, "hosts[0]: expected a host name without a port: any port is accepted"),
        ({"headers__remove": ["a:b"]}, "headers.remove[0]: expected the name of an HTTP field"),
        (
            {"headers__set": {"X-A:": "b"}},
            "headers.set.<a key that is no plain name>: this key is not good: expected the name of an HTTP field",
        ),
        ({"headers__set": {"X-A": "b\nc"}}, "headers.set.X-A: contains a line break or another control character"),
        ({"replay_limit": "64k"}, "replay_limit: expected a size such as 64KiB, 10MiB or a number of bytes"),
        ({"pool__max_connections": 0}, "pool.max_connections: expected an integer >= 1, got 0"),
        ({"pool__max_connections": -(10**400)}, "pool.max_connections: expected an integer >= 1, got a number"),
        ({"pool__max_connections": 1.5}, "pool.max_connections: expected an integer >= 1, got 1.5"),
        ({"pool__max_connections": True}, "pool.max_connections: expected an integer >= 1, got true or false"),
        ({"pool": None}, "pool: expected a mapping, got nothing"),
        ({"tls__ca_file": ""}, "tls.ca_file: expected the path of a file"),
        ({"tls__ca_file": "a\tb"}, "tls.ca_file: expected the path of a file, without control characters"),
        ({"tls__ca_file": 5}, "tls.ca_file: expected the path of a file, got a number: put it in quotes"),
        ({"tls__server_name": "a b"}, "tls.server_name: expected a host name or an IP address"),
        (
            {"listen": {"unix": "run/a"}},
            "listen.unix: expected an absolute path after unix:, such as /run/sidecar/orders.sock",
        ),
        ({"listen": {"unix": 5}}, "listen.unix: expected the path of a socket, got a number: put it in quotes"),
        (
            {"listen": {"unix": "/run/a", "mode": 0o660}},
            (
                'listen.mode: expected permissions as an octal number in quotes, such as "0660", got a number: '
                'write "0660"'
            ),
        ),
        ({"listen": {"unix": "/run/a", "mod": "0660"}}, "listen.mod: unknown key; did you mean mode?"),
        (
            {"listen": {"unix": "/run/a", "owner": "no-such-user"}},
            "listen.owner: expected the name or the number of a user, and this machine has no user of that name",
        ),
        (
            {"listen": {"unix": "/run/a", "group": "no-such-group"}},
            "listen.group: expected the name or the number of a group, and this machine has no group of that name",
        ),
        ({"listen": {"mode": "0660"}}, "listen.unix: required, but missing"),
        ({"listen": []}, "listen: expected host:port such as 127.0.0.1:8080, or unix:/path, got a list"),
        ({"scopes": []}, "scopes: unknown key; did you mean auth.scopes?"),
        ({"zzz": 1}, "zzz: unknown key"),
        ({"retry_on_402": 1}, "retry_on_402: unknown key; did you mean retry_on_401?"),
    ],
)
def test_one_wrong_key(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    assert upstream_problems(tmp_path, **changes) == [problem]


def test_missing_keys(tmp_path: Path) -> None:
    assert problems(tmp_path, {"upstreams": {"orders": {"auth": {}}}}) == (
        "upstreams.orders.auth.token_url: required, but missing",
        "upstreams.orders.auth.client_id: required, but missing",
        "upstreams.orders.auth.client_secret: required, but missing",
        "upstreams.orders.listen: required, but missing",
        "upstreams.orders.url: required, but missing",
    )
    assert problems(tmp_path, {"log": {}}) == ("upstreams: required, but missing",)
    assert problems(tmp_path, {"upstreams": {}}) == ("upstreams: expected at least 1",)
    assert problems(tmp_path, {"upstreams": None}) == ("upstreams: expected a mapping, got nothing",)
    assert problems(tmp_path, {"upstreams": [upstream()]}) == ("upstreams: expected a mapping, got a list",)


def test_a_key_that_is_spelled_wrong_is_one_problem(tmp_path: Path) -> None:
    data = upstream(lisen="127.0.0.1:80")
    del data["listen"]
    assert problems(tmp_path, {"upstreams": {"orders": data}}) == (
        "upstreams.orders.lisen: unknown key; did you mean listen?",
    )


@pytest.mark.parametrize("name", ["a b", "a/b", "", "x" * 64, "ü", "a\n"])
def test_names_of_upstreams(tmp_path: Path, name: str) -> None:
    [problem] = problems(tmp_path, {"upstreams": {name: upstream()}})
    assert "this key is not good: expected a name of at most 63 letters" in problem


def test_keys_that_yaml_takes_for_something_else(tmp_path: Path) -> None:
    assert problems(tmp_path, {"upstreams": {True: upstream()}}) == (
        (
            "upstreams.<a key that is true or false>: this key is not good: expected a name of at most 63 letters, "
            "digits, dots, hyphens and underscores, got true or false (YAML reads yes, no, on and off that way too): "
            "put it in quotes"
        ),
    )
    assert problems(tmp_path, {"upstreams": {"orders": upstream()}, 5: 6}) == ("<a key that is a number>: unknown key",)


def test_a_value_that_slipped_into_its_key_is_not_shown(tmp_path: Path) -> None:
    text = (
        "upstreams: {orders: {listen: '127.0.0.1:1', url: 'https://a', auth: {token_url: 'https://b', client_id: c, "
        f"client_secret:{SECRET}}}}}}}"
    )
    assert problems(tmp_path, text) == (
        "upstreams.orders.auth.<a key that is no plain name>: unknown key; is a space missing after client_secret:?",
    )


def test_ten_faults_are_ten_lines(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "upstreams": {
                "a": upstream(listen=8080, auth__scopes="x", max_body=-1, colour="red"),
                "b": upstream(url="http://api.example.com", auth__client_id={"env": "NOPE"}, tls__ca_file="/nowhere"),
                "c": upstream(prefix="/x"),
                "d": upstream(prefix="/x/"),
            },
            "admin": {"listen": "nowhere"},
            "log": {"level": "loud"},
        },
    )
    assert [line.partition(":")[0] for line in found] == [
        "upstreams.a.listen",
        "upstreams.a.auth.scopes",
        "upstreams.a.max_body",
        "upstreams.a.colour",
        "upstreams.b.auth.client_id",
        "admin.listen",
        "log.level",
        "upstreams.b.url",
        "upstreams.b.tls.ca_file",
        "upstreams.d.prefix",
    ]


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
_KEYS = [
    "listen", "prefix", "url", "auth", "required", "allow", "hosts", "headers", "replay_limit", "timeouts", "pool",
    "tls", "auth__token_url", "auth__client_secret", "auth__scopes", "auth__extra_params", "auth__refresh_at",
    "listen__unix", "listen__mode", "listen__group", "auth__refresh_jitter", "auth__header", "auth__tls",
    "headers__set", "headers__remove", "allow_insecure",
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_whatever_stands_there_is_a_configuration_or_problems(tmp_path: Path, data: st.DataObject) -> None:
    changes = {key: data.draw(_ANYTHING) for key in data.draw(st.lists(st.sampled_from(_KEYS), max_size=3))}
    whole = sorted(key for key in changes if "__" not in key)
    parts = {key: value for key, value in changes.items() if key.partition("__")[0] not in whole}
    top = data.draw(st.dictionaries(st.sampled_from(["admin", "log", "require_header", "shutdown"]), _ANYTHING))
    problems(tmp_path, {"upstreams": {"a": upstream(**{key: changes[key] for key in whole}, **parts)}, **top})
