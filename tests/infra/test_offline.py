"""The same files on this machine: the emulator makes of a template what CloudFormation makes of it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import aiohttp
import pytest

from proxy.cli.emulator import read_templates
from proxy.emulator import Emulator, Settings
from tests.emulator.tools import Caller
from tests.infra.cloud import client
from tests.infra.conftest import INFRA, STACK, Account

FIRST, SECOND = str(INFRA / "cognito-sidecar.yaml"), str(INFRA / "alb.yaml")
GIVEN = {"AWS::StackName": STACK, "TokenMinutes": "90"}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return read_templates((FIRST, SECOND), {**GIVEN, "HostName": "api.example.com"}, "the-secret")


def shape(value: str) -> str:
    """A value without what is made up: ids and endings."""
    value = re.sub(r"[a-z0-9]+(?=\.execute-api)", "ID", value)
    value = re.sub(r"(?<=eu-central-1_)\w+", "ID", value)
    return re.sub(r"(?<=[a-zA-Z]-)[A-Za-z0-9]{12}(-\w{6})?$", "ID", value)


def test_the_outputs_are_those_of_the_stack(account: Account, settings: Settings) -> None:
    ours = {name: shape(value) for name, _, value in settings.stack.outputs if not name.startswith("Alb")}
    theirs = {name: shape(value) for name, value in account.outputs.items()}
    assert ours.pop("ClientId")
    assert theirs.pop("ClientId")  # moto's are shaped unlike Cognito's
    assert ours == theirs


def test_client_and_scopes_are_those_of_the_stack(account: Account, settings: Settings) -> None:
    pool = account.resources["UserPool"]["PhysicalResourceId"]
    described = account.service("cognito-idp").describe_user_pool_client(
        UserPoolId=pool, ClientId=account.outputs["ClientId"]
    )["UserPoolClient"]
    assert settings.scopes == tuple(described["AllowedOAuthScopes"])
    assert settings.token_lifetime == described["AccessTokenValidity"] * 60
    held = account.service("secretsmanager").get_secret_value(SecretId=account.outputs["ClientSecretArn"])
    [(_, text)] = settings.stack.secrets
    assert json.loads(text).keys() == json.loads(held["SecretString"]).keys()


async def test_hello_world_through_each_gateway(settings: Settings) -> None:
    async with Emulator(settings) as emulator, aiohttp.ClientSession() as session:
        caller = Caller(emulator, session)
        secret = await asyncio.to_thread(_secret, emulator)
        assert secret == {"client_id": settings.client_id, "client_secret": "the-secret"}
        token = await caller.token()
        answers = {kind: (await caller.get(f"/{kind}/", token)).json for kind in ("rest", "http", "alb")}
        assert all(answer == {"message": "Hello World!"} for answer in answers.values()), answers
        # Routes and scopes are the template's own.
        assert (await caller.get("/rest/hello", token)).json == {"message": "Missing Authentication Token"}
        assert (await caller.ask("POST", "/http/")).json == {"message": "Not Found"}
        for kind, status in (("rest", 401), ("http", 403), ("alb", 401)):
            assert (await caller.get(f"/{kind}/", emulator.issue("mydomain.com/OTHER"))).status == status


def _secret(emulator: Emulator) -> Any:
    """What a program on AWS would read, by the output that names it."""
    arn = next(value for name, _, value in emulator.settings.stack.outputs if name == "ClientSecretArn")
    return json.loads(client("secretsmanager", emulator.base_url).get_secret_value(SecretId=arn)["SecretString"])
