"""Which upstreams share a token."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.model import Tls, Url, Value
from proxy.tokens import identity, lasting_identity
from tests.tokens.helpers import OTHER_SECRET, SECRET, make_auth


@pytest.mark.parametrize(
    "changes",
    [
        {"token_url": Url("https", "idp.example", 8443, "/oauth2/token")},
        {"token_url": Url("https", "idp.example", 443, "/oauth2/token?a=b")},
        {"client_id": Value("another-client")},
        {"client_secret": (Value(OTHER_SECRET),)},
        {"client_secret": (Value(SECRET), Value(OTHER_SECRET))},
        {"scopes": ("orders/READ", "orders/WRITE")},
        {"scopes": ()},
        {"method": "post"},
        {"extra_params": {"aws_client_metadata": Value("{}")}},
    ],
)
def test_another_client(changes: dict[str, Any]) -> None:
    assert identity(make_auth(**changes)) != identity(make_auth())
    assert (lasting_identity(make_auth(**changes)) == lasting_identity(make_auth())) == ("client_secret" in changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"header": "X-Token", "scheme": ""},
        {"refresh_at": 0.5, "refresh_jitter": 0.1, "idle_after": 60, "request_timeout": 1, "wait": 1},
        {"tls": Tls(ca_file="/ca.pem")},
        {"client_secret": (Value(SECRET, "env SECRET"),)},
    ],
)
def test_the_same_client(changes: dict[str, Any]) -> None:
    assert identity(make_auth(**changes)) == identity(make_auth())
    assert hash(identity(make_auth(**changes))) == hash(identity(make_auth()))


def test_the_order_of_scopes_and_secrets_does_not_matter() -> None:
    one = make_auth(scopes=("a", "b"), client_secret=(Value("x"), Value("y")))
    other = make_auth(scopes=("b", "a"), client_secret=(Value("y"), Value("x")))
    assert identity(one) == identity(other)


def test_no_secret_shows() -> None:
    shown = repr(identity(make_auth(extra_params={"client_assertion": Value("hidden-as-well")})))
    assert SECRET not in shown
    assert "hidden-as-well" not in shown
