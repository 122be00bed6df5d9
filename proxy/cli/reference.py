"""`docs/reference/commands.md`, written from the commands themselves, so that it cannot say anything else.

`python -m proxy.cli.reference --write` writes it, `--check` compares (exit code 1 where they differ).
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from proxy.cli.command import Command
from proxy.cli.output import PROGRAM
from proxy.cli.root import COMMANDS, root

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"

_HEAD: Final = f"""\
<!-- Written by `python -m proxy.cli.reference --write`; a test holds it equal to the commands. -->

# Commands

`{PROGRAM} COMMAND --help` says the same at hand. `python -m proxy` is the same program. Errors are one line on
standard error, a wrong configuration one line for each problem; wrong usage exits with 2, Ctrl-C where a command does
not handle it itself with 130.
"""


def render() -> str:
    """The whole page, as Markdown."""
    context = click.Context(root, info_name=PROGRAM)
    parts = [_HEAD, "| command | does |\n|---|---|"]
    parts[-1] += "".join(f"\n| [`{name}`](#{name}) | {line} |" for name, line in COMMANDS.items()) + "\n"
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert isinstance(command, Command)  # noqa: S101  for the type checker: every command is one
        parts.append(_section(context, name, command))
    return "\n".join(parts)


def _section(parent: click.Context, name: str, command: Command) -> str:
    context = click.Context(command, parent=parent, info_name=name)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"## {name}", "", f"`{usage}`", "", inspect.cleandoc(command.help or ""), ""]
    options = [p for p in command.params if isinstance(p, click.Option)]
    if options:
        lines += ["| option | |", "|---|---|", *(_option(context, option) for option in options), ""]
    lines += ["```sh", *command.examples, "```", ""]
    lines += ["| exit code | |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in command.exit_codes.items()]
    return "\n".join(lines) + "\n"


def _option(context: click.Context, option: click.Option) -> str:
    spelling, text = option.get_help_record(context) or ("", "")
    return f"| `{spelling}` | {' '.join(text.split())} |".replace("[env var: ", "[variable: ")


def main(argv: Sequence[str] | None = None, page: Path = PAGE) -> int:
    parser = argparse.ArgumentParser(prog="python -m proxy.cli.reference", description="The command reference.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help=f"write {page.name}")
    action.add_argument("--check", action="store_true", help="exit 1 where the file says something else")
    asked = parser.parse_args(argv)
    text = render()
    if asked.write:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
        return 0
    if page.is_file() and page.read_text(encoding="utf-8") == text:
        return 0
    print("the command reference is out of date: python -m proxy.cli.reference --write", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
