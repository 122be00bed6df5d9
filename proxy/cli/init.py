"""`cognito-sidecar init`: a commented configuration from a CloudFormation stack's outputs, or from options.

It writes where the secret is, and never reads it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Final, TextIO

import click

from proxy import config as configuration
from proxy.cli.command import Command
from proxy.cli.draft import Api, Draft, Secret, write
from proxy.cli.saving import save
from proxy.cli.stacks import Stacks, fetch, parse
from proxy.config.loading import DEFAULT_LISTEN, SECRET
from proxy.config.scalars import InvalidError
from proxy.config.secrets import NotReadYet
from proxy.config.values import Sources
from proxy.errors import ConfigError

_URLS: Final[dict[Api, str]] = {"rest": "RestApiUrl", "http": "HttpApiUrl", "alb": "AlbUrl"}
"""The output that has the URL of each kind of API."""

_KINDS: Final = {"env": "env", "file": "file", "secrets-manager": "secrets_manager"}
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def _secret(_: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str] | None:
    """The option's callback: kind and place."""
    if value is None:
        return None
    kind, place = value.partition(":")[::2]
    if kind not in _KINDS or not place:
        # Not with what was given instead: it may be the secret.
        raise click.BadParameter("expected env:NAME, file:PATH or secrets-manager:ID, not the secret.", param=param)
    return _KINDS[kind], place


@click.command(
    "init",
    cls=Command,
    short_help="Write a configuration from a stack's outputs.",
    examples=[
        "aws cloudformation describe-stacks --stack-name hello | cognito-sidecar init --output sidecar.yaml",
        "cognito-sidecar init --stack hello --region eu-central-1 --api http --output sidecar.yaml",
        "curl -s http://127.0.0.1:9229/_emulator/stack | cognito-sidecar init --secret file:client_secret",
        """\
cognito-sidecar init --upstream https://abc123.execute-api.eu-central-1.amazonaws.com/dev \\
    --token-url https://my-domain.auth.eu-central-1.amazoncognito.com/oauth2/token \\
    --client-id 1example23456789 --scope mydomain.com/API_ACCESS --secret env:CLIENT_SECRET""",
    ],
    exit_codes={
        0: "The configuration was written.",
        1: "The stack could not be read, or the file is there already.",
        2: "Something is missing or cannot be used; standard error has one line for each problem.",
    },
)
@click.option(
    "--stack",
    "stacks",
    metavar="NAME",
    multiple=True,
    help="Ask CloudFormation for this stack; may be repeated. Needs the extra aws, and AWS credentials.",
)
@click.option("--region", metavar="REGION", help="The stack's region, or the secret's; else AWS's own settings say it.")
@click.option(
    "--api", type=click.Choice(["rest", "http", "alb"]), help="Which API of the stack; the first one that it has."
)
@click.option("--upstream", metavar="URL", help="The API to forward to, instead of the stack's.")
@click.option("--token-url", metavar="URL", help="The token endpoint, instead of the stack's.")
@click.option("--client-id", metavar="ID", help="The app client's id, instead of the stack's.")
@click.option("--scope", "scopes", metavar="SCOPE", multiple=True, help="Instead of the stack's; may be repeated.")
@click.option(
    "--secret",
    metavar="PLACE",
    callback=_secret,
    help="Where the client secret is: env:NAME, file:PATH or secrets-manager:ID. Else where the stack has put it, or "
    "the environment variable CLIENT_SECRET.",
)
@click.option("--name", metavar="NAME", help="The upstream's name; else the stack's.")
@click.option(
    "--listen", metavar="HOST:PORT", default=DEFAULT_LISTEN, show_default=True, help="Where callers reach it."
)
@click.option("--admin", metavar="HOST:PORT", help="Probes and metrics, where not at 127.0.0.1:9090.")
@click.option("--output", metavar="FILE", help="Write it there instead of to standard output.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(
    stacks: tuple[str, ...],
    region: str | None,
    api: Api | None,
    upstream: str | None,
    token_url: str | None,
    client_id: str | None,
    scopes: tuple[str, ...],
    secret: tuple[str, str] | None,
    name: str | None,
    listen: str,
    admin: str | None,
    output: str | None,
    force: bool,
) -> None:
    """Write a commented configuration for one upstream.

    It is made from the outputs of a CloudFormation stack such as infra/cognito-sidecar.yaml: those that `aws
    cloudformation describe-stacks` prints, on standard input, or with --stack those that CloudFormation has. Options
    go before outputs, and with --upstream, --token-url and --client-id no stack is needed.
    """
    given = {"--upstream": upstream, "--token-url": token_url, "--client-id": client_id}
    found = _stacks(stacks, region, complete=None not in given.values())
    outputs = found.outputs
    others = tuple((kind, outputs[key]) for kind, key in _URLS.items() if key in outputs)
    chosen: Api = api or (others[0][0] if others else "rest")
    sources = {"--upstream": _URLS[chosen], "--token-url": "TokenUrl", "--client-id": "ClientId"}
    for option, key in sources.items():
        given[option] = given[option] or outputs.get(key)
    _complete(given, sources, outputs)
    values = {option: value or "" for option, value in given.items()}
    if not scopes and outputs.get("Scope"):
        scopes = tuple(outputs["Scope"].split())
    place = _place(secret, region, outputs)
    _check(values, scopes, listen, admin)
    _check_place(place, "--secret" if secret else "ClientSecretArn")
    of_stack = upstream is None
    host_name = outputs.get("AlbHostName") if of_stack and chosen == "alb" else None
    draft = Draft(
        name=_name(name, found.names),
        origin=f"the stack {' and '.join(found.names)}" if found.names else "its options",
        listen=listen,
        admin=admin,
        url=values["--upstream"],
        api=chosen if of_stack else None,
        others=tuple(other for other in others if other[0] != chosen) if of_stack else (),
        token_url=values["--token-url"],
        client_id=values["--client-id"],
        secret=place,
        scopes=scopes,
        # A certificate is only there with https: the emulator has none.
        server_name=host_name if values["--upstream"].startswith("https:") else None,
    )
    text = write(draft, output or "sidecar.yaml")
    if output is None:
        click.echo(text, nl=False)
    else:
        save(output, text, force=force)


