"""Values in Secrets Manager: how they are named, what of a secret is the value, and what is said otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.config import Loaded, load
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, SecretsNeeded, Unread
from proxy.errors import ConfigError, SecretsUnavailable
from proxy.explanations import SECRETS
from tests.config.files import upstream, write

SECRET = "s3cr3t-that-nobody-may-see"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/orders-AbCdEf"
ORDERS = SecretRef("prod/orders", "eu-west-1")
ENVIRON = {"CLIENT_ID": "the-id", "CLIENT_SECRET": SECRET, "AWS_REGION": "eu-west-1"}


def held(current: object, previous: object = None) -> Held:
    def text(value: object) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    return Held(Value(text(current)), None if previous is None else Value(text(previous)), "v1")


def load_with(folder: Path, secrets: dict[SecretRef, Held | Unread], **changes: Any) -> Loaded:
    data = {"upstreams": {"orders": upstream(**changes)}}
    return load(str(write(folder, data)), environ=ENVIRON, secrets=secrets)


def secrets_of(folder: Path, state: Held, source: object) -> list[str]:
    loaded = load_with(folder, {ORDERS: state}, auth__client_secret=source)
    return [value.reveal() for value in loaded.config.upstreams["orders"].auth.client_secret]


def problem(folder: Path, state: Held | Unread, source: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_with(folder, {ORDERS: state}, auth__client_secret=source)
    [line] = caught.value.problems
    assert SECRET not in line
    return line.removeprefix("upstreams.orders.auth.client_secret: ")


WHOLE = {"secrets_manager": "prod/orders"}
MEMBER = {"secrets_manager": "prod/orders", "key": "client_secret"}


# --------------------------------------------------------------------------------------------- what has to be read


def test_what_is_needed_is_asked_for_once(tmp_path: Path) -> None:
    with pytest.raises(SecretsNeeded) as caught:
        load_with(
            tmp_path,
            {},
            url={"secrets_manager": "prod/urls", "region": "us-east-1"},
            auth__client_id={"secrets_manager": "prod/orders", "key": "client_id"},
            auth__client_secret=MEMBER,
            headers__set={"X-Key": {"secrets_manager": ARN}},
        )
    assert caught.value.refs == (
        SecretRef("prod/urls", "us-east-1"),
        SecretRef("prod/orders", "eu-west-1"),
        SecretRef(ARN, "eu-central-1"),
    )
    assert caught.value.config.secrets_manager.wait == 30


def test_only_what_is_not_held_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SecretsNeeded) as caught:
        load_with(
            tmp_path,
            {ORDERS: held({"client_secret": "a"})},
            auth__client_id={"secrets_manager": "other"},
            auth__client_secret=MEMBER,
        )
    assert caught.value.refs == (SecretRef("other", "eu-west-1"),)


def test_other_problems_come_first(tmp_path: Path) -> None:
    # So that a mistake in the file is told without a call, and to whoever has no access to the secret.
    with pytest.raises(ConfigError) as caught:
        load_with(tmp_path, {}, auth__client_secret=MEMBER, retry_on_401="maybe", auth__token_url="http://a.example/")
    assert [line.partition(": ")[0] for line in caught.value.problems] == [
        "upstreams.orders.retry_on_401",
        "upstreams.orders.auth.token_url",
    ]


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({}, ""),
    ],
)
def test_the_region_of_the_environment(tmp_path: Path, environ: dict[str, str], region: str) -> None:
    data = {"upstreams": {"orders": upstream(auth__client_id="id", auth__client_secret=WHOLE)}}
    with pytest.raises(SecretsNeeded) as caught:
        load(str(write(tmp_path, data)), environ=environ)
    assert caught.value.refs == (SecretRef("prod/orders", region),)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"secrets_manager": ""}, "secrets_manager: expected the name or ARN of a secret"),
        (
            {"secrets_manager": 5},
            "secrets_manager: expected the name or ARN of a secret, got a number: put it in quotes",
        ),
        ({"secrets_manager": "a b"}, "secrets_manager: expected the name or ARN of a secret"),
        ({"secrets_manager": "arn:aws:s3:::bucket"}, "secrets_manager: expected the name or ARN of a secret"),
        ({**WHOLE, "key": ""}, "key: expected the name of a key of the JSON object"),
        ({**WHOLE, "key": None}, "key: expected the name of a key of the JSON object, got nothing"),
        ({**WHOLE, "region": "Frankfurt"}, "region: expected a region such as eu-central-1"),
        ({"secrets_manager": ARN, "region": "eu-west-1"}, "region: the secret's ARN says eu-central-1"),
        ({**WHOLE, "kye": "a"}, "unknown key; did you mean key?; with secrets_manager go key and region"),
        ({**WHOLE, "env": "A"}, "unknown key; with secrets_manager go key and region"),
    ],
)
def test_what_names_no_secret(tmp_path: Path, source: object, why: str) -> None:
    assert problem(tmp_path, held("x"), source) == why


# ------------------------------------------------------------------------------------------------ what the value is


@pytest.mark.parametrize(
    ("content", "source", "text"),
    [
        ({"client_secret": "abc", "other": 1}, MEMBER, "abc"),
        ({"client_secret": "abc\n"}, {**MEMBER, "region": "eu-west-1"}, None),
        ("abc", WHOLE, "abc"),
        ("abc\n", WHOLE, "abc"),
        ("abc\r\n", WHOLE, "abc"),
        ("12345", WHOLE, "12345"),
        ('"quoted"', WHOLE, '"quoted"'),
        ("[1]", WHOLE, "[1]"),
        ("{broken", WHOLE, "{broken"),
    ],
)
def test_a_member_or_the_whole(tmp_path: Path, content: object, source: object, text: str | None) -> None:
    if text is None:
        assert "line break" in problem(tmp_path, held(content), source)
    else:
        assert secrets_of(tmp_path, held(content), source) == [text]


@pytest.mark.parametrize(
    ("content", "source", "why"),
    [
        (
            {"client_id": SECRET, "secret": SECRET},
            MEMBER,
            "secret prod/orders in eu-west-1 has no key client_secret; it has client_id, secret",
        ),
        ({}, MEMBER, "secret prod/orders in eu-west-1 has no key client_secret; it has none"),
        ({f"k{n:02}": SECRET for n in range(15)}, MEMBER, "k10, k11 and 3 more"),
        ({f"a {SECRET}": "x"}, MEMBER, "it has <a key that is no plain name>"),
        (
            {"client_secret": SECRET},
            WHOLE,
            " is a JSON object: say with key: which member is meant; it has client_secret",
        ),
        (
            {"client_secret": 5},
            MEMBER,
            "in eu-west-1, key client_secret: expected a string, got a number",
        ),
        ({"client_secret": {"a": SECRET}}, MEMBER, "expected a string, got a mapping"),
        (SECRET, MEMBER, "secret prod/orders in eu-west-1 is plain text, not a JSON object: leave out key"),
        ("[" * 100_000, MEMBER, "is plain text, not a JSON object: leave out key"),
        ({"client_secret": ""}, MEMBER, "secret prod/orders (client_secret): is empty"),
        (f"{SECRET}\n\n", WHOLE, "secret prod/orders: contains a line break or another control character"),
    ],
)
def test_what_is_no_value(tmp_path: Path, content: object, source: object, why: str) -> None:
    assert problem(tmp_path, held(content), source).endswith(why)


def test_every_key_that_takes_a_value_takes_one_from_there(tmp_path: Path) -> None:
    state = held({"url": "https://a.example/x", "token": "https://b.example/t", "id": "i", "secret": SECRET, "h": "H"})

    def member(key: str) -> dict[str, str]:
        return {"secrets_manager": "prod/orders", "key": key}

    data = {
        "upstreams": {
            "orders": upstream(
                url=member("url"),
                auth={"token_url": member("token"), "client_id": member("id"), "client_secret": [member("secret")]},
                headers__set={"X-H": member("h")},
            )
        },
        "require_header": {"name": "X-K", "value": member("h")},
    }
    loaded = load(str(write(tmp_path, data)), environ=ENVIRON, secrets={ORDERS: state})
    orders = loaded.config.upstreams["orders"]
    assert (str(orders.url), str(orders.auth.token_url)) == ("https://a.example/x", "https://b.example/t")
    assert (orders.auth.client_id.reveal(), orders.headers.set["X-H"].reveal()) == ("i", "H")
    assert [value.reveal() for value in orders.auth.client_secret] == [SECRET]
    assert orders.auth.client_secret[0].origin == "secrets_manager prod/orders (secret)"
    assert loaded.secrets == (ORDERS,)
    assert SECRET not in repr(loaded)


# ---------------------------------------------------------------------------------------------- before the rotation


@pytest.mark.parametrize(
    ("before", "source", "texts"),
    [
        ({"client_secret": "old"}, MEMBER, ["new", "old"]),
        ({"client_secret": "old"}, [MEMBER], ["new", "old"]),
        ({"client_secret": "new", "other": 1}, MEMBER, ["new"]),
        ({"other": "old"}, MEMBER, ["new"]),
        ("plain", MEMBER, ["new"]),
        ({"client_secret": ""}, MEMBER, ["new"]),
        (None, MEMBER, ["new"]),
        ({"client_secret": "old"}, [MEMBER, "another"], ["new", "another"]),
        ({"client_secret": "old"}, ["another", MEMBER], ["another", "new"]),
    ],
)
def test_the_previous_version_is_the_second_secret(
    tmp_path: Path, before: object, source: object, texts: list[str]
) -> None:
    assert secrets_of(tmp_path, held({"client_secret": "new"}, before), source) == texts


def test_the_previous_version_is_told_apart(tmp_path: Path) -> None:
    state = held({"client_secret": "new"}, {"client_secret": "old"})
    loaded = load_with(tmp_path, {ORDERS: state}, auth__client_secret=MEMBER)
    origins = [value.origin for value in loaded.config.upstreams["orders"].auth.client_secret]
    assert origins == [
        "secrets_manager prod/orders (client_secret)",
        "secrets_manager prod/orders (client_secret) AWSPREVIOUS",
    ]
    # A secret in two versions is another configuration than one in the newer one alone.
    alone = load_with(tmp_path, {ORDERS: held({"client_secret": "new"})}, auth__client_secret=MEMBER)
    assert alone.hash != loaded.hash


# ------------------------------------------------------------------------------------------------ what cannot be read


@pytest.mark.parametrize(("passing", "kind", "code"), [(True, SecretsUnavailable, 1), (False, ConfigError, 2)])
def test_a_secret_that_could_not_be_read(tmp_path: Path, passing: bool, kind: type[ConfigError], code: int) -> None:
    state = Unread("timeout", "it did not answer", passing)
    with pytest.raises(ConfigError) as caught:
        load_with(tmp_path, {ORDERS: state}, auth__client_id=MEMBER, auth__client_secret=MEMBER)
    assert type(caught.value) is kind
    assert caught.value.exit_code == code
    why = f"secret prod/orders in eu-west-1: it did not answer. {SECRETS['timeout'].remedy}"
    assert caught.value.problems == (
        f"upstreams.orders.auth.client_id: {why}",
        f"upstreams.orders.auth.client_secret: {why}",
    )


def test_one_problem_that_stays_is_enough(tmp_path: Path) -> None:
    state = Unread("timeout", "it did not answer", passing=True)
    with pytest.raises(ConfigError) as caught:
        load_with(tmp_path, {ORDERS: state}, auth__client_secret=MEMBER, hosts=["a/b"])
    assert type(caught.value) is ConfigError


@pytest.mark.parametrize(("refresh", "good"), [("0s", True), ("10s", True), ("9s", False), ("1h", True)])
def test_how_often_secrets_may_be_read(tmp_path: Path, refresh: str, good: bool) -> None:
    data = {"upstreams": {"orders": upstream()}, "secrets_manager": {"refresh": refresh}}
    try:
        load(str(write(tmp_path, data)), environ=ENVIRON)
        problems: tuple[str, ...] = ()
    except ConfigError as error:
        problems = error.problems
    assert problems == (() if good else ("secrets_manager.refresh: expected at least 10s, or 0s for never",))
