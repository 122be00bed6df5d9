"""The emulator as a CloudFormation stack tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.emulator import Settings
from proxy.emulator.outputs import local
from proxy.emulator.settings import Stack
from tests.emulator.tools import SCOPE, Caller, Opened


async def shown(caller: Caller) -> dict[str, Any]:
    document = (await caller.get("/_emulator/stack")).json
    [stack] = document["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


async def test_without_a_template_it_has_the_outputs_that_ours_has(caller: Caller) -> None:
    base = caller.emulator.base_url
    assert await shown(caller) == {
        "TokenUrl": f"{base}/oauth2/token",
        "ClientId": caller.settings.client_id,
        "Scope": SCOPE,
        "Issuer": caller.emulator.issuer,
        "RestApiUrl": f"{base}/rest",
        "HttpApiUrl": f"{base}/http",
        "AlbUrl": f"{base}/alb",
    }


async def test_outputs_of_a_stack_lead_here(opened: Opened) -> None:
    stack = Stack(
        name="mine",
        outputs=(("Url", "An address", "https://api.example/dev"), ("Other", "", "https://elsewhere.example/")),
        addresses=(("https://api.example/dev", "rest"),),
    )
    async with opened(stack=stack) as caller:
        document = (await caller.get("/_emulator/stack")).json
        assert document["Stacks"][0] == {
            "StackName": "mine",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [
                {
                    "OutputKey": "Url",
                    "OutputValue": caller.emulator.gateway_url("rest"),
                    "Description": "An address",
                },
                {"OutputKey": "Other", "OutputValue": "https://elsewhere.example/"},
            ],
        }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://a.example", "http://here"),
        ("https://a.example/oauth2/token", "http://here/oauth2/token"),
        ("https://a.example.org/", "https://a.example.org/"),
        ("see https://a.example", "see https://a.example"),
    ],
)
def test_only_an_address_that_begins_a_value_is_another_here(value: str, expected: str) -> None:
    settings = Settings(stack=Stack(addresses=(("https://a.example", "domain"),)))
    assert local(value, settings, {"domain": "http://here"}) == expected
