"""`cognito-sidecar token`: one access token, straight from the token endpoint, for a person or a script.

It writes a credential to standard output, because that is what it is asked for; nowhere else does one appear.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import click
import jwt

from proxy import hardening
from proxy.cli.command import Command, config_option
from proxy.cli.loading import load_config
from proxy.cli.loop import run_async
from proxy.cli.output import complain
from proxy.clock import SystemClock
from proxy.config.model import Upstream
from proxy.errors import SidecarError, TokenError
from proxy.explanations import with_remedy
from proxy.tokens.credentials import Credentials
from proxy.tokens.endpoint import Endpoint, Grant
from proxy.tokens.http import HttpTransport


@click.command(
    "token",
    cls=Command,
    short_help="Print an access token for an upstream.",
    examples=[
        'curl -H "Authorization: Bearer $(cognito-sidecar token orders)" https://abc123.execute-api…/dev/',
        'curl -H "$(cognito-sidecar token orders --header)" https://abc123.execute-api…/dev/',
        "cognito-sidecar token orders --decode",
    ],
    exit_codes={
        0: "A token was printed.",
        1: "The token endpoint, or Secrets Manager, refused or could not be reached; standard error says why.",
        2: "The configuration is wrong, or it has no upstream of that name.",
    },
)
@click.argument("name", required=False)
@click.option(
    "--header", "form", flag_value="header", help="Print the whole header line, as the sidecar would send it."
)
@click.option("--decode", "form", flag_value="decode", help="Print the token's claims as JSON, without verifying them.")
@config_option
def command(name: str | None, form: str | None, config: str | None) -> None:
    """Get an access token for the upstream NAME from its token endpoint, and print it.

    It uses the configuration and its credentials but no running sidecar, so it also shows whether the credentials are
    right. NAME may be left out where the configuration has a single upstream. Each call is one that Cognito bills.
    """
    hardening.keep_to_itself(os.environ)
    upstream = select(load_config(config).config.upstreams, name)
    try:
        token = run_async(obtain(upstream)).token.reveal()
    except TokenError as error:
        raise SidecarError(with_remedy(error.reason, error.detail)) from None
    if form == "decode":
        click.echo(json.dumps(claims(token), indent=2, ensure_ascii=False))
        complain("the signature was not verified", prefix="note: ")
    elif form == "header":
        # An empty scheme sends the bare token.
        click.echo(f"{upstream.auth.header}: {f'{upstream.auth.scheme} {token}'.lstrip()}")
    else:
        click.echo(token)


def select(upstreams: Mapping[str, Upstream], name: str | None) -> Upstream:
    """The upstream of that name, or the only one there is. Raises UsageError."""
    known = ", ".join(upstreams)
    if name is None:
        if len(upstreams) > 1:
            raise click.UsageError(f"Which upstream? The configuration has {known}.")
        return next(iter(upstreams.values()))
    if name not in upstreams:
        raise click.UsageError(f"No such upstream '{name}'. The configuration has {known}.")
    return upstreams[name]


async def obtain(upstream: Upstream) -> Grant:
    """One token. Of two secrets the second is tried where the first is not accepted. Raises TokenError."""
    auth = upstream.auth
    proxy = upstream.egress_proxy.token if upstream.egress_proxy is not None else None
    endpoint = Endpoint(auth, HttpTransport(auth, extra_ca_file=upstream.tls.ca_file, proxy=proxy), SystemClock())
    first, *others = Credentials(auth.client_secret).order()
    try:
        return await endpoint.obtain(first)
    except TokenError as error:
        if error.reason != "invalid_client" or not others:
            raise
    return await endpoint.obtain(others[0])


def claims(token: str) -> dict[str, Any]:
    """What the token says of itself. Nobody has verified it. Raises SidecarError for one that is not a JWT."""
    try:
        found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        # Not the error's own words: they may quote the token.
        raise SidecarError("the token is not a JWT, so it has no claims to show") from None
    return found
