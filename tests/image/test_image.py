"""The image as a cluster runs it: read-only, without capabilities, as nobody in particular."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from proxy.emulator import Emulator
from proxy.version import __version__
from tests.image.builder import ROOT, Builder
from tests.processes import Program, free_port, run_program

pytestmark = pytest.mark.timeout(600)


def _write(folder: Path, emulator: Emulator) -> dict[str, Any]:
    settings = emulator.settings
    config = {
        "upstreams": {
            "hello": {
                "listen": f"127.0.0.1:{free_port()}",
                "url": emulator.gateway_url("rest"),
                "auth": {
                    "token_url": emulator.token_url,
                    "client_id": settings.client_id,
                    "client_secret": {"file": "client_secret"},
                    "scopes": list(settings.scopes),
                },
            }
        },
        "admin": {"listen": f"127.0.0.1:{free_port()}"},
    }
    folder.mkdir(mode=0o755)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "client_secret").write_text(settings.client_secrets[0] + "\n")
    for file in folder.iterdir():
        file.chmod(0o444)
    return config


async def test_it_serves_as_nobody_from_a_read_only_file_system(tmp_path: Path) -> None:
    builder = Builder(tmp_path)
    await builder.build("--build-arg", f"VERSION={__version__}", "--build-arg", "REVISION=0123456789abcdef")
    labels = await builder.labels()
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.revision"] == "0123456789abcdef"
    layers = await builder.layers()
    report = "\n".join(f"{layer.size:>9}  {layer.made_by}" for layer in layers)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "image.txt").write_text(f"The image by layer, the newest first:\n{report}\n")
    assert len(layers) == 3, "the base, the dependencies, the program"

    folder = tmp_path / "config"
    async with Emulator() as emulator, aiohttp.ClientSession() as session:
        config = _write(folder, emulator)
        checked = await run_program(*builder.command(folder, "check"))
        assert checked.code == 0, checked
        broken = tmp_path / "broken"
        broken.mkdir(mode=0o755)
        (broken / "config.yaml").write_text("upstreams: {}\n")
        (broken / "config.yaml").chmod(0o444)
        assert (await run_program(*builder.command(broken, "check"))).code == 2

        sidecar = await Program.start(*builder.command(folder))
        try:
            waited = await run_program(*builder.command(folder, "wait", "--timeout", "20s"))
            assert waited.code == 0, (waited, sidecar.output)
            local = config["upstreams"]["hello"]["listen"]
            async with session.get(f"http://{local}/") as response:
                assert (response.status, await response.read()) == (200, b'{"message": "Hello World!"}')
            async with session.get(f"http://{config['admin']['listen']}/status") as response:
                assert json.loads(await response.text())["version"] == __version__
            healthy = await run_program(*builder.command(folder, "healthcheck"))
            assert healthy.code == 0, healthy
        finally:
            code = await sidecar.stop()
        assert code == 0, sidecar.output
        after = await asyncio.wait_for(run_program(*builder.command(folder, "healthcheck")), 30)
        assert after.code == 1
