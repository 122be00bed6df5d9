"""`token`: against the emulator, which judges credentials as Cognito does."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.token import claims
from proxy.emulator import Emulator
from proxy.errors import SidecarError
from proxy.explanations import TOKEN
from tests.cli.conftest import Outcome, Run

RunBeside = Callable[..., Awaitable[Outcome]]


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture
def token(command: Run, emulator: Emulator, tmp_path: Path) -> RunBeside:
    """Run `token` on a thread beside the emulator, with an `auth` that is changed as given."""

    async def run(*argv: str, names: tuple[str, ...] = ("orders",), **changes: Any) -> Outcome:
        settings = emulator.settings
        auth = {
            "token_url": emulator.token_url,
            "client_id": settings.client_id,
            "client_secret": settings.client_secrets[0],
            **changes,
        }
        upstreams = {
            name: {"listen": f"127.0.0.1:{number}", "url": emulator.gateway_url("rest"), "auth": auth}
            for number, name in enumerate(names, 8080)
        }
        file = tmp_path / "sidecar.yaml"
        file.write_text(yaml.safe_dump({"upstreams": upstreams}, sort_keys=False))
        return await asyncio.to_thread(command, "token", *argv, "--config", str(file))

    return run


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.mark.parametrize("argv", [("orders",), ()])
async def test_prints_a_token_and_nothing_else(token: RunBeside, emulator: Emulator, argv: tuple[str, ...]) -> None:
    outcome = await token(*argv)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count("\n") == 1
    assert payload(outcome.out.strip())["client_id"] == emulator.settings.client_id
    assert emulator.token_calls == 1


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "Authorization: Bearer ey"),
        ({"header": "X-Token", "scheme": "Token"}, "X-Token: Token ey"),
        ({"scheme": ""}, "Authorization: ey"),
    ],
)
async def test_header_is_the_line_that_the_sidecar_sends(token: RunBeside, changes: dict[str, str], start: str) -> None:
    outcome = await token("--header", **changes)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(start)


async def test_decode_prints_the_claims_and_promises_nothing(token: RunBeside, emulator: Emulator) -> None:
    outcome = await token("orders", "--decode")
    assert outcome.code == 0
    assert json.loads(outcome.out)["scope"] == " ".join(emulator.settings.scopes)
    assert outcome.err == "note: the signature was not verified\n"


async def test_the_second_secret_is_tried(token: RunBeside, emulator: Emulator) -> None:
    outcome = await token(client_secret=["gone-since-the-rotation", emulator.settings.client_secrets[0]])
    assert (outcome.code, outcome.err) == (0, "")
    assert emulator.calls()["token"]["by_outcome"] == {"invalid_client": 1, "success": 1}


@pytest.mark.parametrize("wrong", ["not-the-secret", ["not-the-secret", "nor-this-one"]])
async def test_refused(token: RunBeside, wrong: str | list[str]) -> None:
    outcome = await token(client_secret=wrong)
    assert outcome == (
        1,
        "",
        (
            "cognito-sidecar: invalid_client: the token endpoint does not accept this client id and secret. "
            f"{TOKEN['invalid_client'].remedy}\n"
        ),
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"fault": "status", "status": 429}, "throttled"),
        ({"fault": "html"}, "malformed_response"),
        ({"fault": "drop"}, "connection"),
        ({"fault": "error", "error": "unauthorized_client"}, "unauthorized_client"),
    ],
)
async def test_each_failure_is_one_line_with_its_reason(
    token: RunBeside, emulator: Emulator, fault: dict[str, Any], reason: str
) -> None:
    emulator.set_faults({"token": [fault]})
    outcome = await token(client_secret=["one-secret", "two-secret"])
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert outcome.err.startswith(f"cognito-sidecar: {reason}: ")
    assert "-secret" not in outcome.err
    assert emulator.token_calls == 1


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("order",), "No such upstream 'order'. The configuration has orders, billing."),
        ((), "Which upstream? The configuration has orders, billing."),
    ],
)
async def test_which_upstream(token: RunBeside, emulator: Emulator, argv: tuple[str, ...], says: str) -> None:
    outcome = await token(*argv, names=("orders", "billing"))
    assert outcome == (2, "", f"cognito-sidecar: {says} Try 'cognito-sidecar token --help'.\n")
    assert emulator.token_calls == 0


def test_a_wrong_configuration(command: Run) -> None:
    outcome = command("token", "orders", "--config", "/not/there.yaml")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("opaque", ["an-opaque-token", "a.b.c", "ey.ey.ey"])
def test_a_token_that_is_no_jwt_has_no_claims_and_is_not_quoted(opaque: str) -> None:
    with pytest.raises(SidecarError, match="not a JWT") as caught:
        claims(opaque)
    assert opaque not in str(caught.value)
