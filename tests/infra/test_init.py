"""`init` by the stack: what CloudFormation tells becomes a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests import processes
from tests.infra.cloud import REGION
from tests.infra.conftest import STACK, Account

DUMMY = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


async def test_by_name(account: Account) -> None:
    env = DUMMY | {"AWS_ENDPOINT_URL": account.endpoint}
    ended = await processes.run_command("init", "--stack", STACK, "--region", REGION, "--api", "http", env=env)
    assert (ended.code, ended.stderr) == (0, b"")
    upstream = yaml.safe_load(ended.stdout)["upstreams"][STACK]
    assert upstream["url"] == account.outputs["HttpApiUrl"]
    assert upstream["auth"] == {
        "token_url": account.outputs["TokenUrl"],
        "client_id": account.outputs["ClientId"],
        "client_secret": {"secrets_manager": account.outputs["ClientSecretArn"], "key": "client_secret"},
        "scopes": [account.outputs["Scope"]],
    }


async def test_the_file_is_right_for_whoever_may_read_the_secret(account: Account, tmp_path: Path) -> None:
    env = DUMMY | {"AWS_ENDPOINT_URL": account.endpoint, "AWS_REGION": REGION}
    file = str(tmp_path / "sidecar.yaml")
    assert await processes.run_command("init", "--stack", STACK, "--output", file, env=env) == (0, b"", b"")
    checked = await processes.run_command("check", "--config", file, env=env)
    assert (checked.code, checked.stderr) == (0, b"")
    assert f"{STACK}: 127.0.0.1:8080/ -> {account.outputs['RestApiUrl']}" in checked.stdout.decode()
    pool = account.resources["UserPool"]["PhysicalResourceId"]
    client = account.service("cognito-idp").describe_user_pool_client(
        UserPoolId=pool, ClientId=account.outputs["ClientId"]
    )["UserPoolClient"]
    assert client["ClientSecret"].encode() not in checked.stdout


async def test_what_aws_prints_comes_to_the_same(account: Account) -> None:
    env = DUMMY | {"AWS_ENDPOINT_URL": account.endpoint, "AWS_REGION": REGION}
    by_name = await processes.run_command("init", "--stack", STACK, env=env)
    printed = json.dumps(account.stacks, default=str).encode()
    piped = await processes.run_command("init", stdin=printed)
    assert by_name.code == 0
    assert piped == by_name


async def test_a_stack_that_is_not_there(account: Account) -> None:
    env = DUMMY | {"AWS_ENDPOINT_URL": account.endpoint}
    ended = await processes.run_command("init", "--stack", "other", "--region", REGION, env=env)
    assert (ended.code, ended.stdout) == (1, b"")
    assert ended.stderr == b"cognito-sidecar: CloudFormation: Stack with id other does not exist\n"
