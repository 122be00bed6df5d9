"""The two servers that the proof rests on are as strict as it needs them to be."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import aiohttp
import jwt
import pytest

from tests.interop.servers import AUDIENCE, CLIENT_ID, CLIENT_SECRET, OTHER_SCOPE, SCOPE, OidcProvider, Resource


async def _ask(provider: OidcProvider, client_id: str, secret: str, scope: str = SCOPE) -> tuple[int, dict[str, str]]:
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            provider.token_url,
            data={"grant_type": "client_credentials", "scope": scope},
            headers={"Authorization": f"Basic {basic}"},
        ) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize("encode", [quote_plus, lambda text: quote(text, safe="")], ids=["plus", "percent"])
async def test_the_provider_decodes_form_encoded_credentials(
    oidc_provider: OidcProvider, encode: Callable[[str], str]
) -> None:
    status, answer = await _ask(oidc_provider, encode(CLIENT_ID), encode(CLIENT_SECRET))

    assert status == 200, answer
    assert jwt.get_unverified_header(answer["access_token"])["alg"] == "RS256"
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert (claims["client_id"], claims["scope"], claims["aud"]) == (CLIENT_ID, SCOPE, AUDIENCE)
    (call,) = await oidc_provider.calls()
    assert call["authenticated_as"] == CLIENT_ID


@pytest.mark.parametrize(
    ("client_id", "secret", "scope", "status", "error"),
    [
        pytest.param(CLIENT_ID, CLIENT_SECRET, SCOPE, 400, "invalid_request", id="credentials not encoded"),
        pytest.param(quote_plus(CLIENT_ID), "wrong", SCOPE, 401, "invalid_client", id="wrong secret"),
        pytest.param("nobody", quote_plus(CLIENT_SECRET), SCOPE, 401, "invalid_client", id="unknown client"),
        pytest.param(
            quote_plus(CLIENT_ID), quote_plus(CLIENT_SECRET), OTHER_SCOPE, 400, "invalid_scope", id="scope not allowed"
        ),
    ],
)
async def test_the_provider_refuses(
    oidc_provider: OidcProvider, client_id: str, secret: str, scope: str, status: int, error: str
) -> None:
    answered, answer = await _ask(oidc_provider, client_id, secret, scope)

    assert (answered, answer["error"]) == (status, error)
    assert await oidc_provider.tokens() == []


async def test_the_resource_believes_only_tokens_of_the_provider(
    oidc_provider: OidcProvider, resource: Resource
) -> None:
    await _ask(oidc_provider, quote_plus(CLIENT_ID), quote_plus(CLIENT_SECRET))
    (token,) = await oidc_provider.tokens()
    head, claims, signature = token.split(".")
    forged = f"{head}.{claims}.{signature[:-8]}{'A' * 8}"
    unsigned = jwt.encode({"scope": SCOPE, "aud": AUDIENCE}, "", algorithm="none", headers={"kid": "interop"})

    async def status(*credentials: str) -> int:
        headers = [("Authorization", value) for value in credentials]
        async with aiohttp.ClientSession() as session, session.get(resource.url + "/x?y=1", headers=headers) as answer:
            return answer.status

    assert await status(f"Bearer {token}") == 200
    for refused in ((), (f"Bearer {forged}",), (f"Bearer {unsigned}",), (token,), (f"Bearer {token}",) * 2):
        assert await status(*refused) == 401
    assert [seen.claims is not None for seen in resource.seen] == [True, False, False, False, False, False]
    assert resource.seen[0].target == "/x?y=1"
