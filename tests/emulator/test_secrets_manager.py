"""Secrets of a template, asked for by AWS's own SDK."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from proxy.emulator.settings import Stack
from tests.emulator.tools import START, Caller, Opened

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/client-a1b2c3"
TEXT = json.dumps({"client_id": "me", "client_secret": "hidden"})
STACK = Stack(secrets=((ARN, TEXT),))


async def asked(caller: Caller, **wanted: Any) -> Any:
    """GetSecretValue by boto3, or what its error says."""

    def ask() -> Any:
        session = boto3.Session(
            aws_access_key_id="testing", aws_secret_access_key="testing", region_name="eu-central-1"
        )
        try:
            return session.client("secretsmanager", endpoint_url=caller.emulator.base_url).get_secret_value(**wanted)
        except ClientError as error:
            return error.response["Error"]

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize("name", [ARN, "orders/client"])
async def test_a_secret_is_found_by_arn_and_by_name(opened: Opened, name: str) -> None:
    async with opened(stack=STACK) as caller:
        answer = await asked(caller, SecretId=name)
        assert (answer["ARN"], answer["Name"], answer["SecretString"]) == (ARN, "orders/client", TEXT)
        assert answer["VersionStages"] == ["AWSCURRENT"]
        assert answer["CreatedDate"].timestamp() == START
        again = await asked(caller, SecretId=name, VersionStage="AWSCURRENT")
        assert again["VersionId"] == answer["VersionId"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"SecretId": "orders"}, "Secrets Manager can't find the specified secret."),
        ({"SecretId": ARN, "VersionStage": "AWSPREVIOUS"}, "for staging label: AWSPREVIOUS"),
    ],
)
async def test_what_is_not_there(opened: Opened, wanted: dict[str, str], said: str) -> None:
    async with opened(stack=STACK) as caller:
        answer = await asked(caller, **wanted)
        assert answer["Code"] == "ResourceNotFoundException"
        assert said in answer["Message"]


@pytest.mark.parametrize(
    ("target", "body", "error"),
    [
        ("secretsmanager.PutSecretValue", "{}", "UnknownOperationException"),
        ("DynamoDB.GetItem", "{}", "UnknownOperationException"),
        ("secretsmanager.GetSecretValue", "{", "ValidationException"),
        ("secretsmanager.GetSecretValue", '{"SecretId": 1}', "ValidationException"),
    ],
)
async def test_requests_that_are_none(caller: Caller, target: str, body: str, error: str) -> None:
    reply = await caller.ask("POST", "/", headers={"X-Amz-Target": target}, data=body)
    assert (reply.status, reply.json["__type"]) == (400, error)


async def test_no_secret_is_shown_elsewhere(opened: Opened) -> None:
    async with opened(stack=STACK) as caller:
        for path in ("/", "/_emulator/stack", "/_emulator/calls"):
            assert b"hidden" not in (await caller.get(path)).body
        assert "hidden" not in repr(caller.settings)
