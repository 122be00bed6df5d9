"""`cognito-sidecar check`: is the configuration right? Starts nothing, and calls nobody but Secrets Manager."""

from __future__ import annotations

import os

import click

from proxy import config as configuration
from proxy import hardening
from proxy.cli.command import Command, config_option
from proxy.cli.finding import config_path
from proxy.cli.loading import load_config
from proxy.cli.output import complain
from proxy.config.model import Egress, Upstream
from proxy.config.secrets import SecretsNeeded


@click.command(
    "check",
    cls=Command,
    short_help="Validate the configuration and print every problem.",
    examples=["cognito-sidecar check --config sidecar.yaml"],
    exit_codes={
        0: "The configuration is right; standard output has one line for each upstream.",
        1: "Nothing is wrong but that secrets in Secrets Manager cannot be read just now.",
        2: "It is not; standard error has one line for each problem, with the path of its key.",
    },
)
@config_option
@click.option("--offline", is_flag=True, help="Leave out values in Secrets Manager, and all that depends on them.")
def command(config: str | None, offline: bool) -> None:
    """Validate the configuration, with the values it names in the environment, in files and in AWS Secrets Manager, and
    print every problem.

    Starts nothing, and calls nobody but Secrets Manager, where the configuration names secrets there. For each upstream
    it prints where callers reach it, where requests go and where the credentials come from, never the credentials.
    """
    hardening.keep_to_itself(os.environ)
    try:
        loaded = configuration.load(config_path(config), environ=os.environ) if offline else load_config(config)
    except SecretsNeeded as needed:
        for ref in needed.refs:
            complain(f"{ref} was not read", prefix="note: ")
        return
    for name, upstream in loaded.config.upstreams.items():
        click.echo(describe(name, upstream))


def describe(name: str, upstream: Upstream) -> str:
    """One upstream on one line, without a secret."""
    auth = upstream.auth
    secrets = " and ".join(secret.origin for secret in auth.client_secret)
    to_upstream, to_endpoint = (
        f" by way of {proxy}" if proxy is not None else "" for proxy in upstream.egress_proxy or Egress()
    )
    # A unix socket's path would run into a prefix of "/" without a meaning.
    prefix = "" if upstream.listen.unix and upstream.prefix == "/" else upstream.prefix
    return (
        f"{name}: {upstream.listen}{prefix} -> {upstream.url}{to_upstream}"
        f" (token from {auth.token_url.origin}{to_endpoint},"
        f" client_id: {auth.client_id.origin}, client_secret: {secrets})"
    )
