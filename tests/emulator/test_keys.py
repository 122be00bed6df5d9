"""Discovery, and keys that a stranger can verify the tokens with."""

from __future__ import annotations

import asyncio

import jwt

from tests.emulator.tools import Caller


def verify_like_a_stranger(jwks_url: str, token: str, issuer: str) -> dict[str, object]:
    """With PyJWT's own client, which knows nothing of this program. It blocks, so it belongs on a thread."""
    key = jwt.PyJWKClient(jwks_url).get_signing_key_from_jwt(token)
    options: dict[str, bool] = {"verify_exp": False, "verify_iat": False}  # the tests' clock is turned by hand
    return dict(jwt.decode(token, key.key, algorithms=["RS256"], issuer=issuer, options=options))  # type: ignore[arg-type]


async def test_two_keys_are_published_as_cognito_publishes_them(caller: Caller) -> None:
    reply = await caller.get(f"/{caller.settings.pool_id}/.well-known/jwks.json")
    assert reply.status == 200
    assert reply.lower["content-type"] == "application/json"
    keys = reply.json["keys"]
    assert len({key["kid"] for key in keys}) == 2
    for key in keys:
        assert key.keys() == {"kid", "alg", "kty", "e", "n", "use"}
        assert (key["alg"], key["kty"], key["e"], key["use"]) == ("RS256", "RSA", "AQAB", "sig")
        assert len(key["kid"]) == 44
    assert jwt.get_unverified_header(await caller.token())["kid"] == keys[1]["kid"]


async def test_a_stranger_verifies_a_token_by_the_jwks(caller: Caller) -> None:
    emulator = caller.emulator
    token = await caller.token()
    claims = await asyncio.to_thread(verify_like_a_stranger, emulator.jwks_url, token, emulator.issuer)
    assert claims["client_id"] == caller.settings.client_id
