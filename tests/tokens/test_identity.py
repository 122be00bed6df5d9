"""Which upstreams share a token."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.model import Duration, Tls, Url, Value
from proxy.tokens import Identity, combined, heirs, identity, lasting_identity
from tests.growth import FEW, MANY, grows_linearly
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


def _client(name: str) -> Identity:
    """`a1` is the client a with the secret 1."""
    return identity(make_auth(client_id=Value(name[0]), client_secret=(Value(name[1:]),)))


@pytest.mark.parametrize(
    ("present", "wanted", "inherited"),
    [
        pytest.param("", "x=a1", "", id="the first configuration"),
        pytest.param("x=a1", "x=a1", "a1<a1", id="nothing has changed"),
        pytest.param("x=a1", "y=a1", "a1<a1", id="under another name"),
        pytest.param("x=a1", "x=a2", "a2<a1", id="another secret"),
        pytest.param("x=a1", "y=a2", "a2<a1", id="another secret, under another name"),
        pytest.param("x=a1", "x=b1", "", id="another client"),
        pytest.param("x=a1", "x=a1 y=a2", "a1<a1", id="no token for two"),
        pytest.param("x=a1", "y=a2 x=a1", "a1<a1", id="nor for who comes first"),
        pytest.param("x=a1 y=a1", "x=a1 y=a2", "a1<a1", id="one of two goes its own way"),
        pytest.param("x=a1 y=a2", "x=a2 y=a1", "a2<a2 a1<a1", id="who has another's secret now has its token too"),
        pytest.param("x=a1 y=a2", "x=a3 y=a4", "a3<a1 a4<a2", id="both have new ones: each keeps its own"),
        pytest.param("x=a1 y=a2", "y=a4 x=a3", "a4<a2 a3<a1", id="in whatever order"),
        pytest.param("x=a1 y=a2", "z=a3 x=a4", "a4<a1 a3<a2", id="a newcomer has what nobody else has a claim to"),
        pytest.param("x=a1 y=b1", "x=b2 y=a2", "b2<b1 a2<a1", id="names change places"),
    ],
)
def test_who_takes_whose_place(present: str, wanted: str, inherited: str) -> None:
    clients: dict[Identity, list[str]] = {}
    for name, client in (pair.split("=") for pair in wanted.split()):
        clients.setdefault(_client(client), []).append(name)
    before = {name: _client(client) for name, client in (pair.split("=") for pair in present.split())}
    assert heirs(clients, before) == {
        _client(key): _client(old) for key, old in (pair.split("<") for pair in inherited.split())
    }


@pytest.mark.parametrize("client", ["a{}", "{letter}1"], ids=["one client, many secrets", "many clients"])
@pytest.mark.parametrize("renamed", [False, True])
def test_thousands_of_new_secrets_are_not_compared_with_all_the_old_ones(client: str, renamed: bool) -> None:
    def change(count: int) -> object:
        def clients(prefix: str, secret: int) -> dict[str, Identity]:
            return {
                f"{prefix}{number}": _client(client.format(number + secret, letter=chr(0x100 + number)))
                for number in range(count)
            }

        present, wanted = clients("u", 1000), clients("v" if renamed else "u", 2000)
        return heirs({key: [name] for name, key in wanted.items()}, present)

    assert grows_linearly(lambda: change(FEW), lambda: change(MANY))


LATE = {"refresh_at": 0.9, "refresh_jitter": 0.02, "idle_after": Duration(60), "request_timeout": Duration(3)}
EARLY = {"refresh_at": 0.5, "refresh_jitter": 0.1, "idle_after": Duration(600), "request_timeout": Duration(9)}


@pytest.mark.parametrize("turned", [False, True])
def test_of_those_that_share_a_token_the_most_demanding_decides(turned: bool) -> None:
    auths = [make_auth(**LATE), make_auth(**EARLY)]
    both = combined(auths[::-1] if turned else auths)
    assert (both.refresh_at, both.refresh_jitter) == (0.5, 0.1)
    assert (both.idle_after, both.request_timeout) == (Duration(600), Duration(9))


@pytest.mark.parametrize("turned", [False, True])
def test_one_that_is_always_renewed_is_always_renewed_for_all(turned: bool) -> None:
    auths = [make_auth(idle_after=Duration(60)), make_auth(idle_after=Duration(0))]
    assert combined(auths[::-1] if turned else auths).idle_after == Duration(0)


@pytest.mark.parametrize("turned", [False, True])
def test_certificates_for_the_token_endpoint_are_those_of_the_one_that_names_any(turned: bool) -> None:
    auths = [make_auth(), make_auth(tls=Tls(ca_file="/ca.pem"))]
    assert combined(auths[::-1] if turned else auths).tls.ca_file == "/ca.pem"
