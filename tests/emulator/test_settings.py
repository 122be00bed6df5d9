"""Settings that can be used, and those that cannot."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.emulator import Settings
from proxy.emulator.settings import is_loopback
from proxy.errors import ConfigError

GOOD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "two secrets": {"client_secrets": ("a", "b")},
    "one second": {"token_lifetime": 1},
    "an issuer": {"issuer": "https://a.example/pool"},
    "no scope needed": {"required_scopes": ()},
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "pool": ({"pool_id": "pool"}, "pool_id"),
    "no id": ({"client_id": ""}, "client_id"),
    "a line break in the id": ({"client_id": "a\nb"}, "client_id"),
    "no secret": ({"client_secrets": ()}, "client_secrets"),
    "three secrets": ({"client_secrets": ("a", "b", "c")}, "client_secrets"),
    "an empty secret": ({"client_secrets": ("",)}, "client_secrets"),
    "no scopes": ({"scopes": ()}, "scopes"),
    "a space in a scope": ({"scopes": ("a b",)}, "scopes"),
    "a space in a needed scope": ({"required_scopes": ("a b",)}, "required_scopes"),
    "no lifetime": ({"token_lifetime": 0}, "token_lifetime"),
    "half a second": ({"token_lifetime": 0.5}, "token_lifetime"),
    "true": ({"token_lifetime": True}, "token_lifetime"),
    "an issuer that is none": ({"issuer": "somewhere"}, "issuer"),
    "a route without a slash": ({"routes": ("hello",)}, "routes"),
    "a header that is none": ({"header": "A B"}, "header"),
}


@pytest.mark.parametrize("settings", GOOD.values(), ids=GOOD)
def test_settings_that_can_be_used(settings: dict[str, Any]) -> None:
    assert Settings(**settings).needed in {(), ("mydomain.com/API_ACCESS",)}


@pytest.mark.parametrize("row", BAD.values(), ids=BAD)
def test_settings_that_cannot_be_used_are_named(row: tuple[dict[str, Any], str]) -> None:
    settings, key = row
    with pytest.raises(ConfigError) as caught:
        Settings(**settings)
    assert any(problem.startswith(f"emulator.{key}: ") for problem in caught.value.problems)


def test_all_problems_of_settings_come_at_once_and_no_secret_with_them() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(pool_id="x", token_lifetime=0, client_secrets=("my\nsecret",))
    assert len(caught.value.problems) == 3
    assert "secret\n" not in str(caught.value)
    assert "hidden-one" not in repr(Settings(client_secrets=("hidden-one",)))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("x", False)],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
