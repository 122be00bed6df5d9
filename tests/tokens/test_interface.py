"""The token as `forward` gets it."""

from __future__ import annotations

from hashlib import sha256

from proxy.tokens import AccessToken, TokenProvider
from tests.tokens.helpers import Bench


def test_a_token_shows_its_name_and_never_its_text() -> None:
    token = AccessToken("very-secret-text", 3)
    assert token.token_id == sha256(b"very-secret-text").hexdigest()[:8]
    assert repr(token) == f"<access token #3 {token.token_id}>"
    assert token.reveal() == "very-secret-text"
    assert token.proven


async def test_a_source_is_a_provider() -> None:
    provider: TokenProvider = Bench().source
    assert callable(provider.current)
