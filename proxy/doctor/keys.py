"""A token's signature against its issuer's keys (RFC 7517, OpenID Connect Discovery).

The issuer is what the token names, so it is asked only over https or on this machine, and what it answers decides
nothing but what a person is shown.
"""

from __future__ import annotations

import json
from typing import Any, Final

import jwt

from proxy.config.model import Proxy, Tls, Url
from proxy.config.rules import URLS
from proxy.config.scalars import InvalidError
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.outgoing import Outgoing

SIGNATURE: Final = "token: signature"
_KEYS: Final = "/.well-known/jwks.json"
_DISCOVERY: Final = "/.well-known/openid-configuration"


async def look_at_signature(
    token: str, issuer: object, tls: Tls, proxy: Proxy | None, extra_ca_file: str | None, seconds: float
) -> Finding:
    """Whether the issuer's published keys include the one that signed the token."""
    try:
        url = URLS["base_url"](issuer if isinstance(issuer, str) else "")
    except InvalidError:
        return warn(SIGNATURE, "not checked: the token's iss is not a URL", "keys_unavailable")
    if url.scheme != "https" and not url.is_loopback:
        return warn(SIGNATURE, "not checked: the token's iss is not https", "keys_unavailable")
    found = await _keys(url, tls, proxy, extra_ca_file, seconds)
    if found is None:
        return warn(SIGNATURE, f"not checked: no keys at {url}{_KEYS}", "keys_unavailable")
    return judge(token, found, str(url))


def judge(token: str, keys: list[dict[str, Any]], issuer: str) -> Finding:
    """The verdict on a token by a list of JSON Web Keys. Pure."""
    kid = jwt.get_unverified_header(token).get("kid")
    candidates = [key for key in keys if kid is None or key.get("kid") == kid]
    for key in candidates:
        try:
            jwt.decode(token, jwt.PyJWK(key), options={"verify_aud": False, "verify_exp": False, "verify_iat": False})
        except jwt.PyJWTError:
            continue
        return ok(SIGNATURE, f"by a key of {issuer}")
    why = "fits none of its keys" if candidates else "is by a key that it does not publish"
    return fail(SIGNATURE, f"{issuer}: the signature {why}", "bad_signature")


async def _keys(
    issuer: Url, tls: Tls, proxy: Proxy | None, extra_ca_file: str | None, seconds: float
) -> list[dict[str, Any]] | None:
    """The issuer's keys: where Cognito has them, else where its discovery document says."""
    outgoing = Outgoing(issuer, tls, proxy=proxy, extra_ca_file=extra_ca_file)
    found = await _document(outgoing, issuer.path + _KEYS, seconds)
    if found is None:
        described = await _document(outgoing, issuer.path + _DISCOVERY, seconds)
        try:
            where = URLS["base_url"](str((described or {}).get("jwks_uri")))
        except InvalidError:
            return None
        if where.origin != issuer.origin:
            return None  # Some providers do that; it is not worth following a document to another host.
        found = await _document(outgoing, where.path, seconds)
    keys = (found or {}).get("keys")
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else None


async def _document(outgoing: Outgoing, path: str, seconds: float) -> dict[str, Any] | None:
    try:
        reply = await outgoing.call("GET", {"Accept": "application/json"}, seconds=seconds, path=path)
        found = json.loads(reply.body or b"")
    except Exception:  # noqa: BLE001  (whatever it is, there are no keys)
        return None
    return found if reply.status == 200 and isinstance(found, dict) else None
