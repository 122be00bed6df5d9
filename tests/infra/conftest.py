"""The two templates as plain data, and one account for all tests of this folder, in which the first is a stack."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cfnlint.decode import decode

from tests import processes
from tests.infra.cloud import client

INFRA = Path(__file__).parents[2] / "infra"
STACK = "hello"


def read(name: str) -> dict[str, Any]:
    """A template with its functions in their long form, as cfn-lint reads it."""
    template, problems = decode(str(INFRA / name))
    assert problems == []
    return dict(template or {})


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    return read("cognito-sidecar.yaml")


@pytest.fixture(scope="session")
def alb() -> dict[str, Any]:
    return read("alb.yaml")


class Account:
    """An account with the stack in it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def service(self, name: str) -> Any:
        return client(name, self.endpoint)

    @property
    def stacks(self) -> dict[str, Any]:
        """What `aws cloudformation describe-stacks` prints."""
        answer: dict[str, Any] = self.service("cloudformation").describe_stacks(StackName=STACK)
        return answer

    @property
    def outputs(self) -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.stacks["Stacks"][0]["Outputs"]}

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """What became of each resource, by its logical name."""
        summaries = self.service("cloudformation").list_stack_resources(StackName=STACK)["StackResourceSummaries"]
        return {one["LogicalResourceId"]: one for one in summaries}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def account() -> AsyncIterator[Account]:
    program = await processes.Program.start(sys.executable, "-m", "tests.infra.cloud")
    try:
        account = Account((await program.printed("http://")).split()[-1])
        account.service("cloudformation").create_stack(
            StackName=STACK,
            TemplateBody=(INFRA / "cognito-sidecar.yaml").read_text(encoding="utf-8"),
            Parameters=[{"ParameterKey": "TokenMinutes", "ParameterValue": "90"}],
            Capabilities=["CAPABILITY_IAM"],
        )
        yield account
    finally:
        await program.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks first for the account waits for a server and a dozen resources: not quick on a busy machine."""
    for item in items:
        if "account" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(240))
