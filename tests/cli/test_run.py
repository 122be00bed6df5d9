"""`run`, as a process of its own: started, signalled, and started wrongly."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest

from proxy.cli.loop import Signals
from proxy.cli.root import root
from proxy.cli.run import _second_stop, _without_values
from proxy.emulator import Emulator
from tests import processes
from tests.cli.conftest import Run
from tests.config.files import load_data, upstream


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


def configuration(emulator: Emulator, **more: Any) -> dict[str, Any]:
    settings = emulator.settings
    auth = {
        "token_url": emulator.token_url,
        "client_id": settings.client_id,
        "client_secret": {"env": "THE_SECRET"},
        "scopes": list(settings.scopes),
    }
    return {"upstreams": {"orders": {"url": emulator.gateway_url("rest"), "auth": auth}}, **more}


def secret(emulator: Emulator) -> dict[str, str]:
    return {"THE_SECRET": emulator.settings.client_secrets[0]}


async def get(url: str) -> str:
    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=processes.PATIENCE) as response:
            body: bytes = response.read()
        return body.decode()

    return await asyncio.to_thread(fetch)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_says_where_it_serves_and_drains_on_a_signal(
    sidecar_process: processes.StartSidecar, emulator: Emulator, number: signal.Signals
) -> None:
    async with sidecar_process(configuration(emulator, log={"level": "debug"}), secret(emulator)) as sidecar:
        assert f"orders  {sidecar.url('orders')}/ -> {emulator.gateway_url('rest')}\n" in sidecar.output
        assert f"admin: {sidecar.admin}/\n" in sidecar.output
        assert await get(sidecar.url("orders")) == '{"message": "Hello World!"}'
        sidecar.send(number)
        assert await sidecar.ended() == 0
    assert emulator.settings.client_secrets[0] not in sidecar.output
    assert "Traceback" not in sidecar.output


async def test_a_second_signal_cuts_what_is_under_way(
    sidecar_process: processes.StartSidecar, emulator: Emulator
) -> None:
    async with sidecar_process(configuration(emulator), secret(emulator)) as sidecar:
        emulator.set_faults({"rest": [{"fault": "delay", "seconds": 3600, "count": "all"}]})
        reader, writer = await asyncio.open_connection(*sidecar.url("orders").removeprefix("http://").split(":"))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until_under_way(sidecar)
        sidecar.send(signal.SIGTERM)
        await sidecar.printed("draining")
        sidecar.send(signal.SIGHUP)  # of no use any more, and of no harm
        sidecar.send(signal.SIGTERM)
        assert await sidecar.ended() == 0
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
    assert "requests_cut" in sidecar.output


EARLY = """
import os, signal, sys
from proxy.cli import main

numbers = sys.argv.pop(1).split(",")

class Hurry:
    def find_spec(self, name, path=None, target=None):
        if name == "proxy.cli.run":
            for number in numbers:
                os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Hurry())
sys.exit(main())
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
async def test_signals_that_come_while_it_is_being_imported_are_acted_on_afterwards(
    emulator: Emulator, tmp_path: Path, end: signal.Signals
) -> None:
    file = tmp_path / "sidecar.yaml"
    processes.write_config(file, processes.complete(configuration(emulator), {}))
    numbers = f"{signal.SIGHUP:d},{end:d}"
    command = (sys.executable, "-c", EARLY, numbers, "run", "--config", str(file))
    sidecar = await processes.Program.start(*command, env=secret(emulator))
    assert await sidecar.ended() == 0
    assert "started" in sidecar.output
    assert "drained" in sidecar.output


def test_a_command_that_was_wrong_leaves_signals_as_they_were(command: Run) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert command("run", "--nothing").code == 2
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_command_that_is_only_described_leaves_signals_as_they_were() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    root.get_command(click.Context(root), "run")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


async def test_sighup_while_draining_is_no_second_signal() -> None:
    signals = Signals()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signals._arrived.put_nowait(number)
    await _second_stop(signals)
    assert await signals.next() == signal.SIGINT


async def until_under_way(sidecar: processes.Sidecar) -> None:
    async with asyncio.timeout(processes.PATIENCE):
        while 'cognito_sidecar_requests_in_flight{upstream="orders"} 1.0' not in await get(f"{sidecar.admin}/metrics"):
            pass


async def test_sighup_reads_the_configuration_again(
    sidecar_process: processes.StartSidecar, emulator: Emulator
) -> None:
    async with sidecar_process(configuration(emulator), secret(emulator)) as sidecar:
        sidecar.send(signal.SIGHUP)
        await sidecar.printed("reloaded")
        sidecar.config_file.write_text("upstreams: {")
        sidecar.send(signal.SIGHUP)
        await sidecar.printed("reload_failed")
        assert await get(sidecar.url("orders")) == '{"message": "Hello World!"}'


