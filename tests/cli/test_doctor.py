"""`doctor`: what a person sees, and what a program reads."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli import doctor as module
from proxy.doctor.finding import fail, ok, skip, warn
from proxy.emulator import Emulator
from proxy.explanations import OTHER
from tests.cli.conftest import Outcome, Run
from tests.processes import run_program
from tests.tokens.shared.engines import valkey

TOO_SHORT = OTHER["short_life"]
RunBeside = Callable[..., Awaitable[Outcome]]


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture
def doctor(command: Run, emulator: Emulator, tmp_path: Path) -> RunBeside:
    """Run `doctor` on a thread beside the emulator: `good` and `bad` are configured, the second with a wrong secret."""

    def upstream(number: int, secret: Any) -> dict[str, Any]:
        settings = emulator.settings
        auth = {"token_url": emulator.token_url, "client_id": settings.client_id, "client_secret": secret}
        return {
            "listen": f"127.0.0.1:{8080 + number}",
            "url": emulator.gateway_url("rest"),
            "auth": {**auth, "scopes": list(settings.scopes)},
        }

    async def run(*argv: str, cache: Any = "", bad: Any = "wrong_secret_of_ours", **others: Any) -> Outcome:
        upstreams = {
            "good": upstream(0, emulator.settings.client_secrets[0]),
            "bad": upstream(1, bad),
        }
        file = tmp_path / "sidecar.yaml"
        shared = {"token_cache": {"url": cache, "timeout": "5s"}} if cache else {}
        file.write_text(yaml.safe_dump({"upstreams": upstreams, **shared, **others}, sort_keys=False))
        return await asyncio.to_thread(command, "doctor", *argv, "--config", str(file))

    return run


async def test_an_upstream_that_works(doctor: RunBeside, emulator: Emulator) -> None:
    outcome = await doctor("good")
    assert outcome.code == 0, outcome
    lines = outcome.out.splitlines()
    assert lines[0] == f"good  {emulator.gateway_url('rest')}"
    assert "  ✓ upstream: with the token: a REST API answers 200" in lines
    assert emulator.settings.client_secrets[0] not in outcome.out


async def test_what_fails_is_explained_in_two_lines(doctor: RunBeside) -> None:
    outcome = await doctor()
    assert outcome.code == 1
    good, bad = outcome.out.split("\n\n")
    assert "✗" not in good
    lines = bad.splitlines()
    at = lines.index("  ✗ token: invalid_client: the token endpoint does not accept this client id and secret")
    assert lines[at + 1].startswith("      to do: Compare client_id and client_secret with the app client")
    assert "  - upstream: with the token: not tried, because of what failed before" in lines
    assert "wrong_secret_of_ours" not in outcome.out + outcome.err


async def test_for_programs(doctor: RunBeside) -> None:
    outcome = await doctor("bad", "--json")
    told = json.loads(outcome.out)
    assert (outcome.code, told["ok"], [*told["upstreams"]]) == (1, False, ["bad"])
    [failure] = [step for step in told["upstreams"]["bad"] if step["result"] == "fail"]
    assert (failure["step"], failure["name"]) == ("token", "invalid_client")
    assert failure["meaning"] == "the token endpoint does not accept this client id and secret"
    assert failure["to_do"].startswith("Compare client_id")
    good = json.loads((await doctor("good", "--json")).out)
    assert good["ok"] is True


UNREADABLE = {
    "file": ({"file": "/nonexistent"}, "file /nonexistent cannot be read: no such file or directory"),
    "variable": ({"env": "NOT_SET_HERE"}, "environment variable NOT_SET_HERE is not set"),
    "secret": (
        {"secrets_manager": "orders", "region": "eu-central-1"},
        "secret orders in eu-central-1: there are no AWS credentials to read it with, or AWS does not accept them",
    ),
}


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize("kind", [*UNREADABLE])
async def test_credentials_that_cannot_be_read(doctor: RunBeside, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    source, why = UNREADABLE[kind]
    outcome = await doctor(bad=source)
    assert (outcome.code, outcome.err) == (1, "")
    good, bad = outcome.out.split("\n\n")
    assert "  ✓ upstream: with the token: a REST API answers 200" in good.splitlines()
    lines = bad.splitlines()
    at = lines.index(f"  ✗ credentials: auth.client_secret: {why}")
    assert any(line.startswith("      to do: ") for line in lines[at + 1 : at + 3])
    assert "  - token: not tried, because of what failed before" in lines

    told = json.loads((await doctor("--json", bad=source)).out)
    [failure] = [step for step in told["upstreams"]["bad"] if step["result"] == "fail"]
    assert (told["ok"], failure["step"], failure["detail"]) == (False, "credentials", f"auth.client_secret: {why}")
    assert failure["meaning"]
    assert failure["to_do"]
    assert (await doctor("good", bad=source)).code == 0, "the other one is not asked about"


async def test_a_value_of_no_upstream_that_cannot_be_read(doctor: RunBeside) -> None:
    outcome = await doctor("good", "--json", require_header={"name": "X-Key", "value": {"env": "NOT_SET_HERE"}})
    told = json.loads(outcome.out)
    assert (outcome.code, told["ok"]) == (1, False)
    assert {step["result"] for step in told["upstreams"]["good"]} == {"ok"}
    [failure] = told["configuration"]
    assert failure["detail"] == "require_header.value: environment variable NOT_SET_HERE is not set"


async def test_an_address_that_cannot_be_read(doctor: RunBeside) -> None:
    outcome = await doctor("good", cache={"env": "NOT_SET_HERE"})
    assert outcome.code == 1
    assert outcome.out.split("\n\n")[1].splitlines()[:2] == [
        "token_cache",
        "  ✗ address: url: environment variable NOT_SET_HERE is not set",
    ]


async def test_a_configuration_that_is_wrong_otherwise(doctor: RunBeside) -> None:
    outcome = await doctor("--json", bad={"env": "NOT_SET_HERE"}, colour="blue")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines() == [
        "upstreams.bad.auth.client_secret: environment variable NOT_SET_HERE is not set",
        "colour: unknown key",
    ]


async def test_a_token_cache(doctor: RunBeside, tmp_path: Path) -> None:
    async with valkey(tmp_path) as engine:
        outcome = await doctor("good", cache=engine.url)
        assert outcome.code == 0, outcome
        _, cache = outcome.out.split("\n\n")
        assert cache.splitlines()[0] == f"token_cache  {engine.url}"
        assert "  ✓ token cache: entry: stored, read and removed in " in cache
    outcome = await doctor("good", "--json", cache=engine.url)
    told = json.loads(outcome.out)
    assert (outcome.code, told["ok"]) == (1, False)
    assert [(step["step"], step["result"]) for step in told["token_cache"]] == [
        ("token cache: connection", "fail"),
        ("token cache: entry", "skip"),
    ]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("nobody",), "No such upstream 'nobody'. The configuration has good, bad."),
        (("--path", "orders"), "'orders' does not begin with a slash."),
        (("--path", "/two words"), "'/two words' has characters that must be percent-encoded."),
        (("--path", "/x\r\nX-Other: 1"), "has characters that must be percent-encoded."),
        (("--path", "/a#b"), "has characters that must be percent-encoded."),
        (("--method", "trace"), "'trace' is no method that the sidecar forwards."),
        (("--method", "GET /"), "'GET /' is no method that the sidecar forwards."),
    ],
)
async def test_wrong_usage(doctor: RunBeside, argv: tuple[str, ...], said: str) -> None:
    outcome = await doctor(*argv)
    assert outcome.code == 2
    assert said in outcome.err


def test_marks_where_there_is_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    for finding in (ok("a", "x"), warn("b", "x\ny", "short_life"), fail("c", "x", "timeout"), skip("d", "of c")):
        module.show(finding)
    assert capsys.readouterr().out.splitlines() == [
        "  ✓ a: x",
        "  ! b: x y",
        "      means: the token lives for less than five minutes",
        f"      to do: {TOO_SHORT.remedy}",
        "  ✗ c: x",
        "      means: the token endpoint did not answer in time",
        "      to do: Check the way there (egress rules, proxy, DNS); raise auth.request_timeout if it is only slow.",
        "  - d: not tried, of c",
    ]


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"NO_COLOR": "", "TERM": "xterm"}, "\x1b[31m✗\x1b[0m"),
        ({"NO_COLOR": "1", "TERM": "xterm"}, "✗"),
        ({"NO_COLOR": "", "TERM": "dumb"}, "✗"),
    ],
)
def test_colours_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], shown: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    module.show(fail("c", "x", "timeout"))
    assert capsys.readouterr().out.startswith(f"  {shown} c: x\n")


async def test_a_terminal_whose_encoding_lacks_a_character(emulator: Emulator, tmp_path: Path) -> None:
    """Of the name of a file, say: it is shown as an escape, and nothing fails for that."""
    (tmp_path / "☃").write_text("wrong_secret_of_ours")
    auth = {"token_url": emulator.token_url, "client_id": "x", "client_secret": {"file": "☃"}}
    upstream = {"listen": "127.0.0.1:8080", "url": emulator.gateway_url("rest"), "auth": auth}
    file = tmp_path / "sidecar.yaml"
    file.write_text(yaml.safe_dump({"upstreams": {"x": upstream}}))
    argv = ("-m", "proxy", "doctor", "--config", str(file))
    told = await run_program(sys.executable, *argv, env={"PYTHONIOENCODING": "latin-1"})
    assert told.code == 1, told
    assert b"  ok credentials: client id from the configuration itself, secret from file " in told.stdout
    assert b"/\\u2603" in told.stdout
