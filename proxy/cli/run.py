"""`cognito-sidecar run`: serve until a signal says stop, then drain."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Final

import click
from click.core import ParameterSource

from proxy import config as configuration
from proxy import hardening, log
from proxy.aws import Load
from proxy.cli.command import Command, config_option
from proxy.cli.finding import config_path
from proxy.cli.loop import Signals, end_within, run_async
from proxy.cli.output import never_wait, say
from proxy.config.model import Loaded
from proxy.secret import Secret
from proxy.service import Service
from proxy.tasks import spawn, unheard

CLOSING_SECONDS: Final = 2.0
"""For what is left when the last request has ended: pages of the admin listener, connections, threads."""


@click.command(
    "run",
    cls=Command,
    short_help="Serve the configured upstreams until SIGTERM or SIGINT.",
    examples=[
        "cognito-sidecar run --config sidecar.yaml",
        """\
COGNITO_SIDECAR_CLIENT_SECRET=… cognito-sidecar run \\
    --upstream https://abc123.execute-api.eu-central-1.amazonaws.com/dev \\
    --token-url https://my-domain.auth.eu-central-1.amazoncognito.com/oauth2/token \\
    --client-id 1example23456789 --scope mydomain.com/API_ACCESS""",
    ],
    exit_codes={
        0: "Stopped by SIGTERM or SIGINT; also when a second signal or the end of `shutdown.grace` cut it short.",
        1: "It could not start: a port in use, or secrets in Secrets Manager that cannot be read just now.",
        2: "The configuration, or the usage, is wrong; each problem is one line on standard error.",
    },
)
@config_option
@click.option("--upstream", metavar="URL", help="Without a file: the API to forward to.")
@click.option("--token-url", metavar="URL", help="Without a file: the token endpoint.")
@click.option("--client-id", metavar="ID", help="Without a file: the app client's id.")
@click.option("--scope", "scopes", metavar="SCOPE", multiple=True, help="Without a file: a scope; may be repeated.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Without a file: where callers reach it.  [default: 127.0.0.1:8080]"
)
@click.option("--admin", metavar="HOST:PORT", help="Without a file: probes and metrics.  [default: 127.0.0.1:9090]")
@click.pass_context
def command(
    ctx: click.Context,
    config: str | None,
    upstream: str | None,
    token_url: str | None,
    client_id: str | None,
    scopes: tuple[str, ...],
    listen: str | None,
    admin: str | None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Configured by a file, or for a single upstream by options, with the client secret in the environment variable
    COGNITO_SIDECAR_CLIENT_SECRET. Prints one line for each upstream with its local address.

    SIGTERM or SIGINT drains: /readyz fails at once, requests under way get `shutdown.grace` to finish. A second one
    cuts them. SIGHUP reads the configuration again, which also happens by itself when the file or a secret changes.

    On Linux there are no core dumps of it, and no other process of its user can read its memory or trace it. For a
    debugger or a profiler start it with COGNITO_SIDECAR_DUMPABLE=1.
    """
    flags = {
        "--upstream": upstream,
        "--token-url": token_url,
        "--client-id": client_id,
        "--scope": scopes or None,
        "--listen": listen,
        "--admin": admin,
    }
    given = [flag for flag, value in flags.items() if value is not None]
    failures = hardening.keep_to_itself(os.environ)
    environ = Secret(dict(os.environ))
    if not given:
        path = config_path(config)
        run_async(serve(lambda secrets: configuration.load(path, environ=environ.reveal(), secrets=secrets), failures))
        return
    # A file that only the environment names is what an image brings along: options typed by hand go before it.
    if ctx.get_parameter_source("config") is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"--config cannot be combined with {', '.join(given)}: the file says all of it.", ctx)
    run_async(
        serve(
            lambda _: configuration.from_flags(
                upstream, token_url, client_id, scopes, listen, admin, environ=environ.reveal()
            ),
            failures,
        )
    )


async def serve(load: Load, failures: Sequence[str] = ()) -> None:
    """The life of the process: start, serve, and on a signal drain. Raises ConfigError and StartError.

    `load` has the environment to itself: what it takes values from is no longer there for others afterwards.
    `failures` are parts of the hardening that the system did not grant.
    """
    never_wait()
    asyncio.get_running_loop().set_exception_handler(unheard)
    log.configure()
    service = Service(lambda secrets: _without_values(load(secrets)))
    with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        try:
            if await service.start(signals.stop):
                for failure in failures:
                    log.logger("hardening").debug("not_hardened", why=failure)
                announce(service)
                await _until_stop(signals, service)
                await _drain(signals, service)
            end_within(CLOSING_SECONDS)
        finally:
            await service.close()


def _without_values(loaded: Loaded) -> Loaded:
    """Take the variables that hold values out of the environment. The program starts no other, but AWS's SDK may, where
    a profile says `credential_process`: it inherits none of them."""
    for name in loaded.variables:
        os.environ.pop(name, None)
    return loaded


def announce(service: Service) -> None:
    """Where callers reach each upstream. Nobody may be listening: that must not stop the sidecar."""
    width = max((len(name) for name, _, _ in service.addresses), default=0)
    for name, local, upstream in service.addresses:
        say(f"{name:<{width}}  {local} -> {upstream}")
    admin = service.admin_address
    say(f"admin: {admin if admin.startswith('unix:') else f'http://{admin}/'}")


async def _until_stop(signals: Signals, service: Service) -> None:
    while await signals.next() == signal.SIGHUP:
        # Not awaited: a reload that waits for a slow disk must not keep SIGTERM waiting.
        _ = spawn(service.reload("SIGHUP"), name="reload")


async def _drain(signals: Signals, service: Service) -> None:
    draining = spawn(service.drain(), name="drain")
    again = spawn(_second_stop(signals), name="second-signal")
    await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        service.abort()
    again.cancel()
    await draining


async def _second_stop(signals: Signals) -> None:
    number = await signals.next()
    while number == signal.SIGHUP:  # A configuration for a sidecar that is leaving is of no use.
        number = await signals.next()
