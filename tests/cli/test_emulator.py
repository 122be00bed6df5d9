"""`emulator`: started as a user would, and what it prints put to use."""

from __future__ import annotations

import json
import signal
import sys
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.emulator import describe, read_templates, with_lifetime
from proxy.emulator import Emulator, Settings
from tests import processes
from tests.cli.conftest import Run


def post_token(url: str, client_id: str, secret: str) -> dict[str, Any]:
    request = urllib.request.Request(
        url,
        data=b"grant_type=client_credentials",
        headers={"Authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()},
    )
    with urllib.request.urlopen(request, timeout=processes.PATIENCE) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_it_prints_gets_a_token(number: signal.Signals) -> None:
    options = ["--port", "0", "--client-id", "me", "--scope", "a/b", "--scope", "a/c", "--token-lifetime", "5m"]
    program = await processes.Program.start(
        *(sys.executable, "-m", "proxy", "emulator", *options),
        env={"COGNITO_SIDECAR_EMULATOR_CLIENT_SECRET": 'of: "mine"'},
    )
    try:
        await program.printed("scopes:")
        printed = yaml.safe_load("upstreams:" + program.output.split("upstreams:")[1])
        auth = printed["upstreams"]["hello"]["auth"]
        assert (auth["client_id"], auth["client_secret"], auth["scopes"]) == ("me", 'of: "mine"', ["a/b", "a/c"])
        answer = post_token(auth["token_url"], auth["client_id"], auth["client_secret"])
        assert answer["expires_in"] == 300
        program.send(number)
        assert await program.ended() == 0
    finally:
        await program.stop()


async def test_it_prints_where_everything_is() -> None:
    async with Emulator(Settings(scopes=("x/y",))) as emulator:
        text = "\n".join(describe(emulator))
        for address in (emulator.token_url, emulator.jwks_url, *map(emulator.gateway_url, ("rest", "http", "alb"))):
            assert address in text


TEMPLATE = str(Path(__file__).parents[2] / "infra" / "cognito-sidecar.yaml")


@pytest.mark.parametrize("given", ["given-secret", None])
async def test_a_template_is_served(given: str | None) -> None:
    options = ["--port", "0", "--template", TEMPLATE, "--parameter", "TokenMinutes=5", "--parameter", "ScopeName=READ"]
    env = {} if given is None else {"COGNITO_SIDECAR_EMULATOR_CLIENT_SECRET": given}
    program = await processes.Program.start(sys.executable, "-m", "proxy", "emulator", *options, env=env)
    try:
        await program.printed("scopes:")
        auth = yaml.safe_load("upstreams:" + program.output.split("upstreams:")[1])["upstreams"]["hello"]["auth"]
        assert auth["scopes"] == ["mydomain.com/READ"]
        assert auth["client_secret"] == given or (given is None and len(auth["client_secret"]) == 51)
        assert "/alb/" not in program.output
        answer = post_token(auth["token_url"], auth["client_id"], auth["client_secret"])
        assert answer["expires_in"] == 300
    finally:
        assert await program.stop() == 0


@pytest.fixture
def two_clients(tmp_path: Path) -> str:
    """The template with one client more."""
    more = """
  Website:
    Type: AWS::Cognito::UserPoolClient
    Properties: {UserPoolId: !Ref UserPool, AllowedOAuthFlows: [code]}
"""
    text = Path(TEMPLATE).read_text(encoding="utf-8").replace("\nOutputs:", f"{more}\nOutputs:")
    file = tmp_path / "two.yaml"
    file.write_text(text)
    return str(file)


async def test_it_prints_every_client_of_a_template(two_clients: str) -> None:
    settings = with_lifetime(read_templates((two_clients,), {}, "secret"), 7)
    async with Emulator(settings) as emulator:
        text = "\n".join(describe(emulator))
    assert "# Website is an app client too, but may not use client_credentials:\n# client_id:" in text
    assert [client.token_lifetime for client in settings.clients] == [7, 7]


async def test_a_template_without_gateways_gives_tokens_all_the_same() -> None:
    async with Emulator(Settings(apis={})) as emulator:
        text = "\n".join(describe(emulator))
    assert "upstreams:" not in text
    assert "# The app client:\n" in text
    assert f'# client_secret: "{emulator.settings.client_secrets[0]}"' in text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--template", "nowhere.yaml"], "nowhere.yaml: cannot be read: no such file or directory"),
        (["--template", TEMPLATE, "--parameter", "No=1"], "--parameter No: no template has it"),
        (
            ["--template", TEMPLATE, "--parameter", "TokenMinutes"],
            "Invalid value for '--parameter': 'TokenMinutes' is not",
        ),
        (
            ["--template", TEMPLATE, "--scope", "a", "--route", "/"],
            "--scope and --route cannot be used with --template",
        ),
        (["--template", TEMPLATE, "--token-lifetime", "0"], "--token-lifetime: expected at least 1 second"),
        (["--parameter", "A=1"], "--parameter needs a --template."),
    ],
)
def test_templates_that_cannot_be_used(command: Run, options: list[str], problem: str) -> None:
    outcome = command("emulator", "--port", "0", *options)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert problem in outcome.err


def test_a_port_in_use(command: Run, taken_port: int) -> None:
    outcome = command("emulator", "--port", str(taken_port))
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"cognito-sidecar: 127.0.0.1:{taken_port}: address already in use\n"


def test_only_this_machine(command: Run) -> None:
    outcome = command("emulator", "--host", "0.0.0.0", "--port", "0")
    assert outcome.code == 2
    assert outcome.err == "--host: 0.0.0.0 is not loopback, and the emulator hands out tokens to whoever asks\n"


def test_every_value_that_cannot_be_used_by_its_option(command: Run) -> None:
    outcome = command(
        *("emulator", "--port", "0", "--client-id", "", "--client-secret", "\t"),
        *("--scope", "a b", "--token-lifetime", "500ms"),
    )
    assert outcome.code == 2
    options = [line.split(": ")[0] for line in outcome.err.splitlines()]
    assert options == ["--client-id", "--client-secret", "--scope", "--token-lifetime"]


@pytest.mark.parametrize("options", [("--port", "70000"), ("--port", "many"), ("--token-lifetime", "long")])
def test_wrong_usage(command: Run, options: tuple[str, ...]) -> None:
    outcome = command("emulator", *options)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
