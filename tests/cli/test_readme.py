"""What the README tells a newcomer to type works, and gives what it shows."""

from __future__ import annotations

import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest

from proxy.cli.command import DEFAULT_CONFIG
from proxy.cli.root import root
from proxy.config import load
from tests import processes

HOME = Path(__file__).parents[2]
README = (HOME / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Each command line of the README that calls the sidecar, from the program's name on."""
    return re.findall(r"(?<![\w-])cognito-sidecar .*", "\n".join(blocks("sh")))


@pytest.mark.parametrize("line", commands())
def test_each_command_and_option_exists(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    # Parsed as it would be, but not invoked.
    command = root.get_command(click.Context(root, **root.context_settings), arguments[0])
    assert command is not None
    command.make_context(arguments[0], arguments[1:])


def test_the_readme_has_commands() -> None:
    assert len(commands()) >= 8


def test_nothing_stands_after_what_runs_on() -> None:
    """Whoever pastes a block gets to its end."""
    for block in blocks("sh"):
        *before, _ = block.splitlines()
        assert [line for line in before if re.search(r"cognito-sidecar (run|demo --serve|emulator)\b", line)] == []


def test_the_image_is_given_the_configuration_where_it_looks_and_its_variables() -> None:
    (text,) = blocks("yaml")
    named = re.findall(r"\{env: (\w+)\}", text)
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("docker run ")]
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)
        given = {option: [after for word, after in pairwise(words) if word == option] for option in ("-v", "-e")}
        assert given["-v"] == [f"$PWD/sidecar.yaml:{DEFAULT_CONFIG}:ro"]
        assert given["-e"] == named
    assert f"export {'=… '.join(named)}=…" in README


def test_the_configuration_is_right(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    file = tmp_path / "sidecar.yaml"
    file.write_text(text)
    loaded = load(str(file), environ={"ORDERS_CLIENT_ID": "id", "ORDERS_CLIENT_SECRET": "secret"})
    assert list(loaded.config.upstreams) == ["orders"]


async def test_the_first_minute() -> None:
    curl = processes.require_program("curl")
    told = [
        (command, "".join(answer))
        for block in blocks("console")
        for command, answer in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]
    assert len(told) == 4
    program = await processes.Program.start(sys.executable, "-m", "proxy", "demo", "--serve")
    try:
        await program.printed("for your browser")
        # The demo takes other ports where somebody has the usual ones, and says so.
        (sidecar,) = re.findall(r"curl (http://\S+) .* through the sidecar", program.output)
        (api,) = re.findall(r"curl -i (http://\S+)/rest/", program.output)
        for command, answer in told:
            words = shlex.split(
                command.replace("http://127.0.0.1:8080/", sidecar).replace("http://127.0.0.1:9229", api)
            )
            assert words[0] == "curl"
            ended = await processes.run_program(curl, "-s", *words[1:])
            assert (ended.code, ended.stdout.decode().strip()) == (0, answer.strip()), command
    finally:
        assert await program.stop() == 0


def test_make_targets_exist() -> None:
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
