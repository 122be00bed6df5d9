"""Tokens over time: expiry, revocation, and what is remembered of them."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.emulator.tokens import Verdict, judge
from tests.emulator.tools import Caller, HandClock, Opened

KINDS = ("rest", "http", "alb")


async def statuses(caller: Caller, token: str) -> set[int]:
    return {(await caller.get(f"/{kind}/", token)).status for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_token_expires_by_the_clock_even_after_it_was_verified(
    caller: Caller, clock: HandClock, kind: str
) -> None:
    token = await caller.token()
    clock.turn(3599)
    assert (await caller.get(f"/{kind}/", token)).status == 200
    clock.turn(1)
    assert (await caller.get(f"/{kind}/", token)).status == 401
    assert caller.emulator.calls()["calls"][-1]["outcome"] == "expired"


@pytest.mark.parametrize(
    ("aud", "verdict"), [("me", Verdict.GOOD), (["x", "me"], Verdict.GOOD), ("x", Verdict.AUDIENCE)]
)
def test_an_audience_counts_before_the_client_id(aud: Any, verdict: Verdict) -> None:
    claims = {"iss": "i", "exp": 10, "aud": aud, "client_id": "me"}
    assert judge(claims, now=1, issuer="i", audience=("me",), scopes=(), revoked=False) is verdict


async def test_what_is_remembered_of_tokens_is_bounded_and_none_is_lost(
    opened: Opened, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.emulator.tokens._REMEMBERED", 2)
    async with opened() as caller:
        old = [await caller.token() for _ in range(3)]
        clock.turn(3600)
        tokens = [await caller.token() for _ in range(4)]
        for _ in range(2):
            for token in tokens:
                assert (await caller.get("/rest/", token)).status == 200
            for token in old:
                assert (await caller.get("/rest/", token)).json == {"message": "The incoming token has expired"}
        assert caller.emulator.revoke_tokens() == 4


async def test_revoked_tokens_are_refused_and_new_ones_are_not(caller: Caller) -> None:
    tokens = [await caller.token() for _ in range(3)]
    assert await statuses(caller, tokens[0]) == {200}
    assert (await caller.ask("POST", "/_emulator/revoke-tokens")).json == {"revoked": 3}
    for token in tokens:
        assert await statuses(caller, token) == {401}
    assert (await caller.calls())["calls"][-1]["outcome"] == "revoked"
    assert await statuses(caller, await caller.token()) == {200}
