"""Access tokens: made as Cognito makes them, and judged as its verifiers judge them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from jwt.types import Options
from jwt.utils import base64url_encode

from proxy.clock import Clock
from proxy.emulator.answers import Random, compact, request_id
from proxy.emulator.client import AppClient
from proxy.emulator.keys import KeyRing
from proxy.emulator.routes import Route

Claims = Mapping[str, Any]

_REMEMBERED: Final = 10_000
"""Verified tokens that are remembered, and issued ones before the expired among them are swept out."""

_SIGNATURE_ALONE: Final[Options] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""For the rest PyJWT would read the machine's clock; `judge` is told the time."""


class Verdict(Enum):
    """What a verifier finds out about a token. The value is the `outcome` in `GET /_emulator/calls`."""

    GOOD = "allowed"
    MISSING = "no_token"
    MALFORMED = "malformed_token"
    SIGNATURE = "bad_signature"
    ISSUER = "wrong_issuer"
    EXPIRED = "expired"
    NOT_YET = "not_yet_valid"
    REVOKED = "revoked"
    AUDIENCE = "wrong_audience"
    SCOPE = "scope_missing"


def token_id(token: str) -> str:
    """How a token may be named: the first 8 hex digits of the SHA-256 of its bytes, whatever they are."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()[:8]


def judge(
    claims: Claims,
    *,
    now: float,
    issuer: str,
    audience: tuple[str, ...] | None,
    scopes: tuple[str, ...],
    revoked: bool,
) -> Verdict:
    """What the claims of a token with a good signature are worth at `now` (Unix time).

    Any one of `scopes` is enough, and none is needed where `scopes` is empty. `audience` None takes every client's.
    `client_id` stands in for `aud`, which Cognito's access tokens do not have (API Gateway guide, "Control access to
    HTTP APIs with JWT authorizers").
    """
    if claims.get("iss") != issuer:
        return Verdict.ISSUER
    expiry = claims.get("exp")
    if not isinstance(expiry, int | float) or expiry <= now:
        return Verdict.EXPIRED
    if any(isinstance(moment := claims.get(name), int | float) and moment > now for name in ("nbf", "iat")):
        return Verdict.NOT_YET
    if revoked:
        return Verdict.REVOKED
    meant_for = claims.get("aud", claims.get("client_id"))
    if audience is not None and not set(audience) & set(meant_for if isinstance(meant_for, list) else [meant_for]):
        return Verdict.AUDIENCE
    if scopes and not set(scopes) & set(str(claims.get("scope", "")).split(" ")):
        return Verdict.SCOPE
    return Verdict.GOOD


class TokenDesk:
    """Issues tokens and verifies them. Everything it remembers is bounded."""

    def __init__(self, *, keys: KeyRing, issuer: str, clock: Clock, random: Random) -> None:
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self._random = random
        self._issued: dict[str, int] = {}
        """`exp` by `jti`, of every token that has not been revoked."""
        self._sweep_at = _REMEMBERED
        self._verified: dict[bytes, Claims] = {}
        """Claims by the SHA-256 of a token whose signature was found good: load tests send the same one again."""

    def issue(self, client: AppClient, scope: str) -> str:
        """A signed access token (Developer guide, "Understanding the access token"): no aud, no username, no typ."""
        now = int(self._clock.read().wall)
        self._sweep(now)
        key = self._keys.current.access_tokens
        claims = {
            "sub": client.id,
            "token_use": "access",
            "scope": scope,
            "auth_time": now,
            "iss": self._issuer,
            "exp": now + client.lifetime,
            "iat": now,
            "version": 2,
            "jti": request_id(self._random),
            "client_id": client.id,
        }
        self._issued[str(claims["jti"])] = now + client.lifetime
        # Put together here, because PyJWT sorts the header: Cognito's begins with kid, as its readers see at a glance.
        parts = b".".join(base64url_encode(compact(part)) for part in ({"kid": key.kid, "alg": "RS256"}, claims))
        signature = key.private.sign(parts, padding.PKCS1v15(), hashes.SHA256())
        return b".".join((parts, base64url_encode(signature))).decode()

    def verify(self, token: str, route: Route) -> Verdict:
        """All the checks that are made before a route, in the order signature, claims, scope."""
        claims = self._signed_claims(token)
        if isinstance(claims, Verdict):
            return claims
        return judge(
            claims,
            now=self._clock.read().wall,
            issuer=self._issuer,
            audience=route.audience,
            scopes=route.scopes,
            revoked=claims.get("jti") not in self._issued,
        )

    def revoke_all(self) -> int:
        """Every token issued so far is refused from now on. How many that were."""
        count = len(self._issued)
        self._issued.clear()
        return count

    def keys_changed(self) -> None:
        """Signatures are checked anew: a key may have been withdrawn."""
        self._verified.clear()

    def _signed_claims(self, token: str) -> Claims | Verdict:
        if token.count(".") != 2:
            return Verdict.MALFORMED
        if not token.isascii():
            return Verdict.SIGNATURE
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._verified.get(digest)) is not None:
            return known
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.find(str(header.get("kid")))
            if key is None:
                return Verdict.SIGNATURE
            claims: Claims = jwt.decode(token, key, algorithms=["RS256"], options=_SIGNATURE_ALONE)
        except jwt.PyJWTError:
            return Verdict.SIGNATURE
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[digest] = claims
        return claims

    def _sweep(self, now: int) -> None:
        if len(self._issued) >= self._sweep_at:
            self._issued = {jti: expiry for jti, expiry in self._issued.items() if expiry > now}
            self._sweep_at = max(_REMEMBERED, 2 * len(self._issued))