def test_variables_that_hold_values_are_taken_out_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing here starts a child. If ever something does, it inherits no secret."""
    environ = {"CLIENT_ID": "id", "CLIENT_SECRET": "hush", "ANOTHER": "stays"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    loaded = load_data(tmp_path, {"upstreams": {"orders": upstream()}}, environ)
    assert _without_values(loaded) is loaded
    assert (os.environ.get("CLIENT_ID"), os.environ.get("CLIENT_SECRET")) == (None, None)
    assert os.environ["ANOTHER"] == "stays"
    assert _without_values(loaded) is loaded, "they may be gone already"


async def test_without_a_file(emulator: Emulator) -> None:
    settings = emulator.settings
    program = await processes.Program.start(
        *(sys.executable, "-m", "proxy", "run", "--upstream", emulator.gateway_url("rest")),
        *("--token-url", emulator.token_url, "--client-id", settings.client_id, "--scope", settings.scopes[0]),
        *("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        # A file that the image brings along steps back behind what was typed.
        env={"COGNITO_SIDECAR_CLIENT_SECRET": settings.client_secrets[0], "COGNITO_SIDECAR_CONFIG": "/not/there"},
    )
    try:
        line = await program.printed("default")
        local = line.split()[1]
        admin = (await program.printed("admin: ")).split()[1].removeprefix("http://").rstrip("/")
        assert (await processes.run_command("wait", "--admin", admin)).code == 0
        for probe in ("--live", "--ready", "--startup"):
            assert await processes.run_command("healthcheck", probe, "--admin", admin) == (0, b"", b"")
        assert await get(local) == '{"message": "Hello World!"}'
    finally:
        assert await program.stop() == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "> /dev/full", "2> /dev/full"])
async def test_standard_streams_that_are_closed_or_full_are_no_reason_to_stop(
    emulator: Emulator, tmp_path: Path, closed: str
) -> None:
    file = tmp_path / "sidecar.yaml"
    config = processes.complete(configuration(emulator), {})
    processes.write_config(file, config)
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'exec "$0" -m proxy run --config "$1" {closed}', sys.executable, str(file)),
        env=processes.environment(secret(emulator)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        waited = await processes.run_command("wait", "--config", str(file), "--timeout", "20s")
        assert waited == (0, b"", b"")
        assert await get(f"http://{config['upstreams']['orders']['listen']}/") == '{"message": "Hello World!"}'
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(processes.PATIENCE):
            code = await process.wait()
    assert code == 0


async def test_a_reader_of_its_output_that_leaves_is_no_reason_to_stop(emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    config = processes.complete(configuration(emulator), {})
    processes.write_config(file, config)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "run", "--config", str(file)),
            env=processes.environment(secret(emulator)),
            stdout=nobody,
            stderr=nobody,
        )
    try:
        assert (await processes.run_command("wait", "--config", str(file), "--timeout", "20s")).code == 0
        assert await get(f"http://{config['upstreams']['orders']['listen']}/") == '{"message": "Hello World!"}'
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(processes.PATIENCE):
            code = await process.wait()
    assert code == 0


@pytest.mark.parametrize("where", ["listen", "admin"])
async def test_a_port_in_use_is_one_line(emulator: Emulator, tmp_path: Path, taken_port: int, where: str) -> None:
    config = processes.complete(configuration(emulator), {})
    taken = f"127.0.0.1:{taken_port}"
    (config["admin"] if where == "admin" else config["upstreams"]["orders"])["listen"] = taken
    file = tmp_path / "sidecar.yaml"
    processes.write_config(file, config)
    ended = await processes.run_command("run", "--config", str(file), env=secret(emulator))
    text = ended.stderr.decode()
    assert (ended.code, ended.stdout, text.count("\n")) == (1, b"", 1)
    assert text.startswith("cognito-sidecar: ")
    assert taken in text


async def test_a_wrong_configuration_starts_nothing(emulator: Emulator, tmp_path: Path) -> None:
    config = processes.complete(configuration(emulator, sutdown={}), {})
    file = tmp_path / "sidecar.yaml"
    processes.write_config(file, config)
    code, out, err = await processes.run_command("run", "--config", str(file))
    assert (code, out) == (2, b"")
    problems = err.decode().splitlines()
    assert len(problems) == 2
    assert any(line.startswith("upstreams.orders.auth.client_secret: ") and "THE_SECRET" in line for line in problems)
    assert any(line.startswith("sutdown: unknown key") for line in problems)
    assert emulator.token_calls == 0


async def test_no_configuration_anywhere() -> None:
    code, out, err = await processes.run_command("run", env={"COGNITO_SIDECAR_CONFIG": "/not/there.yaml"})
    assert (code, out) == (2, b"")
    assert err.decode().count("\n") == 1
    assert err.startswith(b"/not/there.yaml: ")


def test_a_file_and_options_together_are_wrong_usage(command: Run) -> None:
    outcome = command("run", "--config", "x.yaml", "--upstream", "https://x", "--scope", "a")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith("cognito-sidecar: --config cannot be combined with --upstream, --scope: ")
    assert outcome.err.endswith("Try 'cognito-sidecar run --help'.\n")


def test_options_that_are_missing_are_all_named(command: Run) -> None:
    outcome = command("run", "--listen", "nowhere")
    assert (outcome.code, outcome.out) == (2, "")
    named = sorted(line.split(": ")[0] for line in outcome.err.splitlines())
    assert named == ["--client-id", "--listen", "--token-url", "--upstream", "COGNITO_SIDECAR_CLIENT_SECRET"]
