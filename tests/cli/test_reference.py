"""The command reference says what the commands say, and the page on troubles what the explanations say."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from proxy.cli import reference
from proxy.cli.command import Command
from proxy.cli.root import COMMANDS, root
from proxy.errors import KINDS
from proxy.explanations import OTHER, SECRETS, TOKEN


def test_the_page_is_up_to_date() -> None:
    assert reference.main(["--check"]) == 0


def test_write_then_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.count("--write") == 2
    assert reference.main(["--write"], tmp_path) == 0
    assert reference.main(["--check"], tmp_path) == 0
    for page in (tmp_path / "reference" / "commands.md", tmp_path / "troubleshooting.md"):
        right = page.read_text()
        page.write_text("something else")
        assert reference.main(["--check"], tmp_path) == 1
        assert page.name in capsys.readouterr().err
        page.write_text(right)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_what_the_list_says(name: str) -> None:
    context = click.Context(root, info_name="cognito-sidecar", **root.context_settings)
    command = root.get_command(context, name)
    assert isinstance(command, Command)
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name]
    assert command.exit_codes[0]
    assert command.examples
    text = command.get_help(click.Context(command, parent=context, info_name=name))
    assert "Examples:\n" in text
    assert "Exit codes:\n" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_every_trouble_is_on_the_page() -> None:
    page = reference.troubleshooting()
    assert [name for name in (*KINDS, *TOKEN, *SECRETS, *OTHER) if f"\n| `{name}` |" not in page] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_place_on_the_page(name: str) -> None:
    assert f"\n## {name}\n" in reference.render()
