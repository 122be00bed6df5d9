"""Settings as they show in a running emulator."""

from __future__ import annotations

import jwt
import pytest

from tests.emulator.tools import Opened

KINDS = ("rest", "http", "alb")


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        ("cognito", "https://cognito-idp.eu-west-3.amazonaws.com/eu-west-3_AbCdEfGhI"),
        ("https://issuer.example/pool", "https://issuer.example/pool"),
    ],
)
async def test_the_issuer_may_be_another_while_the_keys_stay_local(opened: Opened, issuer: str, expected: str) -> None:
    async with opened(pool_id="eu-west-3_AbCdEfGhI", issuer=issuer) as caller:
        token = await caller.token()
        assert jwt.decode(token, options={"verify_signature": False})["iss"] == expected
        document = (await caller.get("/eu-west-3_AbCdEfGhI/.well-known/openid-configuration")).json
        assert document["issuer"] == expected
        assert document["jwks_uri"] == caller.emulator.jwks_url
        assert (await caller.get("/rest/", token)).status == 200


async def test_any_one_of_the_needed_scopes_is_enough(opened: Opened) -> None:
    async with opened(scopes=("a/1", "a/2", "a/3"), required_scopes=("a/2", "a/3")) as caller:
        for kind in KINDS:
            for scope, let_in in [("a/1", False), ("a/1 a/3", True), ("a/2", True)]:
                reply = await caller.get(f"/{kind}/", await caller.token(scope=scope))
                assert (reply.status == 200) is let_in, (kind, scope)


async def test_without_scopes_a_rest_api_takes_an_access_token_for_an_id_token(opened: Opened) -> None:
    async with opened(required_scopes=()) as caller:
        token = await caller.token()
        statuses = {kind: (await caller.get(f"/{kind}/", token)).status for kind in KINDS}
        assert statuses == {"rest": 401, "http": 200, "alb": 200}
