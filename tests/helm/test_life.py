"""The life of a rendered sidecar without a cluster: its command, files and probes, and the emulator for Cognito."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.emulator import Emulator
from tests.helm import rig
from tests.helm.rig import CASES
from tests.processes import Finished, Program, free_port, run_command

ORDERS = "cognitoSidecar__config__upstreams__orders"
SECRETS = "/var/run/secrets/cognito-sidecar"
SOCKETS = "/run/cognito-sidecar"


def _mount(folder: Path, values: dict[str, str]) -> None:
    """A Secret's files as the kubelet has them: links into a directory that it puts another in the place of."""
    data = folder / f"..{len(list(folder.iterdir()))}"
    data.mkdir()
    for name, value in values.items():
        (data / name).write_text(value)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").rename(folder / "..data")


def _settings(emulator: Emulator, admin: Any) -> dict[str, Any]:
    return {
        f"{ORDERS}__listen": f"127.0.0.1:{free_port()}",
        f"{ORDERS}__url": emulator.gateway_url("rest"),
        f"{ORDERS}__auth__token_url": emulator.token_url,
        f"{ORDERS}__auth__scopes": list(emulator.settings.scopes),
        "cognitoSidecar__config__admin": {"listen": admin or f"127.0.0.1:{free_port()}"},
    }


@pytest.mark.parametrize(
    "admin",
    [None, f"unix:{SOCKETS}/admin.sock", {"unix": f"{SOCKETS}/admin.sock", "mode": "0600"}],
    ids=["port", "socket", "mapping"],
)
async def test_it_starts_serves_takes_a_new_secret_and_ends(admin: Any, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    async with Emulator() as emulator, aiohttp.ClientSession() as session:
        settings = _settings(emulator, admin)
        as_json = {name: json.dumps(value) for name, value in settings.items()}
        found = await rig.rendered(CASES["legacy-app"].having(**as_json))
        (pod,), (text,) = rig.pods(found), rig.configurations(found)
        container = rig.sidecar(pod)
        config_file = tmp_path / "config.yaml"
        assert (SOCKETS in text) is bool(admin)
        assert (SOCKETS in rig.writable(pod)) is bool(admin)
        config_file.write_text(text.replace(SECRETS, str(secrets)).replace(SOCKETS, str(tmp_path)))
        client = {"client_id": emulator.settings.client_id}
        _mount(secrets, {**client, "client_secret": emulator.settings.client_secrets[0]})
        env = {"COGNITO_SIDECAR_CONFIG": str(config_file)}

        async def probe(kind: str) -> Finished:
            program, *arguments = container[f"{kind}Probe"]["exec"]["command"]
            assert program == "cognito-sidecar"
            return await run_command(*arguments, env=env)

        async def call() -> tuple[int, str]:
            async with session.get(
                f"http://{settings['cognitoSidecar__config__upstreams__orders__listen']}/"
            ) as answer:
                return answer.status, await answer.text()

        assert (await probe("startup")).code == 1, "it is not there yet"
        running = await Program.start(sys.executable, "-m", "proxy", *container["args"], env=env)
        try:
            assert (await run_command("wait", env=env)).code == 0
            assert [(await probe(kind)).code for kind in ("startup", "liveness")] == [0, 0]
            assert await call() == (200, '{"message": "Hello World!"}')

            _mount(secrets, {**client, "client_secret": emulator.rotate_secret(revoke_old=True)})
            await running.printed("reloaded")
            await emulator.rotate_keys()  # whatever token it has is worth nothing now
            assert await call() == (200, '{"message": "Hello World!"}')
        finally:
            assert await running.stop() == 0, shlex.quote(running.output)
