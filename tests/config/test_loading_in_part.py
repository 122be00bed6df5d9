"""A configuration whose text is right, and whose values are not all there: `doctor` looks at what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.config import load_in_part
from proxy.config.loading import NO_SECRETS, Part
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, SecretsNeeded, Unread
from proxy.config.walk import BROKEN
from proxy.errors import ConfigError
from proxy.explanations import explain
from tests.config.files import ENVIRON, SECRET, problems, upstream, write

ORDERS = SecretRef("orders", "eu-central-1")
MANAGED = {"secrets_manager": "orders", "region": "eu-central-1"}
MEMBER = {**MANAGED, "key": "client_secret"}
LATE = Unread("timeout", "it did not answer", passing=True)
GONE = Unread("not_found", "there is no such secret", passing=False)


def part_of(folder: Path, secrets: Any = NO_SECRETS, **changes: Any) -> Part:
    data = {"upstreams": {"good": upstream(listen="127.0.0.1:8081"), "orders": upstream(**changes)}}
    return load_in_part(str(write(folder, data)), environ=ENVIRON, secrets=secrets)


def held(text: str) -> Held:
    return Held(Value(text), None, "v1")


@pytest.mark.parametrize(
    ("state", "source", "problem", "explanation"),
    [
        (None, {"env": "NOT_SET"}, "environment variable NOT_SET is not set", "variable_not_set"),
        (None, {"file": "/none"}, "file /none cannot be read: no such file or directory", "file_unreadable"),
        (None, {"file": "empty"}, "file HERE/empty: is empty", "looks_wrong"),
        (None, {"file": "binary"}, "file HERE/binary is not UTF-8 text", "looks_wrong"),
        (LATE, MANAGED, "secret orders in eu-central-1: it did not answer", "secret:timeout"),
        (GONE, MANAGED, "secret orders in eu-central-1: there is no such secret", "secret:not_found"),
        (
            held("{}"),
            MEMBER,
            "secret orders in eu-central-1 has no key client_secret; it has none",
            "secret_of_other_form",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_told_apart(
    tmp_path: Path, state: Held | Unread | None, source: Any, problem: str, explanation: str
) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "binary").write_bytes(b"\xff")
    secrets = {} if state is None else {ORDERS: state}
    config, [lack] = part = part_of(tmp_path, secrets, auth__client_secret=source)
    assert lack == ("upstreams.orders.auth.client_secret", problem.replace("HERE", str(tmp_path)), explanation)
    assert explain(explanation).remedy not in problem
    assert config.upstreams["orders"].auth.client_secret == ()
    assert config.upstreams["good"].auth.client_secret[0].reveal() == SECRET
    assert part.lacks("upstreams.good.") == []
    assert [lack.path for lack in part.lacks("upstreams.orders.")] == ["auth.client_secret"]


def test_what_is_good_keeps_its_place(tmp_path: Path) -> None:
    unset = {"env": "NOT_SET"}
    part = part_of(
        tmp_path,
        url=unset,
        auth__client_secret=[unset, "second"],
        auth__extra_params={"a": unset, "b": "x"},
        headers__set={"X-Key": unset},
    )
    orders = part.config.upstreams["orders"]
    assert orders.url is BROKEN
    first, second = orders.auth.client_secret
    assert (first is BROKEN, second.reveal()) == (True, "second")
    assert (orders.auth.extra_params, orders.headers.set) == ({"b": Value("x")}, {})
    assert [lack.path for lack in part.lacks("upstreams.orders.")] == [
        "url",
        "auth.client_secret[0]",
        "auth.extra_params.a",
        "headers.set.X-Key",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"auth__scopes": "a/b"},
        {"auth__client_id": {"env": "not a name"}},
        {"auth__client_id": {"file": ""}},
        {"auth__client_id": ""},
        {"auth__client_id": {"secrets_manager": "a b"}},
        {"colour": "blue"},
        {"listen": "0.0.0.0:8080"},
    ],
)
def test_what_is_wrong_with_the_text_is_as_wrong_as_ever(tmp_path: Path, changes: dict[str, Any]) -> None:
    changes = {**changes, "auth__client_secret": {"env": "NOT_SET"}}
    with pytest.raises(ConfigError) as caught:
        part_of(tmp_path, **changes)
    assert caught.value.exit_code == 2
    everything = {"upstreams": {"good": upstream(listen="127.0.0.1:8081"), "orders": upstream(**changes)}}
    assert caught.value.problems == problems(tmp_path, everything)
    assert len(caught.value.problems) == 2, "the value that is lacking has its line as well"


def test_secrets_are_asked_for_though_other_values_are_lacking(tmp_path: Path) -> None:
    source = [{"env": "NOT_SET"}, MANAGED]
    with pytest.raises(SecretsNeeded) as caught:
        part_of(tmp_path, auth__client_secret=source)
    assert caught.value.refs == (ORDERS,)
    config, [lack] = part_of(tmp_path, {ORDERS: held("abc")}, auth__client_secret=source)
    assert lack.path == "upstreams.orders.auth.client_secret[0]"
    assert config.upstreams["orders"].auth.client_secret[1].reveal() == "abc"
