"""A real sidecar, whose client secret is in a Secrets Manager that nobody here wrote, rotated while callers run."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.emulator import Settings
from tests.aws.manager import REGION, Manager, manager
from tests.e2e.world import World, until, world
from tests.processes import StartSidecar, run_command

pytestmark = pytest.mark.timeout(180)  # no secret is read twice within ten seconds: this takes its time

CLIENT = Settings()


def source(name: str, key: str) -> dict[str, str]:
    return {"secrets_manager": name, "key": key, "region": REGION}


@asynccontextmanager
async def managed(
    start: StartSidecar,
    directory: Path,
    at: Manager,
    name: str,
    *,
    life: int,
    env: dict[str, str] | None = None,
    **auth: Any,
) -> AsyncIterator[World]:
    """A world whose client id and secret are in the Secrets Manager `at`."""
    auth |= {"client_id": source(name, "client_id"), "client_secret": source(name, "client_secret")}
    async with world(
        start,
        directory,
        settings=Settings(token_lifetime=life),
        auth=auth,
        top={"secrets_manager": {"refresh": "10s"}},
        env=at.environment if env is None else env,
        ready=env is None,
    ) as w:
        yield w


def text(secret: str) -> str:
    return json.dumps({"client_id": CLIENT.client_id, "client_secret": secret})


async def in_use(w: World) -> list[bool]:
    return [secret["in_use"] for secret in (await w.status())["secrets"]]


async def test_a_rotation_under_load(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    """A second secret is made at Cognito, put into Secrets Manager, seen to work; then the first one is deleted."""
    async with manager() as at:
        name = at.create_client(CLIENT.client_id, CLIENT.client_secrets[0])
        async with managed(sidecar_process, tmp_path, at, name, life=6) as w:
            going = True
            load = asyncio.ensure_future(w.load(lambda: going, callers=4))
            assert await in_use(w) == [True]

            secret = w.emulator.rotate_secret()
            at.put(name, text(secret))
            await w.sidecar.printed("client_secret_changed")
            # From the next renewal on the new one is used, the first of the two now. The old one still would do.
            await until(lambda: _is(in_use(w), [True, False]))
            w.emulator.revoke_secret()
            calls = w.emulator.token_calls

            async def renewed_twice() -> bool:
                await w.get()
                return w.emulator.token_calls >= calls + 2

            await until(renewed_twice)
            going = False
            answers = await load

            assert {status for status, _ in answers} == {200}
            assert set(w.emulator.calls()["token"]["by_outcome"]) == {"success"}, "no call was wasted on the old secret"
            shown = w.sidecar.output + (await w.page("/status"))[1] + (await w.page("/metrics"))[1]
            for credential in (secret, CLIENT.client_secrets[0], at.environment["AWS_SECRET_ACCESS_KEY"]):
                assert credential not in shown


async def test_a_secret_that_is_replaced_at_once(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    """Not by the book: the old one is worthless at once. The token lives long enough for the new one to be read; and
    then Secrets Manager goes away."""
    async with manager() as at:
        name = at.create_client(CLIENT.client_id, CLIENT.client_secrets[0])
        async with managed(sidecar_process, tmp_path, at, name, life=60, refresh_at=0.05, refresh_jitter=0) as w:
            going = True
            load = asyncio.ensure_future(w.load(lambda: going, callers=4))
            at.put(name, text(w.emulator.rotate_secret(revoke_old=True)))
            await w.sidecar.printed("client_secret_changed")
            await until(lambda: _is(in_use(w), [True, False]))
            assert [await at.program.stop()] == [0]
            failed = json.loads(await w.sidecar.printed("secret_read_failed"))
            assert (failed["reason"], failed["kept"]) == ("connection", True)
            _, metrics = await w.page("/metrics")
            assert "cognito_sidecar_secret_reads_failing 1.0" in metrics
            going = False
            answers = await load
            assert {status for status, _ in answers} == {200}


async def test_credentials_that_come_late(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with manager() as at:
        name = at.create_client(CLIENT.client_id, CLIENT.client_secrets[0])
        # A profile, as a person's machine has it; an agent writes it when it gets round to it.
        credentials = tmp_path / "credentials"
        env = {
            "AWS_ENDPOINT_URL": at.endpoint,
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_PROFILE": "orders",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        async with managed(sidecar_process, tmp_path, at, name, life=60, env=env) as w:
            waiting = json.loads(await w.sidecar.printed("waiting_for_secrets"))
            assert len(waiting["problems"]) == 2
            assert "there are no AWS credentials" in waiting["problems"][0]
            credentials.write_text("[orders]\naws_access_key_id = a\naws_secret_access_key = b\n")
            await w.sidecar.printed("token_obtained")
            assert await w.get() == (200, b'{"message": "Hello World!"}')


async def test_sigterm_while_it_waits(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    env = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    async with world(
        sidecar_process, tmp_path, auth={"client_secret": source("orders", "s")}, env=env, ready=False
    ) as w:
        await w.sidecar.printed("waiting_for_secrets")
        w.sidecar.send(signal.SIGHUP)
        w.sidecar.send(signal.SIGTERM)
        assert await w.sidecar.ended() == 0


@pytest.mark.parametrize("command", [("check",), ("run",), ("token",)])
async def test_without_the_extra(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "boto3.py").write_text("raise ModuleNotFoundError(\"No module named 'boto3'\")\n")
    config = {
        "upstreams": {
            "orders": {
                "listen": "127.0.0.1:0",
                "url": "https://api.example.com",
                "auth": {
                    "token_url": "https://id.example.com/oauth2/token",
                    "client_id": "id",
                    "client_secret": source("prod/orders", "client_secret"),
                },
            }
        },
        "admin": {"listen": "127.0.0.1:0"},
    }
    file = tmp_path / "sidecar.yaml"
    file.write_text(yaml.safe_dump(config))
    code, out, err = await run_command(*command, "--config", str(file), env={"PYTHONPATH": str(tmp_path)})
    assert (code, out) == (2, b"")
    assert err.decode().splitlines()[-1] == (
        "upstreams.orders.auth.client_secret: secret prod/orders in eu-central-1: "
        "reading it takes boto3. Install the extra: pip install 'cognito-sidecar[aws]'."
    )
    # Whoever has neither the extra nor access to AWS can still have the file checked.
    code, _, err = await run_command("check", "--offline", "--config", str(file), env={"PYTHONPATH": str(tmp_path)})
    assert (code, err) == (0, b"note: secret prod/orders in eu-central-1 was not read\n")


async def _is(asked: Any, expected: object) -> bool:
    return bool(await asked == expected)
