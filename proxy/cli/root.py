"""The command line's root: the list of commands, each imported only when it is the one that was asked for."""

from __future__ import annotations

import difflib
import signal
from importlib import import_module
from typing import Final, NoReturn

import click

from proxy.cli.output import PROGRAM
from proxy.version import __version__

COMMANDS: Final[dict[str, str]] = {
    "run": "Serve the configured upstreams until SIGTERM or SIGINT.",
    "init": "Write a configuration from a stack's outputs.",
    "check": "Validate the configuration and print every problem.",
    "token": "Print an access token for an upstream.",
    "doctor": "Look at each upstream step by step, and say what is wrong.",
    "wait": "Wait until a running sidecar is ready.",
    "healthcheck": "Probe a running sidecar once.",
    "demo": "Show the whole story on this machine, without AWS.",
    "emulator": "Serve a local Cognito and API Gateway.",
    "schema": "Print the JSON Schema of the configuration.",
}
"""Each command and its line in the list, held here so that the list can be shown without importing any of them. The
command itself is `proxy.cli.NAME.command`."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"proxy.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            self._unknown(ctx, args[0])
        if args[0] == "run" and not ctx.resilient_parsing:
            # Here and not where it is imported: this is a command that is carried out, not one that is described.
            _hold_signals(ctx)
        return super().resolve_command(ctx, args)

    def _unknown(self, ctx: click.Context, name: str) -> NoReturn:
        # click proposes from the commands that it has imported, which here are none.
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else f" The commands are {', '.join(COMMANDS)}."
        raise click.UsageError(f"No such command '{name}'.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _hold_signals(ctx: click.Context) -> None:
    """Let signals wait until `run` has its handlers (`proxy.cli.loop.Signals`).

    It imports for a good part of a second. In that time SIGHUP would kill it, and SIGTERM would be lost where it is the
    first process of a container, to which the kernel gives no signal that it has no handler for.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    ctx.call_on_close(lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before))


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def root(ctx: click.Context) -> None:
    """A local reverse proxy that attaches Amazon Cognito access tokens.

    Programs on this machine call it without credentials; it obtains tokens by OAuth 2.0 client_credentials, renews
    them before they expire and adds them to each request.

    `cognito-sidecar demo` shows it at work on this machine, without an AWS account.
    """
    if ctx.invoked_subcommand is None:
        # Not a success: a container that was given no command must not look like one that did its work.
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
