"""docs/recipes.md: every recipe is run as it stands, in one shell; the Compose file is read."""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from proxy.cli.root import root
from proxy.config import load
from proxy.emulator import Emulator
from tests import documents
from tests.certificates import Authority
from tests.processes import free_port, require_program, run_program
from tests.tokens.servers import http, serving

PAGE = (documents.ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
HELLO = b'{"message": "Hello World!"}'


@asynccontextmanager
async def mutual(folder: Path) -> AsyncIterator[tuple[int, list[str]]]:
    """An API with a certificate for api.example.com, for callers that have one too; its port, and who has called."""
    authority = Authority(folder)
    authority.issue("client")
    context = authority.server_context("api.example.com")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    callers: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        [[[_, subject]]] = writer.get_extra_info("peercert")["subject"]
        scheme = re.search(r"^authorization: (\w+) ey", head, re.IGNORECASE | re.MULTILINE)
        callers.append(f"{subject} {scheme[1] if scheme else 'without a token'}")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(HELLO), HELLO))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], callers
    finally:
        server.close()


@pytest.mark.timeout(180)
async def test_every_recipe_works(tmp_path: Path) -> None:
    for program in ("curl", "wget"):
        require_program(program)
    emulator, sidecar, admin = (free_port() for _ in range(3))
    async with mutual(tmp_path) as (secure, callers):
        told = await documents.run(
            PAGE,
            tmp_path,
            changed={
                "9229": str(emulator),
                "127.0.0.1:8080": f"127.0.0.1:{sidecar}",
                "127.0.0.1:9090": f"127.0.0.1:{admin}",
                "/run/sidecar/orders.sock": str(tmp_path / "orders.sock"),
                # What stands in for API Gateway here has neither that name nor a certificate of the public's trust.
                "https://api.example.com\n": f"https://127.0.0.1:{secure}\n",
                "    tls:\n": "    tls:\n      ca_file: authority.pem\n      server_name: api.example.com\n",
                "\nupstreams:\n": f"\nadmin: {{listen: '127.0.0.1:{admin}'}}\nupstreams:\n",
            },
        )
    assert told == ""
    assert callers == ["client Bearer"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("refused", [1, 2])
async def test_a_request_that_fails_ends_the_nightly_script_and_its_sidecar(tmp_path: Path, refused: int) -> None:
    require_program("curl")
    sidecar, admin = free_port(), free_port()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        denied = f"?page={refused} ".encode() in api.requests[-1]
        writer.write(http(403) if denied else http(200, HELLO))

    said = '{"message": "Hello World!"}\n' * (refused - 1) + "curl: (22) …\nended with 22\n"
    gone = "$ curl -s http://127.0.0.1:8080/ || echo gone: $?\ngone: 7\n"
    tried = f'```console\n$ CLIENT_SECRET=… sh nightly.sh; echo "ended with $?"\n{said}{gone}```\n'
    async with Emulator() as emulator, serving(answer) as api:
        told = await documents.run(
            re.sub(r"(?ms)^```console\n.*?^```\n", "", PAGE) + tried,
            tmp_path,
            changed={
                "CLIENT_SECRET=…": f"CLIENT_SECRET={emulator.settings.client_secrets[0]}",
                "http://127.0.0.1:9229/oauth2/token": emulator.token_url,
                "http://127.0.0.1:9229/rest": f"http://127.0.0.1:{api.port}",
                "127.0.0.1:8080": f"127.0.0.1:{sidecar}",
                "\nupstreams:\n": f"\nadmin: {{listen: '127.0.0.1:{admin}'}}\nupstreams:\n",
            },
        )
    assert told == ""
    assert len(api.requests) == refused, "no page is asked for after the one that was refused"
    assert " drained " in (tmp_path / "sidecar.log").read_text()


async def test_the_crontab_works_with_what_cron_gives_a_command(tmp_path: Path) -> None:
    """As cron does (crontab(5)): nothing is in the environment but a few variables, and those that the crontab sets."""
    require_program("curl")
    [crontab] = documents.blocks(PAGE, "text")
    *settings, line = crontab.splitlines()
    variables = dict(setting.split("=", 1) for setting in settings)
    *times, command = line.split(maxsplit=5)
    assert len(times) == 5
    assert "/srv/report/.venv/bin" in variables["PATH"].split(":")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    async with Emulator() as emulator:
        for name in ("sidecar.yaml", "daily.sh"):
            origin = emulator.token_url.removesuffix("/oauth2/token")
            text = documents.files(PAGE)[name].replace("http://127.0.0.1:9229", origin)
            (tmp_path / name).write_text(text.replace("{env: CLIENT_SECRET}", "{file: client_secret}"))
        secret = tmp_path / "client_secret"
        secret.write_text(emulator.settings.client_secrets[0])
        secret.chmod(0o600)
        given = {"HOME": str(tmp_path), "LOGNAME": "report", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", **variables}
        words = [f"{name}={value}".replace("/srv/report", str(tmp_path)) for name, value in given.items()]
        done = await run_program("env", "-i", *words, "/bin/sh", "-c", command.replace("/srv/report", str(tmp_path)))
    assert done == (0, b"", b"")
    assert (tmp_path / "report.json").read_bytes() == HELLO


def compose() -> Any:
    return yaml.safe_load(documents.files(PAGE)["compose.yaml"])


def test_the_program_of_the_compose_file_is_in_the_sidecars_network() -> None:
    services = compose()["services"]
    assert services["app"]["network_mode"] == "service:sidecar"
    assert services["app"]["depends_on"]["sidecar"]["condition"] == "service_healthy"
    assert "ports" not in services["app"], "Compose refuses ports together with network_mode"
    assert float(services["sidecar"]["stop_grace_period"].removesuffix("s")) > 25


def test_the_commands_of_the_compose_file_exist() -> None:
    sidecar = compose()["services"]["sidecar"]
    probe = sidecar["healthcheck"]["test"]
    assert probe[:2] == ["CMD", "cognito-sidecar"]
    for name, *options in (sidecar["command"], probe[2:]):
        command = root.get_command(click.Context(root), name)
        assert command is not None
        command.make_context(name, options)


def test_the_configuration_in_the_compose_file_is_right(tmp_path: Path) -> None:
    described = compose()
    [config] = described["services"]["sidecar"]["configs"]
    [secret] = described["services"]["sidecar"]["secrets"]
    assert config["target"] in described["services"]["sidecar"]["command"]
    assert described["secrets"][secret]["file"] == "./client_secret"
    (tmp_path / "client_secret").write_text("secret")
    text = described["configs"][config["source"]]["content"]
    assert f"{{file: /run/secrets/{secret}}}" in text
    file = tmp_path / "config.yaml"
    file.write_text(text.replace("/run/secrets/", f"{tmp_path}/"))
    [upstream] = load(str(file), environ={}).config.upstreams.values()
    address = f"http://{upstream.listen}/"
    assert address in described["services"]["app"]["command"]
