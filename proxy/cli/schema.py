"""`cognito-sidecar schema`: the configuration's JSON Schema, for editors and CI."""

from __future__ import annotations

import json

import click

from proxy.cli.command import Command
from proxy.config import json_schema


@click.command(
    "schema",
    cls=Command,
    short_help="Print the JSON Schema of the configuration.",
    examples=[
        "cognito-sidecar schema > cognito-sidecar.schema.json",
        "# yaml-language-server: $schema=cognito-sidecar.schema.json       (first line of the YAML file)",
    ],
    exit_codes={0: "Always."},
)
def command() -> None:
    """Print the JSON Schema of the configuration file, for completion and checks in editors and in CI."""
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
