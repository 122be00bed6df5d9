"""docs/rotation.md: run as it stands, and its steps once more on real processes while callers run."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.emulator import Emulator, Settings
from tests import documents
from tests.e2e.world import World, until, world
from tests.processes import StartSidecar, free_port, require_program

PAGE = (documents.ROOT / "docs" / "rotation.md").read_text(encoding="utf-8")
AWS = documents.commands(PAGE, "aws")

# ------------------------------------------------------------------------------------------------------ the document


async def test_the_offline_half_is_as_it_says(tmp_path: Path) -> None:
    require_program("curl")
    emulator, sidecar, admin = (str(free_port()) for _ in range(3))
    # Other ports than the usual ones, where somebody else may be.
    ports = {"9229": emulator, "127.0.0.1:8080": f"127.0.0.1:{sidecar}", "127.0.0.1:9090": f"127.0.0.1:{admin}"}
    elsewhere = {"# sidecar.yaml\n": f"# sidecar.yaml\nadmin: {{listen: 127.0.0.1:{admin}}}\n"}
    assert await documents.run(PAGE, tmp_path, changed=ports | elsewhere) == ""
    assert os.listdir(tmp_path) == [], "it clears away what it made"


@pytest.mark.parametrize("words", AWS, ids=" ".join)
def test_each_of_awss_commands_exists(words: list[str]) -> None:
    assert documents.unknown_to_aws(words) == set()


def test_a_secret_is_written_to_files_of_ones_own_only() -> None:
    writers = [block for block in documents.blocks(PAGE, "sh") if "> client_secret" in block]
    assert len(writers) == 2
    assert all(block.startswith("umask 077\n") for block in writers)


def test_it_has_both_halves() -> None:
    assert {words[2] for words in AWS} >= {
        "add-user-pool-client-secret",
        "list-user-pool-client-secrets",
        "delete-user-pool-client-secret",
        "put-secret-value",
    }
    assert len(documents.steps(PAGE)) > 20


# ------------------------------------------------------------------------------------------------- while callers run


async def secrets(w: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await w.status())["secrets"]
    return found


async def gauge(w: World) -> list[str]:
    """`client_secret_in_use` of each place."""
    _, metrics = await w.page("/metrics")
    lines = [line for line in metrics.splitlines() if line.startswith("cognito_sidecar_client_secret_in_use{")]
    return [line.rpartition(" ")[2] for line in lines]


async def test_the_whole_story_with_files(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    first, second = tmp_path / "client_secret_new", tmp_path / "client_secret"
    first.write_text(Settings().client_secrets[0])
    both = [{"file": str(first)}, {"file": str(second)}]
    async with world(
        sidecar_process, tmp_path, settings=Settings(token_lifetime=8), auth={"client_secret": both, "refresh_at": 0.8}
    ) as w:
        going = True
        load = asyncio.ensure_future(w.load(lambda: going, callers=4))

        # 0. Both files hold the same secret.
        [only] = await secrets(w)
        assert only["in_use"]
        assert (await w.status())["secret"] == "1 of 1"
        assert await gauge(w) == ["1.0"]

        # 1. and 2. A second one at the token endpoint, and in the first place.
        new = w.emulator.rotate_secret()
        first.write_text(new + "\n")
        await w.sidecar.printed("client_secret_changed")

        # 3. It is used from the next renewal on.
        async def switched() -> bool:
            return bool((await w.status())["secret"] == "1 of 2")

        await until(switched)
        used, old = await secrets(w)
        assert (used["in_use"], old["in_use"]) == (True, False)
        assert used["in_use_since"] == used["accepted_at"]
        assert old["accepted_at"] <= used["in_use_since"]
        assert await gauge(w) == ["1.0", "0.0"]

        # 4. The old one is deleted at the token endpoint; it was not used any more.
        w.emulator.revoke_secret()
        calls = w.emulator.token_calls

        async def renewed() -> bool:
            await w.get()
            return w.emulator.token_calls > calls

        await until(renewed)
        assert (await secrets(w))[1]["accepted_at"] == old["accepted_at"]

        # 5. And here.
        second.write_text(new)

        async def alone() -> bool:
            return bool((await w.status())["secret"] == "1 of 1")

        await until(alone)
        assert await gauge(w) == ["1.0"]
        going = False
        answers = await load

        assert {status for status, _ in answers} == {200}
        told = await w.status()
        assert w.emulator.calls()["token"]["by_outcome"] == {"success": told["token_number"]}, "no call was wasted"
        assert told["token_calls"] == {"success": told["token_number"], "failure": 0}
        assert new not in w.sidecar.output


async def test_a_new_secret_that_was_copied_wrongly(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    first, second = tmp_path / "client_secret_new", tmp_path / "client_secret"
    first.write_text(Settings().client_secrets[0])
    both = [{"file": str(first)}, {"file": str(second)}]
    async with world(
        sidecar_process, tmp_path, settings=Settings(token_lifetime=8), auth={"client_secret": both, "refresh_at": 0.8}
    ) as w:
        w.emulator.rotate_secret()
        first.write_text("not-what-it-should-be")
        answers = await w.load(lambda: "client_secret_switched" not in w.sidecar.output and _refused(w) == 0, callers=2)
        calls = w.emulator.token_calls
        answers += await w.load(lambda: w.emulator.token_calls < calls + 2, callers=2)

        assert {status for status, _ in answers} == {200}
        wrong, old = await secrets(w)
        assert wrong["refused_at"] is not None
        assert wrong["accepted_at"] is None
        assert old["in_use"]
        assert await gauge(w) == ["0.0", "1.0"]
        assert _refused(w) == 1, "it is not tried again and again"


def _refused(w: World) -> int:
    count: int = w.emulator.calls()["token"]["by_outcome"].get("invalid_client", 0)
    return count


async def test_the_whole_story_with_environment_variables(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    """Each step is another process beside the present one, which drains once callers have gone over."""
    async with Emulator(Settings(token_lifetime=60)) as emulator, AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        present: list[World] = []
        running: list[AsyncExitStack] = []

        async def replace(*variables: str, **env: str) -> list[dict[str, Any]]:
            """What the next process says of its secrets, after the one before has ended."""
            auth = {
                "token_url": emulator.token_url,
                "client_id": emulator.settings.client_id,
                "client_secret": [{"env": name} for name in variables],
                "scopes": list(emulator.settings.scopes),
            }
            config = {
                "upstreams": {"http": {"url": emulator.gateway_url("http"), "auth": auth}},
                "shutdown": {"delay": "1s"},
            }
            life = await stack.enter_async_context(AsyncExitStack())
            sidecar = await life.enter_async_context(sidecar_process(config, env))
            present[:] = [World(emulator, sidecar, session, tmp_path)]
            running.append(life)
            if len(running) > 1:
                await running.pop(0).aclose()
            return await secrets(present[0])

        statuses: set[int] = set()

        async def caller() -> None:
            while present:
                statuses.add((await present[0].get())[0])

        old = emulator.settings.client_secrets[0]
        [only] = await replace("SECRET", SECRET=old)
        assert (only["origin"], only["in_use"]) == ("env SECRET", True)
        load = asyncio.gather(caller(), caller())
        new = emulator.rotate_secret()
        first, second = await replace("SECRET", "SECRET_OLD", SECRET=new, SECRET_OLD=old)
        assert (first["in_use"], second["in_use"], second["accepted_at"]) == (True, False, None)
        emulator.revoke_secret()
        [only] = await replace("SECRET", SECRET=new)
        assert only["in_use"]
        present.clear()
        await load
        assert statuses == {200}
        assert emulator.calls()["token"]["by_outcome"] == {"success": 3}, "one for each start"
