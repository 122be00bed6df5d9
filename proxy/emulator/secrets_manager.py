"""Secrets Manager, as far as a template puts secrets into it: GetSecretValue, so that AWS's SDKs find them here.

`AWS_ENDPOINT_URL_SECRETS_MANAGER` leads an SDK to the emulator's origin. Signatures are not looked at. Source: Secrets
Manager API reference, "GetSecretValue".
"""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

from proxy.emulator.answers import Answer, Fields, compact
from proxy.emulator.settings import Stack

_TARGET: Final = "secretsmanager.GetSecretValue"
_CURRENT: Final = "AWSCURRENT"
_FIELDS: Final[Fields] = (("Content-Type", "application/x-amz-json-1.1"),)


def answer(target: str, body: bytes, stack: Stack, now: float) -> Answer:
    """What Secrets Manager answers; `now` is when its secrets were made, in Unix time."""
    if target != _TARGET:
        return _refused("UnknownOperationException", "the emulator has GetSecretValue only")
    try:
        asked = json.loads(body)
    except ValueError:
        asked = None
    if not isinstance(asked, dict) or not isinstance(asked.get("SecretId"), str):
        return _refused("ValidationException", "SecretId: expected a text")
    found = next(((arn, text) for arn, text in stack.secrets if _is_called(arn, asked["SecretId"])), None)
    if found is None:
        return _refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if (stage := asked.get("VersionStage", _CURRENT)) != _CURRENT:
        what = f"Secrets Manager can't find the specified secret value for staging label: {stage}"
        return _refused("ResourceNotFoundException", what)
    arn, text = found
    value: dict[str, Any] = {
        "ARN": arn,
        "CreatedDate": int(now),
        "Name": _name(arn),
        "SecretString": text,
        "VersionId": str(uuid.uuid5(uuid.NAMESPACE_URL, arn)),
        "VersionStages": [_CURRENT],
    }
    return Answer(200, _FIELDS, compact(value), "secret")


def _name(arn: str) -> str:
    """An ARN ends with the secret's name, a hyphen and six or more characters of chance."""
    return arn.rpartition(":")[2].rpartition("-")[0]


def _is_called(arn: str, name: str) -> bool:
    return name in {arn, _name(arn)}


def _refused(error: str, message: str) -> Answer:
    return Answer(400, _FIELDS, compact({"__type": error, "Message": message}), error)
