"""Templates for tests: short ones in YAML, and what the emulator would make of them."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from proxy.config.yamlfile import parse
from proxy.emulator import Settings
from proxy.emulator.template import describe, long_form
from proxy.emulator.template.template import Template
from proxy.errors import ConfigError

POOL = """
  Pool: {Type: AWS::Cognito::UserPool}
  Domain: {Type: AWS::Cognito::UserPoolDomain, Properties: {UserPoolId: !Ref Pool, Domain: mine}}
  Server:
    Type: AWS::Cognito::UserPoolResourceServer
    Properties:
      UserPoolId: !Ref Pool
      Identifier: orders
      Scopes: [{ScopeName: read}, {ScopeName: write}]
  Client:
    Type: AWS::Cognito::UserPoolClient
    Properties:
      UserPoolId: !Ref Pool
      GenerateSecret: true
      AllowedOAuthFlowsUserPoolClient: true
      AllowedOAuthFlows: [client_credentials]
      AllowedOAuthScopes: [orders/read, orders/write]
"""
"""The least that tokens can be had of."""


def data(resources: str, rest: str = "") -> Any:
    """Resources, indented by two, and what stands beside them, as plain data."""
    return parse(f"Resources:\n{resources}\n{textwrap.dedent(rest)}".encode(), tag=long_form)


def template(
    resources: str, rest: str = "", *, name: str = "stack", inherited: dict[str, str] | None = None, **given: str
) -> Template:
    return Template(
        name,
        data(resources, rest),
        given=given,
        inherited=inherited or {},
        secrets=lambda client: f"secret of {client}",
    )


def settings(*resources: str, rest: str = "", **given: str) -> Settings:
    """What one template, or several, come to."""
    read = [(f"{number}.yaml", f"stack{number}", data(text, rest)) for number, text in enumerate(resources)]
    return describe(read, given, lambda name: f"secret of {name}")


def problems(*resources: str, rest: str = "", **given: str) -> list[str]:
    """Why templates cannot be served."""
    with pytest.raises(ConfigError) as caught:
        settings(*resources, rest=rest, **given)
    return list(caught.value.problems)
