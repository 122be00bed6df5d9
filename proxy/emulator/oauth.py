"""The token endpoint's rules: what one request of `POST /oauth2/token` comes to. Pure: it issues nothing itself.

Source: Developer guide, "Token endpoint"; RFC 6749 sections 2.3, 3.2 and 5.2 where the guide is silent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from proxy.emulator.answers import Answer, Fields, Random, compact, request_id
from proxy.emulator.client import AppClient
from proxy.secret import unshown

OAuthError = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
]

Method = Literal["basic", "post", "none"]

GRANT: Final = "client_credentials"
_OTHER_GRANTS: Final = frozenset({"authorization_code", "refresh_token"})
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 100

Pair = tuple[str, str]
"""A client id and a secret."""


@unshown
class Asked(NamedTuple):
    """One request, as far as the rules care."""

    method: str
    content_type: str
    authorization: str | None
    body: bytes


class Decision(NamedTuple):
    """`error` None and `status` 200: a token with `scope` is due. `status` 405: an empty answer."""

    status: Literal[200, 400, 405]
    error: OAuthError | None = None
    scope: str = ""
    """What was granted or, beside an error, what was asked for."""
    auth_method: Method = "none"
    client_id: str | None = None
    """The client's id where the request named it rightly. Never what it sent instead: that may be a secret."""


def decide(asked: Asked, clients: Mapping[str, AppClient]) -> Decision:
    """The endpoint's verdict, with errors in the order in which they are found."""
    # A wrong content type is answered as a wrong method is (seen in amazon-cognito-auth-js#52).
    if asked.method != "POST" or asked.content_type.partition(";")[0].strip().lower() != _FORM:
        return Decision(405)
    form = _form(asked.body)
    if form is None:
        return Decision(400, "invalid_request", auth_method="basic" if asked.authorization else "none")

    scope = " ".join(form.get("scope", "").split())
    pairs = _basic(asked.authorization) if asked.authorization is not None else _posted(form)
    method: Method = "basic" if asked.authorization is not None else "post" if "client_id" in form else "none"
    client = next((clients[client_id] for client_id, _ in pairs if client_id in clients), None)
    named = client.id if client else None

    def refused(error: OAuthError) -> Decision:
        return Decision(400, error, scope, method, named)

    grant = form.get("grant_type", "")
    if not grant:
        return refused("invalid_request")
    if grant != GRANT and grant not in _OTHER_GRANTS:
        return refused("unsupported_grant_type")
    error = _authenticate(asked.authorization is not None, pairs, form, client)
    if error is not None or client is None:
        return refused(error or "invalid_client")
    if grant in _OTHER_GRANTS or not client.may_ask:
        return refused("unauthorized_client")
    wanted = scope.split() or list(client.scopes)
    if not set(wanted) <= set(client.scopes):
        return refused("invalid_scope")
    return Decision(200, None, " ".join(dict.fromkeys(wanted)), method, client.id)


def _authenticate(
    basic: bool, pairs: list[Pair], form: Mapping[str, str], client: AppClient | None
) -> OAuthError | None:
    if basic and "client_id" in form and all(form["client_id"] != client_id for client_id, _ in pairs):
        return "invalid_request"  # two clients in one request
    if client is None or not any(client.accepts(*pair) for pair in pairs):
        return "invalid_client"
    if basic and "client_secret" in form and not client.accepts(client.id, form["client_secret"]):
        return "invalid_client"
    return None


def _form(body: bytes) -> dict[str, str] | None:
    """The fields of the body; None where it cannot be read or names a field twice (RFC 6749 section 3.2)."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        return None
    form = dict(fields)
    return form if len(form) == len(fields) else None


def _posted(form: Mapping[str, str]) -> list[Pair]:
    return [(form["client_id"], form.get("client_secret", ""))] if "client_id" in form else []


def _basic(authorization: str) -> list[Pair]:
    """The readings of a Basic header: as it stands, and form-decoded.

    RFC 6749 section 2.3.1 has clients form-encode the id and the secret first, and many do not. Cognito's own
    values look the same either way, so both kinds of client work there, and both work here.
    """
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        raw = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return []
    client_id, colon, secret = raw.partition(":")
    if not colon:
        return []
    return [(client_id, secret), (unquote_plus(client_id), unquote_plus(secret))]


def granted(token: str, lifetime: int, random: Random) -> Answer:
    """The answer that carries a token."""
    body = compact({"access_token": token, "expires_in": lifetime, "token_type": "Bearer"})
    return Answer(200, fields(random), body, "success", chunked=True)


def refused(error: str, random: Random) -> Answer:
    """An OAuth error as Cognito sends it: the bare word, without a description."""
    return Answer(400, fields(random), compact({"error": error}), error, chunked=True)


def not_allowed(random: Random) -> Answer:
    """405, with nothing in it."""
    rest = tuple(field for field in fields(random) if field[0] != "Content-Type")
    return Answer(405, (("Allow", "POST"), *rest), b"", "method_not_allowed")


def other(status: int, body: bytes, content_type: str, random: Random) -> Answer:
    """An answer that the real endpoint gives on a bad day, or never."""
    rest = tuple(field for field in fields(random) if field[0] != "Content-Type")
    return Answer(status, (("Content-Type", content_type), *rest), body, "other")


def fields(random: Random) -> Fields:
    """The header fields of every answer of the endpoint, as they were seen in answers of the real one."""
    return (
        ("Content-Type", "application/json;charset=UTF-8"),
        ("Set-Cookie", f"XSRF-TOKEN={request_id(random)}; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ("x-amz-cognito-request-id", request_id(random)),
        ("X-Content-Type-Options", "nosniff"),
        ("X-XSS-Protection", "1; mode=block"),
        ("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate"),
        ("Pragma", "no-cache"),
        ("Expires", "0"),
        ("Strict-Transport-Security", "max-age=31536000 ; includeSubDomains"),
        ("X-Frame-Options", "DENY"),
        ("Server", "Server"),
    )
