"""`cognito-sidecar emulator`: a local Cognito and API Gateway, for trying things out and for users' own CI."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from proxy import log
from proxy.cli.command import Command, pairs, seconds
from proxy.cli.loop import Signals, run_async
from proxy.cli.output import never_wait, say
from proxy.config.scalars import InvalidError
from proxy.config.values import read_bytes
from proxy.config.yamlfile import parse
from proxy.emulator.client import new_secret
from proxy.emulator.server import DEFAULT_PORT, Emulator
from proxy.emulator.settings import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    DEFAULT_SCOPE,
    Client,
    Settings,
    is_loopback,
)
from proxy.emulator.template import describe as described
from proxy.emulator.template import long_form
from proxy.errors import ConfigError

_OF_TEMPLATE: Final = {"client_id": "--client-id", "scopes": "--scope", "routes": "--route"}
"""Options for what a template says itself."""


@click.command(
    "emulator",
    cls=Command,
    short_help="Serve a local Cognito and API Gateway.",
    examples=[
        "cognito-sidecar emulator",
        "cognito-sidecar emulator --port 0 --scope orders/read --scope orders/write --token-lifetime 5m",
        "cognito-sidecar emulator --template infra/cognito-sidecar.yaml --parameter DomainPrefix=orders",
        """\
curl -X PUT http://127.0.0.1:9229/_emulator/faults \\
    -d '{"token": [{"fault": "error", "error": "invalid_client", "count": 3}]}'""",
    ],
    exit_codes={
        0: "Stopped by SIGTERM or SIGINT.",
        1: "It could not start: the port is in use, for example.",
        2: "Wrong usage, or a value that cannot be used.",
    },
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Where to listen; 0 takes a free port.",
)
@click.option(
    "--host", metavar="HOST", default="127.0.0.1", show_default=True, help="A loopback address of this machine."
)
@click.option("--client-id", metavar="ID", default=DEFAULT_CLIENT_ID, show_default=True, help="The app client's id.")
@click.option(
    "--client-secret",
    metavar="SECRET",
    envvar="COGNITO_SIDECAR_EMULATOR_CLIENT_SECRET",
    show_envvar=True,
    default=DEFAULT_CLIENT_SECRET,
    show_default=True,
    help="The app client's secret. It opens nothing but this emulator. With --template: made up where none is given.",
)
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    multiple=True,
    default=[DEFAULT_SCOPE],
    show_default=True,
    help="A scope that the client may ask for; may be repeated. The gateways ask for the first.",
)
@click.option(
    "--route",
    "routes",
    metavar="PATH",
    multiple=True,
    default=["*"],
    show_default=True,
    help="A path that the REST and HTTP APIs have; may be repeated. * is every path.",
)
@click.option(
    "--token-lifetime",
    metavar="DURATION",
    default="1h",
    show_default=True,
    callback=seconds,
    help="Of its tokens. With --template: instead of what it says.",
)
@click.option(
    "--template",
    "templates",
    metavar="FILE",
    multiple=True,
    help="Serve what this CloudFormation template describes: clients, scopes, gateways, routes; may be repeated.",
)
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    callback=pairs,
    help="A parameter of a template, or a pseudo parameter such as AWS::Region; may be repeated.",
)
@click.pass_context
def command(
    ctx: click.Context,
    port: int,
    host: str,
    client_id: str,
    client_secret: str,
    scopes: tuple[str, ...],
    routes: tuple[str, ...],
    token_lifetime: float,
    templates: tuple[str, ...],
    parameters: Mapping[str, str],
) -> None:
    """Serve a local Cognito user pool with one app client, and three gateways that accept its tokens, on one origin.

    Made for demos and for CI: its answers, refusals included, are those of the real services. Faults, key rotation
    and secret rotation can be ordered over HTTP. It prints what to put in the sidecar's configuration.

    With --template it serves what a CloudFormation template describes, so that the file that goes to AWS can be tried
    here first. Of several templates, a later one takes the outputs of an earlier one for its parameters.
    """
    if not is_loopback(host):
        raise ConfigError([f"--host: {host} is not loopback, and the emulator hands out tokens to whoever asks"])
    chosen = {name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if templates:
        if taken := [option for name, option in _OF_TEMPLATE.items() if name in chosen]:
            raise click.UsageError(f"{' and '.join(taken)} cannot be used with --template, which says that itself.")
        settings = read_templates(templates, parameters, client_secret if "client_secret" in chosen else None)
        if "token_lifetime" in chosen:
            settings = with_lifetime(settings, int(token_lifetime))
        run_async(serve(settings, host, port))
        return
    if parameters:
        raise click.UsageError("--parameter needs a --template.")
    try:
        settings = Settings(
            client_id=client_id,
            client_secrets=(client_secret,),
            scopes=scopes,
            routes=routes,
            # Whole seconds, as Cognito counts. Less than one becomes 0, which is refused by its name.
            token_lifetime=int(token_lifetime),
        )
    except ConfigError as error:
        # What the gateways require is made from --scope here: its problems are that option's own, told once.
        told = [problem for problem in error.problems if not problem.startswith("emulator.required_scopes")]
        raise ConfigError([_by_option(problem) for problem in told]) from None
    run_async(serve(settings, host, port))


def read_templates(files: tuple[str, ...], parameters: Mapping[str, str], secret: str | None) -> Settings:
    """What the templates describe; each client has `secret`, or one made up. Raises ConfigError."""
    read: list[tuple[str, str, Any]] = []
    problems = []
    for file in files:
        try:
            read.append((file, Path(file).stem, parse(read_bytes(file), tag=long_form)))
        except InvalidError as error:
            problems.append(f"{file}: {error}")
    if problems:
        raise ConfigError(problems)
    made: dict[str, str] = {}
    return described(
        read,
        parameters,
        lambda client_id: secret if secret is not None else made.setdefault(client_id, new_secret(os.urandom)),
    )


def with_lifetime(settings: Settings, lifetime: int) -> Settings:
    """The same, with another life of every client's tokens."""
    others = tuple(replace(client, token_lifetime=lifetime) for client in settings.more_clients)
    try:
        return replace(settings, token_lifetime=lifetime, more_clients=others)
    except ConfigError as error:
        raise ConfigError([_by_option(problem) for problem in error.problems]) from None


