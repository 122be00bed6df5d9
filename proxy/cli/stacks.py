"""The outputs of CloudFormation stacks: from what `aws cloudformation describe-stacks` printed, or asked for by boto3.

Outputs are no secrets, and nothing here looks for one: where the client secret is kept is all that a stack tells of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.cli.output import one_line
from proxy.errors import ConfigError, SidecarError
from proxy.explanations import secret_remedy

USED: Final = (
    *("TokenUrl", "ClientId", "ClientSecretArn", "Scope"),
    *("RestApiUrl", "HttpApiUrl", "AlbUrl", "AlbHostName", "ReadClientSecretArn"),
)
"""The outputs of infra/*.yaml that a configuration is made of."""

_TIMEOUT_SECONDS: Final = 10
_NO_STACKS: Final = "standard input: expected what `aws cloudformation describe-stacks` prints"


class Stacks(NamedTuple):
    """One stack, or several that belong together."""

    names: tuple[str, ...]
    outputs: Mapping[str, str]


def parse(text: str) -> Stacks:
    """Stacks from JSON documents, one after the other. Raises ConfigError."""
    documents = []
    rest = text.strip()
    try:
        while rest:
            document, end = json.JSONDecoder().raw_decode(rest)
            documents.append(document)
            rest = rest[end:].lstrip()
    except ValueError as error:
        raise ConfigError([f"standard input: not JSON ({error}); aws prints it with --output json"]) from None
    except RecursionError:
        raise ConfigError([_NO_STACKS]) from None
    return _joined(documents)


def fetch(names: Sequence[str], region: str | None) -> Stacks:
    """Stacks by their names, from the AWS account that the environment is for. Raises SidecarError."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise SidecarError(f"--stack takes boto3. {secret_remedy('extra')}") from None
    # boto3 itself knows only the second of the two variables, which AWS's other tools call by the first.
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    config = Config(connect_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS, retries={"total_max_attempts": 2})
    try:
        client = boto3.session.Session().client("cloudformation", region_name=region, config=config)
        return _joined([client.describe_stacks(StackName=name) for name in names])
    except ClientError as error:
        raise SidecarError(f"CloudFormation: {one_line(str(error.response['Error'].get('Message', error)))}") from None
    except (BotoCoreError, ValueError) as error:
        raise SidecarError(f"CloudFormation cannot be asked: {one_line(str(error))}") from None


def _joined(documents: Sequence[Any]) -> Stacks:
    names: list[str] = []
    outputs: dict[str, str] = {}
    owners: dict[str, str] = {}
    for stack in _stacks(documents):
        name = str(stack.get("StackName", ""))
        names.append(name)
        for key, value in _outputs(stack):
            if outputs.setdefault(key, value) != value and key in USED:
                both = f"{owners[key]} and {name}"
                raise ConfigError([f"{key}: the stacks {both} both have this output; ask for one of them"])
            owners.setdefault(key, name)
    return Stacks(tuple(names), outputs)


def _stacks(documents: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for document in documents:
        stacks = document.get("Stacks") if isinstance(document, dict) else None
        if not isinstance(stacks, list) or not all(isinstance(stack, dict) for stack in stacks):
            raise ConfigError([_NO_STACKS])
        yield from stacks


def _outputs(stack: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    outputs = stack.get("Outputs") or []
    if not isinstance(outputs, list):
        raise ConfigError([_NO_STACKS])
    for output in outputs:
        if isinstance(output, dict) and isinstance(output.get("OutputValue"), str):
            yield str(output.get("OutputKey")), output["OutputValue"]
