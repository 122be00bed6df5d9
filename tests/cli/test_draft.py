"""The file that `init` writes: YAML that says what it should, and comments that say no secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from proxy.cli.draft import Draft, Secret, write

DRAFT = Draft(
    name="hello",
    origin="the stack hello",
    listen="127.0.0.1:8080",
    admin=None,
    url="https://abc.example/dev",
    api="rest",
    others=(("http", "https://def.example"),),
    token_url="https://me.example/oauth2/token",
    client_id="client",
    secret=Secret(kind="env", place="CLIENT_SECRET"),
    scopes=("mydomain.com/API_ACCESS",),
    server_name=None,
)
PLAIN: dict[str, Any] = {
    "upstreams": {
        "hello": {
            "listen": "127.0.0.1:8080",
            "url": "https://abc.example/dev",
            "auth": {
                "token_url": "https://me.example/oauth2/token",
                "client_id": "client",
                "client_secret": {"env": "CLIENT_SECRET"},
                "scopes": ["mydomain.com/API_ACCESS"],
            },
        }
    }
}


def test_it_says_what_it_should() -> None:
    text = write(DRAFT, "sidecar.yaml")
    assert yaml.safe_load(text) == PLAIN
    assert "    url: https://abc.example/dev # the REST API\n" in text
    assert "    # the HTTP API behind the same client: https://def.example\n" in text
    assert "#   cognito-sidecar check --config sidecar.yaml    is it right?\n" in text
    assert "#   curl http://127.0.0.1:8080/                    without credentials\n" in text
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (Secret(kind="file", place="/run/secrets/a b"), {"file": "/run/secrets/a b"}),
        (
            Secret(kind="secrets_manager", place="orders/client"),
            {"secrets_manager": "orders/client", "key": "client_secret"},
        ),
        (
            Secret(kind="secrets_manager", place="orders/client", region="eu-west-1", policy="arn:policy"),
            {"secrets_manager": "orders/client", "key": "client_secret", "region": "eu-west-1"},
        ),
        (
            Secret(kind="secrets_manager", place="arn:aws:secretsmanager:eu-west-1:1:secret:a-1", region="eu-west-1"),
            {"secrets_manager": "arn:aws:secretsmanager:eu-west-1:1:secret:a-1", "key": "client_secret"},
        ),
    ],
)
def test_where_the_secret_is(secret: Secret, expected: dict[str, str]) -> None:
    text = write(replace(DRAFT, secret=secret), "f")
    assert yaml.safe_load(text)["upstreams"]["hello"]["auth"]["client_secret"] == expected
    assert ("# the policy that allows it: arn:policy\n" in text) is (secret.policy is not None)


def test_what_only_some_have() -> None:
    draft = replace(DRAFT, server_name="api.example.com", admin="127.0.0.1:9191", scopes=(), api=None)
    text = write(replace(draft, listen="unix:/run/hello.sock"), "f")
    read = yaml.safe_load(text)
    assert read["upstreams"]["hello"]["tls"] == {"server_name": "api.example.com"}
    assert read["admin"] == {"listen": "127.0.0.1:9191"}
    assert read["upstreams"]["hello"]["auth"]["scopes"] == []
    assert "curl --unix-socket /run/hello.sock http://localhost/" in text


@pytest.mark.parametrize("text", ["yes", "12", "a: b", "# a", "*a", "'", "a #b", "ü", "0x1f", "1e5", "null", "12:30"])
def test_whatever_a_value_is_it_stays_that_text(text: str) -> None:
    read = yaml.safe_load(write(replace(DRAFT, name=text, client_id=text, scopes=(text, text)), "f"))
    [(name, upstream)] = read["upstreams"].items()
    assert (name, upstream["auth"]["client_id"], upstream["auth"]["scopes"]) == (text, text, [text, text])


def test_a_comment_never_becomes_a_key() -> None:
    wicked = "a\nallow_browsers: true"
    draft = replace(DRAFT, origin=wicked, others=(("alb", wicked),))
    assert yaml.safe_load(write(draft, "f")).keys() == {"upstreams"}


@pytest.mark.parametrize(
    ("file", "word"), [("my config.yaml", "'my config.yaml'"), ("it's", "'it'\"'\"'s'"), ("a\nb: c", "FILE")]
)
def test_commands_can_be_typed_as_they_stand(file: str, word: str) -> None:
    text = write(replace(DRAFT, listen=f"unix:/run/{file}"), file)
    assert f"#   cognito-sidecar doctor --config {word} " in text
    assert yaml.safe_load(text).keys() == {"upstreams"}
    assert ("curl --unix-socket FILE http" in text) is (word == "FILE")
