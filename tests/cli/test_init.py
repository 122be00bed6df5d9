"""`init`: from a stack or from options to a file that `check` takes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import processes
from tests.cli.conftest import Run
from tests.cli.test_stacks import stack

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hello-abcdef"
OUTPUTS = {
    "TokenUrl": "https://me.auth.eu-central-1.amazoncognito.com/oauth2/token",
    "ClientId": "1example23456789",
    "ClientSecretArn": ARN,
    "Scope": "mydomain.com/API_ACCESS",
    "RestApiUrl": "https://abc.execute-api.eu-central-1.amazonaws.com/dev",
    "HttpApiUrl": "https://def.execute-api.eu-central-1.amazonaws.com",
    "AlbUrl": "https://ghi.eu-central-1.elb.amazonaws.com",
    "AlbHostName": "api.example.com",
    "ReadClientSecretArn": "arn:aws:iam::123456789012:policy/hello",
}
ENOUGH = ["--upstream", "https://api.example/v1", "--token-url", "https://me.example/oauth2/token", "--client-id", "me"]


class Initialised:
    """What `init` wrote."""

    def __init__(self, text: str) -> None:
        self.text = text
        [(self.name, self.upstream)] = yaml.safe_load(text)["upstreams"].items()
        self.auth = self.upstream["auth"]


@pytest.fixture
def init(command: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `init` with a stack of these outputs on standard input."""

    def run(*options: str, stdin: str | None = None, **changed: str | None) -> Any:
        outputs = {key: value for key, value in (OUTPUTS | changed).items() if value is not None}
        text = json.dumps({"Stacks": [stack("hello", **outputs)]}) if stdin is None else stdin
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return command("init", *options)

    return run


def written(outcome: Any) -> Initialised:
    assert (outcome.code, outcome.err) == (0, "")
    return Initialised(outcome.out)


def test_a_stack_says_everything(init: Any) -> None:
    made = written(init())
    assert (made.name, made.upstream["listen"]) == ("hello", "127.0.0.1:8080")
    assert made.upstream["url"] == OUTPUTS["RestApiUrl"]
    assert made.auth == {
        "token_url": OUTPUTS["TokenUrl"],
        "client_id": OUTPUTS["ClientId"],
        "client_secret": {"secrets_manager": ARN, "key": "client_secret"},
        "scopes": ["mydomain.com/API_ACCESS"],
    }
    assert "written by `cognito-sidecar init` from the stack hello." in made.text
    assert OUTPUTS["ReadClientSecretArn"] in made.text


@pytest.mark.parametrize(
    ("options", "absent", "url"),
    [
        (["--api", "http"], [], "HttpApiUrl"),
        (["--api", "rest"], [], "RestApiUrl"),
        (["--api", "alb"], [], "AlbUrl"),
        ([], ["RestApiUrl"], "HttpApiUrl"),
        ([], ["RestApiUrl", "HttpApiUrl"], "AlbUrl"),
    ],
)
def test_which_api(init: Any, options: list[str], absent: list[str], url: str) -> None:
    made = written(init(*options, **dict.fromkeys(absent)))
    assert made.upstream["url"] == OUTPUTS[url]
    assert ("tls" in made.upstream) is (url == "AlbUrl")
    others = {key for key in ("RestApiUrl", "HttpApiUrl", "AlbUrl") if key not in {*absent, url}}
    assert {key for key in others if f"behind the same client: {OUTPUTS[key]}" in made.text} == others


def test_the_name_on_a_load_balancers_certificate(init: Any) -> None:
    assert written(init("--api", "alb")).upstream["tls"] == {"server_name": "api.example.com"}
    assert "tls" not in written(init("--api", "alb", AlbHostName=None)).upstream
    # The emulator's has none.
    assert "tls" not in written(init("--api", "alb", AlbUrl="http://127.0.0.1:9229/alb")).upstream


def test_options_go_before_outputs(init: Any) -> None:
    options = [*ENOUGH[:4], "--scope", "a/1", "--scope", "a/2", "--name", "orders", "--listen", "127.0.0.1:8081"]
    made = written(init(*options, "--secret", "file:/run/secret", "--admin", "127.0.0.1:9191"))
    assert (made.name, made.upstream["url"], made.upstream["listen"]) == (
        *("orders", "https://api.example/v1", "127.0.0.1:8081"),
    )
    assert made.auth == {
        "token_url": "https://me.example/oauth2/token",
        "client_id": OUTPUTS["ClientId"],
        "client_secret": {"file": "/run/secret"},
        "scopes": ["a/1", "a/2"],
    }
    assert yaml.safe_load(made.text)["admin"] == {"listen": "127.0.0.1:9191"}