def _by_option(problem: str) -> str:
    """A problem of a setting as one of the option that it came from."""
    setting, _, what = problem.partition(": ")
    return f"--{setting.removeprefix('emulator.').removesuffix('s').replace('_', '-')}: {what}"


async def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    never_wait()
    log.configure()
    emulator = Emulator(settings)
    with Signals(signal.SIGTERM, signal.SIGINT) as signals:
        try:
            await emulator.start(host, port)
            for line in describe(emulator):
                say(line)
            await signals.next()
        finally:
            await emulator.close()


_TITLES: Final = {"rest": "REST API", "http": "HTTP API", "alb": "ALB"}


def describe(emulator: Emulator) -> list[str]:
    """Where everything is, and how the sidecar is told. JSON strings are YAML, whatever characters they hold."""
    settings = emulator.settings
    first, *others = settings.clients
    gateways = list(settings.served)
    lines = [
        f"The emulator serves at {emulator.base_url} until Ctrl-C.",
        "",
        f"  token endpoint  {emulator.token_url}",
        *(f"  {_TITLES[kind]:14}  {emulator.gateway_url(kind)}/" for kind in gateways),
        f"  JWKS            {emulator.jwks_url}",
        f"  calls, faults   {emulator.base_url}/_emulator/calls and …/faults",
        "",
    ]
    if gateways:
        lines += [
            "In the sidecar's configuration:",
            "",
            "upstreams:",
            "  hello:",
            "    listen: 127.0.0.1:8080",
            f"    url: {emulator.gateway_url(gateways[0])}",
            "    auth:",
            f"      token_url: {emulator.token_url}",
            *_credentials(first, "      "),
        ]
    else:
        others = [first, *others]
    for client in others:
        what = f"{client.name} is an app client too" if client.name else "The app client"
        lines += ["", f"# {what}{'' if client.may_ask else ', but may not use client_credentials'}:"]
        lines += _credentials(client, "# ")
    return lines


def _credentials(client: Client, indent: str) -> list[str]:
    secret = client.secrets[0] if client.secrets else None
    return [
        f"{indent}client_id: {json.dumps(client.id, ensure_ascii=False)}",
        f"{indent}client_secret: {json.dumps(secret, ensure_ascii=False)}",
        f"{indent}scopes: {json.dumps(list(client.scopes), ensure_ascii=False)}",
    ]
