"""`docs/reference/commands.md` and `docs/troubleshooting.md`, written from the commands and the explanations.

So they cannot say anything else than the program does.

`python -m proxy.cli.reference --write` writes them, `--check` compares (exit code 1 where one differs).
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from proxy.cli.command import Command
from proxy.cli.output import PROGRAM
from proxy.cli.root import COMMANDS, root
from proxy.errors import KINDS, Reason
from proxy.explanations import CACHE, OTHER, SECRETS, TOKEN, Explanation

DOCS: Final = Path(__file__).parents[2] / "docs"

_HEAD: Final = f"""\
<!-- Written by `python -m proxy.cli.reference --write`; a test holds it equal to the commands. -->

# Commands

`{PROGRAM} COMMAND --help` says the same at hand. `python -m proxy` is the same program. Errors are one line on
standard error, a wrong configuration one line for each problem; wrong usage exits with 2, Ctrl-C where a command does
not handle it itself with 130.
"""


def render() -> str:
    """The whole page, as Markdown."""
    context = click.Context(root, info_name=PROGRAM, **root.context_settings)
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
    cells = (f"`{spelling}`", " ".join(text.split()).replace("[env var: ", "[variable: "))
    spelled, told = (cell.replace("|", r"\|") for cell in cells)  # A bar ends a cell, in code too.
    return f"| {spelled} | {told} |"


_TROUBLES: Final = f"""\
<!-- Written by `python -m proxy.cli.reference --write` from proxy/explanations.py; a test holds it equal. -->

# Troubleshooting

`{PROGRAM} doctor [NAME]` goes through everything that a request needs, step by step, and says what is wrong, what it
means and what to do, in the words of this page. It needs the configuration and its credentials but no running sidecar.

## Whose answer is it?

An answer with the field `X-Sidecar-Error` is the sidecar's own, and its `detail` says why. All others are the
upstream's, every 401 among them: the sidecar never answers 401.

| `X-Sidecar-Error` | status | what it says |
|---|---|---|
{{answers}}

## Why there is no token

The reason stands in `detail` of a `token_unavailable`, on the page and in `/status` (`last_error`), in the log
(`token_refresh_failed`) and as the label `reason` of `cognito_sidecar_token_refresh_failures_total`. Whatever it is,
the sidecar goes on trying, and a token that is still valid is used meanwhile.

| reason | what it means | what to do |
|---|---|---|
{{reasons}}

## Why a secret cannot be read

Of a value that is in AWS Secrets Manager. The words stand in the problem that a command prints, in the log
(`secret_read_failed`) and in `/status` (`secrets`). A running sidecar goes on with what it has read before.

| reason | what it means | what to do |
|---|---|---|
{{secrets}}

## Why the token cache cannot be used

Of a `token_cache` ([shared tokens](shared-tokens.md)). The word stands in the log (`token_cache_failed`), in `/status`
(`token_cache`), on the page, and as the label `result` of `cognito_sidecar_token_cache_operations_total`. Each sidecar
gets its tokens from the token endpoint meanwhile.

| trouble | what it means | what to do |
|---|---|---|
{{cache}}

## What `doctor` finds

| finding | what it means | what to do |
|---|---|---|
{{findings}}
"""


def troubleshooting() -> str:
    """The whole page, as Markdown."""
    answers = "\n".join(f"| `{name}` | {kind.status} | {kind.title} |" for name, kind in KINDS.items())
    tables = {"reasons": _rows(TOKEN), "secrets": _rows(SECRETS), "cache": _rows(CACHE), "findings": _rows(OTHER)}
    return _TROUBLES.format(answers=answers, **tables)


def _rows(table: Mapping[str, Explanation] | Mapping[Reason, Explanation]) -> str:
    return "\n".join(f"| `{name}` | {known.meaning} | {known.remedy} |" for name, known in table.items())


def main(argv: Sequence[str] | None = None, docs: Path = DOCS) -> int:
    parser = argparse.ArgumentParser(prog="python -m proxy.cli.reference", description="Pages written from the code.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the pages")
    action.add_argument("--check", action="store_true", help="exit 1 where a page says something else")
    asked = parser.parse_args(argv)
    code = 0
    pages = {docs / "reference" / "commands.md": render(), docs / "troubleshooting.md": troubleshooting()}
    for page, text in pages.items():
        if asked.write:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != text:
            print(f"{page.name} is out of date: python -m proxy.cli.reference --write", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
