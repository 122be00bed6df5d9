"""A Secrets Manager of its own process (moto's), and the environment in which a sidecar finds it."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.infra.cloud import REGION, client
from tests.processes import Program

__all__ = ["REGION", "Manager", "manager"]

_numbers = itertools.count(1)


class Manager:
    """What a test does to secrets, by boto3, from outside of the sidecar."""

    def __init__(self, program: Program, endpoint: str) -> None:
        self.program = program
        self.endpoint = endpoint
        self._client = client("secretsmanager", endpoint)

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 in another process has to know, as somebody who runs it against a stand-in sets it."""
        return {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing-secret-access-key",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def create(self, text: str) -> str:
        """A new secret; its name."""
        name = f"test/orders-{next(_numbers)}"
        self._client.create_secret(Name=name, SecretString=text)
        return name

    def create_client(self, client_id: str, client_secret: str) -> str:
        """A new secret as the project's own CloudFormation template makes one; its name."""
        return self.create(json.dumps({"client_id": client_id, "client_secret": client_secret}))

    def put(self, name: str, text: str) -> None:
        """A new version: what was AWSCURRENT becomes AWSPREVIOUS."""
        self._client.put_secret_value(SecretId=name, SecretString=text)

    def arn(self, name: str) -> str:
        return str(self._client.describe_secret(SecretId=name)["ARN"])

    def remove_previous(self, name: str) -> None:
        """Take the stage AWSPREVIOUS off, as whoever ends a rotation by hand does."""
        versions: dict[str, list[str]] = self._client.describe_secret(SecretId=name)["VersionIdsToStages"]
        [version] = [version for version, stages in versions.items() if "AWSPREVIOUS" in stages]
        self._client.update_secret_version_stage(SecretId=name, VersionStage="AWSPREVIOUS", RemoveFromVersionId=version)


@asynccontextmanager
async def manager(**environment: Any) -> AsyncIterator[Manager]:
    """One that is there while this is entered."""
    program = await Program.start(sys.executable, "-m", "tests.infra.cloud", env=environment)
    try:
        yield Manager(program, (await program.printed("http://")).split()[-1])
    finally:
        await program.stop()