def test_options_alone(init: Any) -> None:
    made = written(init(*ENOUGH, stdin="this is not read"))
    assert (made.name, made.auth["client_secret"], made.auth["scopes"]) == ("api", {"env": "CLIENT_SECRET"}, [])
    assert "from its options." in made.text


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("env:ORDERS_SECRET", {"env": "ORDERS_SECRET"}),
        ("file:secret:with:colons", {"file": "secret:with:colons"}),
        (f"secrets-manager:{ARN}", {"secrets_manager": ARN, "key": "client_secret"}),
        ("secrets-manager:mine", {"secrets_manager": "mine", "key": "client_secret", "region": "eu-west-1"}),
    ],
)
def test_where_the_secret_is(init: Any, place: str, expected: dict[str, str]) -> None:
    assert written(init("--secret", place, "--region", "eu-west-1")).auth["client_secret"] == expected


@pytest.mark.parametrize("source", ["env", "file"])
def test_check_takes_the_file(
    init: Any, command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "secret").write_text("hidden")
    monkeypatch.setenv("HELLO_SECRET", "hidden")
    file = str(tmp_path / "sidecar.yaml")
    place = {"env": "env:HELLO_SECRET", "file": "file:secret"}[source]
    outcome = init("--secret", place, "--api", "alb", "--output", file)
    assert outcome == (0, "", "")
    assert f"--config {file}" in Path(file).read_text()
    checked = command("check", "--config", file)
    assert (checked.code, checked.err) == (0, "")
    assert f"hello: 127.0.0.1:8080/ -> {OUTPUTS['AlbUrl']}" in checked.out


@pytest.mark.parametrize(
    ("options", "changed", "problems"),
    [
        ([], {"ClientId": None, "TokenUrl": None}, ["--token-url: not given, and there is no output TokenUrl",
                                                   "--client-id: not given, and there is no output ClientId"]),
        (["--api", "rest"], {"RestApiUrl": None}, ["--upstream: not given, and there is no output RestApiUrl"]),
        ([], {"TokenUrl": "http://me.example/"}, ["--token-url: plain http to a host that is not loopback"]),
        (["--listen", "8080"], {}, ["--listen: expected host:port"]),
        (["--secret", "vault:x"], {}, ["cognito-sidecar: Invalid value for '--secret': expected env:NAME"]),
        (["--secret", "env:"], {}, ["cognito-sidecar: Invalid value for '--secret': expected env:NAME"]),
        (["--secret", "env:a b"], {}, ["--secret: env: expected the plain name of an environment variable"]),
        (["--secret", "secrets-manager:a b"], {}, ["--secret: secrets_manager: expected the name or ARN of a secret"]),
        (["--secret", "secrets-manager:a", "--region", "Paris"], {}, ["--secret: region: expected a region"]),
        ([], {"ClientSecretArn": "arn:aws:s3:::x"}, ["ClientSecretArn: secrets_manager: expected the name or ARN"]),
        (["--name", "a b"], {}, ["cognito-sidecar: Invalid value for '--name': expected at most 63 letters"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used(
    init: Any, options: list[str], changed: dict[str, str | None], problems: list[str]
) -> None:
    outcome = init(*options, **changed)
    assert (outcome.code, outcome.out) == (2, "")
    lines = outcome.err.splitlines()
    assert len(lines) == len(problems)
    assert all(line.startswith(problem) for line, problem in zip(lines, problems, strict=True))


def test_a_secret_in_place_of_its_place_is_not_repeated(init: Any) -> None:
    outcome = init("--secret", "0123456789secret")
    assert (outcome.code, "0123456789secret" in outcome.err) == (2, False)


@pytest.mark.parametrize("stdin", ["", " \n"])
def test_without_anything_it_says_how(init: Any, stdin: str) -> None:
    outcome = init(stdin=stdin)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "describe-stacks" in outcome.err


def test_nor_does_it_wait_for_a_person_to_type_json(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO("never read")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    for stdin in (terminal, None):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert command("init").code == 2


def test_a_stacks_name_becomes_one_that_an_upstream_may_have(init: Any) -> None:
    text = json.dumps({"Stacks": [stack("a stack/with: more", **OUTPUTS)]})
    assert written(init(stdin=text)).name == "a-stack-with-more"


def test_a_file_is_not_overwritten_without_being_told_to(init: Any, tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text("mine")
    outcome = init("--output", str(file))
    assert outcome == (1, "", f"cognito-sidecar: {file} is there already; --force writes over it\n")
    assert file.read_text() == "mine"
    assert init("--output", str(file), "--force").code == 0
    assert Initialised(file.read_text()).name == "hello"


async def test_as_a_process_with_a_pipe() -> None:
    text = json.dumps({"Stacks": [stack("hello", **OUTPUTS)]}).encode()
    ended = await processes.run_command("init", "--api", "http", stdin=text)
    assert (ended.code, ended.stderr) == (0, b"")
    assert Initialised(ended.stdout.decode()).upstream["url"] == OUTPUTS["HttpApiUrl"]
