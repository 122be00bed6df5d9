"""The emulator told as a CloudFormation stack: what `aws cloudformation describe-stacks` would print of it.

The outputs of a template are given with its own names, and with this emulator's addresses where it has AWS's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.emulator.settings import Settings


def local(value: str, settings: Settings, places: Mapping[str, str]) -> str:
    """`value` with a place here instead of an address at AWS that it begins with."""
    for address, place in settings.stack.addresses:
        if value == address or value.startswith(f"{address}/"):
            return places[place] + value.removeprefix(address)
    return value


def stacks(settings: Settings, places: Mapping[str, str]) -> dict[str, Any]:
    """The document. `places` are the URLs of `domain`, `issuer` and of each gateway, without a slash at their ends."""
    outputs = settings.stack.outputs or _usual(settings, places)
    shown = [
        {
            "OutputKey": name,
            "OutputValue": local(value, settings, places),
            **({"Description": description} if description else {}),
        }
        for name, description, value in outputs
    ]
    return {"Stacks": [{"StackName": settings.stack.name, "StackStatus": "CREATE_COMPLETE", "Outputs": shown}]}


def _usual(settings: Settings, places: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Without a template: what infra/cognito-sidecar.yaml would have as outputs."""
    urls = {"rest": "RestApiUrl", "http": "HttpApiUrl", "alb": "AlbUrl"}
    return (
        ("TokenUrl", "The token endpoint", f"{places['domain']}/oauth2/token"),
        ("ClientId", "The app client's id", settings.client_id),
        ("Scope", "What the gateways ask for", settings.needed[0] if settings.needed else settings.scopes[0]),
        ("Issuer", "Who the tokens are from", places["issuer"]),
        *((urls[kind], "", places[kind]) for kind in settings.served),
    )
