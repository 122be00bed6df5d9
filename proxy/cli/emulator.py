"""`cognito-sidecar emulator`: a local Cognito and API Gateway, for trying things out and for users' own CI."""

from __future__ import annotations

import json
import signal

import click

from proxy import log
from proxy.cli.command import Command, seconds
from proxy.cli.loop import Signals, run_async
from proxy.cli.output import never_wait, say
from proxy.emulator.server import DEFAULT_PORT, Emulator
from proxy.emulator.settings import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_SCOPE, Settings
from proxy.errors import ConfigError


@click.command(
    "emulator",
    cls=Command,
    short_help="Serve a local Cognito and API Gateway.",
    examples=[
        "cognito-sidecar emulator",
        "cognito-sidecar emulator --port 0 --scope orders/read --scope orders/write --token-lifetime 5m",
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
    help="The app client's secret. It opens nothing but this emulator.",
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
    "--token-lifetime", metavar="DURATION", default="1h", show_default=True, callback=seconds, help="Of its tokens."
)
def command(
    port: int,
    host: str,
    client_id: str,
    client_secret: str,
    scopes: tuple[str, ...],
    routes: tuple[str, ...],
    token_lifetime: float,
) -> None:
    """Serve a local Cognito user pool with one app client, and three gateways that accept its tokens, on one origin.

    Made for demos and for CI: its answers, refusals included, are those of the real services. Faults, key rotation
    and secret rotation can be ordered over HTTP. It prints what to put in the sidecar's configuration.
    """
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


def describe(emulator: Emulator) -> list[str]:
    """Where everything is, and how the sidecar is told. JSON strings are YAML, whatever characters they hold."""
    settings = emulator.settings
    return [
        f"The emulator serves at {emulator.base_url} until Ctrl-C.",
        "",
        f"  token endpoint  {emulator.token_url}",
        f"  REST API        {emulator.gateway_url('rest')}/",
        f"  HTTP API        {emulator.gateway_url('http')}/",
        f"  ALB             {emulator.gateway_url('alb')}/",
        f"  JWKS            {emulator.jwks_url}",
        f"  calls, faults   {emulator.base_url}/_emulator/calls and …/faults",
        "",
        "In the sidecar's configuration:",
        "",
        "upstreams:",
        "  hello:",
        "    listen: 127.0.0.1:8080",
        f"    url: {emulator.gateway_url('rest')}",
        "    auth:",
        f"      token_url: {emulator.token_url}",
        f"      client_id: {json.dumps(settings.client_id, ensure_ascii=False)}",
        f"      client_secret: {json.dumps(settings.client_secrets[0], ensure_ascii=False)}",
        f"      scopes: {json.dumps(list(settings.scopes), ensure_ascii=False)}",
    ]
