"""What all commands share: how their help shows examples and exit codes, and the options that several have.

It must import nothing but click: every command passes here, the quick ones too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

DEFAULT_CONFIG: Final = "/etc/cognito-sidecar/config.yaml"


class Command(click.Command):
    """A command whose help ends with examples (as typed into a shell) and with what its exit codes mean."""

    def __init__(self, *args: Any, examples: Sequence[str], exit_codes: Mapping[int, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.exit_codes = dict(exit_codes)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                for line in example.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in self.exit_codes.items()])


def seconds(_: click.Context, param: click.Parameter, value: str) -> float:
    """An option's callback: a duration as the configuration writes it (`250ms`, `30s`, `5m`, `1h`, plain seconds)."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|)", value, re.ASCII)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a duration such as 250ms, 30s, 5m or 1h.", param=param)
    return float(match[1]) * {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def pairs(_: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """A repeated option's callback: `NAME=VALUE` as a mapping, the last of a name counts."""
    for value in values:
        if not value.partition("=")[0] or "=" not in value:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE.", param=param)
    return {name: text for name, _, text in (value.partition("=") for value in values)}


config_option = click.option(
    "--config",
    metavar="FILE",
    envvar="COGNITO_SIDECAR_CONFIG",
    show_envvar=True,
    help=f"The configuration file; {DEFAULT_CONFIG} where nothing names one.",
)
"""Its value is None where neither the option nor the variable names a file."""

admin_option = click.option(
    "--admin",
    metavar="HOST:PORT",
    help="Admin address of the running sidecar, or unix:/path; read from the configuration where it is not given.",
)