def _stacks(names: tuple[str, ...], region: str | None, *, complete: bool) -> Stacks:
    """The stacks that were asked for: by name, on standard input, or none where the options say all."""
    if names:
        return fetch(names, region)
    if complete:
        return Stacks((), {})
    # Python has None there for a process that was started without standard input.
    stdin: TextIO | None = sys.stdin
    text = "" if stdin is None or stdin.isatty() else stdin.read()
    if not text.strip():
        raise click.UsageError(
            "Pipe what `aws cloudformation describe-stacks` prints into it, or name a --stack, or give --upstream, "
            "--token-url and --client-id."
        )
    return parse(text)


def _complete(given: Mapping[str, str | None], sources: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    there = ", ".join(outputs) or "none"
    missing = [
        f"{option}: not given, and there is no output {sources[option]} (there is: {there})"
        for option, value in given.items()
        if not value
    ]
    if missing:
        raise ConfigError(missing)


def _check(values: Mapping[str, str], scopes: tuple[str, ...], listen: str, admin: str | None) -> None:
    """What `run` would say of these values. The secret is read when it runs, so that any will do here."""
    configuration.from_flags(
        *(values["--upstream"], values["--token-url"], values["--client-id"], scopes, listen, admin),
        environ={SECRET: "any"},
    )


def _check_place(secret: Secret, origin: str) -> None:
    """The same of where the secret is. A file need not be there yet."""
    if secret.kind == "file":
        return
    try:
        Sources({secret.place: "any"}, "", {}).read(secret.source)
    except NotReadYet:
        pass
    except InvalidError as error:
        raise ConfigError([f"{origin}: {error}"]) from None


def _name(given: str | None, stacks: tuple[str, ...]) -> str:
    name = given if given is not None else (stacks[0] if stacks else "api")
    if given is None:
        return _NO_NAME.sub("-", name)[:63] or "api"
    if _NO_NAME.search(name) or not 1 <= len(name) <= 63:
        raise click.BadParameter(
            "expected at most 63 letters, digits, dots, hyphens and underscores.", param_hint="'--name'"
        )
    return name


def _place(given: tuple[str, str] | None, region: str | None, outputs: Mapping[str, str]) -> Secret:
    """Where the secret is: as told, else where the stack has put it, else in a variable."""
    if given is None and "ClientSecretArn" in outputs:
        policy = outputs.get("ReadClientSecretArn")
        return Secret(kind="secrets_manager", place=outputs["ClientSecretArn"], region=region, policy=policy)
    match given or ("env", "CLIENT_SECRET"):
        case "env", place:
            return Secret(kind="env", place=place)
        case "file", place:
            return Secret(kind="file", place=place)
        case _, place:
            return Secret(kind="secrets_manager", place=place, region=region)
