"""What an upstream's answer means. Pure.

Sources: API Gateway developer guide ("Gateway response types", "Troubleshooting issues with HTTP API JWT
authorizers"), Elastic Load Balancing guide ("Verify JWTs using an Application Load Balancer").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, Literal

from proxy.config.model import Auth
from proxy.doctor.finding import Finding, fail, ok, warn

Kind = Literal["a REST API", "an HTTP API", "a load balancer", "an upstream"]

_DESCRIPTIONS: Final = {
    "audience": "wrong_audience",
    "issuer": "wrong_issuer",
    "expired": "token_expired",
    "segments": "not_a_jwt",
    "signature": "bad_signature",
}
"""Words of an HTTP API's error_description, and what they mean."""
_NO_ROUTE: Final = ("MissingAuthenticationTokenException", "IncompleteSignatureException")
"""What a REST API calls it that it has no route. A token it takes for a signature of AWS then, and finds it wanting."""
_AS_SENT: Final = {
    "rest_unauthorized": "rest_unauthorized_as_sent",
    "not_authorized": "not_authorized_as_sent",
    "bad_signature": "not_authorized_as_sent",
}
"""Refusals that an unusual header or scheme may be the cause of."""
_DESCRIPTION: Final = re.compile(r'error_description="([^"]*)"')
_SHOWN: Final = 80
"""Characters of a gateway's words."""


def kind_of(headers: Mapping[str, str]) -> Kind:
    """Who answered, by the fields that each kind adds. `headers` knows no case."""
    if "x-amz-apigw-id" in headers or "x-amzn-errortype" in headers:
        return "a REST API"
    if "apigw-requestid" in headers:
        return "an HTTP API"
    if headers.get("server", "").lower().startswith("awselb"):
        return "a load balancer"
    return "an upstream"


def without_token(status: int, headers: Mapping[str, str], body: bytes) -> Finding:
    """What the answer to a request without a token shows."""
    step, said = "upstream: without a token", _said(status, headers, body)
    name = meaning(status, headers, body)
    if status in (401, 403) and name != "rest_unknown_route":
        return ok(step, f"{said}: it wants one")
    return warn(step, said, name or "open_to_all")


def with_token(status: int, headers: Mapping[str, str], body: bytes) -> Finding:
    """What the answer to a request with the token shows."""
    step, said = "upstream: with the token", _said(status, headers, body)
    name = meaning(status, headers, body)
    if name is None:
        return ok(step, said)
    # The token is good: it was let in, or what is wrong is not about it.
    if name in ("no_route", "rest_unknown_route", "redirected", "upstream_throttled"):
        return warn(step, said, name)
    return fail(step, said, name)


def as_sent(finding: Finding, auth: Auth, *, verified: bool) -> Finding:
    """What `with_token` found, in the light of how the token was sent, and of its signature if that is `verified`."""
    if finding.name == "bad_signature" and verified:
        return finding._replace(name="signature_disputed")
    usual = (auth.header.lower(), auth.scheme.lower()) == ("authorization", "bearer")
    return finding if usual else finding._replace(name=_AS_SENT.get(finding.name, finding.name))


def meaning(status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """The explanation's name for an answer; None for one that is as it should be."""
    kind, message = kind_of(headers), _message(body)
    if status == 401:
        return _refusal(kind, message, headers.get("www-authenticate", ""))
    if status == 403:
        error = headers.get("x-amzn-errortype", "").partition(":")[0]
        unknown = error in _NO_ROUTE or message == "Missing Authentication Token"
        return "rest_unknown_route" if unknown else "forbidden"
    if status == 404:
        return "no_route"
    if status == 429:
        return "upstream_throttled"
    if status >= 500:
        return "integration_failed" if kind in ("a REST API", "an HTTP API") else "upstream_failed"
    if 300 <= status < 400:
        return "redirected"
    # Another 4xx, 405 or 400 say, comes from behind the authorizer: the token was good enough.
    return None


def _refusal(kind: Kind, message: str, challenge: str) -> str:
    if message == "The incoming token has expired":
        return "token_expired"
    if kind == "a REST API":
        return "rest_unauthorized"
    for word, name in _DESCRIPTIONS.items():
        if word in challenge:
            return name
    return "not_authorized"


def _said(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The answer in a few words. What is shown of it is a refusal's description and a gateway's own `message`."""
    kind = kind_of(headers)
    message = _plain(_message(body)) if status >= 400 and kind in ("a REST API", "an HTTP API") else ""
    described = _DESCRIPTION.search(headers.get("www-authenticate", ""))
    why = _plain(described[1]) if described else ""
    return f"{kind} answers {status}" + (f" `{message}`" if message else "") + (f" ({why})" if why else "")


def _message(body: bytes) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = found.get("message", found.get("Message")) if isinstance(found, dict) else None
    return text if isinstance(text, str) else ""


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:_SHOWN]
