"""The app client and its two secrets."""

from __future__ import annotations

import pytest

from proxy.emulator.client import AppClient, LimitExceeded
from tests.emulator.tools import Caller, Opened


async def test_a_second_secret_lives_beside_the_first_until_that_is_revoked(caller: Caller) -> None:
    first = caller.settings.client_secrets[0]
    reply = await caller.ask("POST", "/_emulator/rotate-secret")
    second = reply.json["client_secret"]
    assert len(second) == 51
    assert reply.json["client_id"] == caller.settings.client_id
    assert reply.json["client_secret_id"] == reply.json["live"][1]
    assert reply.json["client_secret_id"].startswith(f"{caller.settings.client_id}--")
    assert [(await caller.token_call(secret)).status for secret in (first, second)] == [200, 200]

    refused = await caller.ask("POST", "/_emulator/rotate-secret")
    assert (refused.status, refused.json["error"]) == (400, "limit_exceeded")

    revoked = await caller.ask("POST", "/_emulator/revoke-secret")
    assert revoked.json == {"revoked": reply.json["live"][0], "live": [reply.json["live"][1]]}
    assert (await caller.token_call(first)).json == {"error": "invalid_client"}
    assert (await caller.token_call(second)).status == 200

    last = await caller.ask("POST", "/_emulator/revoke-secret")
    assert (last.status, last.json["error"]) == (400, "limit_exceeded")
    assert (await caller.token_call(second)).status == 200


async def test_a_rotation_may_revoke_what_was_there(opened: Opened) -> None:
    async with opened(client_secrets=("first", "second")) as caller:
        assert [(await caller.token_call(secret)).status for secret in ("first", "second")] == [200, 200]
        reply = await caller.ask("POST", "/_emulator/rotate-secret?revoke_old=true")
        assert len(reply.json["live"]) == 1
        assert [(await caller.token_call(secret)).status for secret in ("first", "second")] == [400, 400]
        assert (await caller.token_call(reply.json["client_secret"])).status == 200


def test_secrets_made_within_one_second_have_ids_of_their_own() -> None:
    client = AppClient("c", ("first",), now=100.9)
    client.add(bytes, now=100.9)
    assert [secret.id for secret in client.secrets] == ["c--100", "c--101"]


def test_a_client_with_two_secrets_gets_no_third_and_keeps_its_last() -> None:
    client = AppClient("c", ("first", "second"), now=0)
    with pytest.raises(LimitExceeded):
        client.add(bytes, now=1)
    assert client.revoke_oldest().value == "first"
    with pytest.raises(LimitExceeded):
        client.revoke_oldest()
    assert client.accepts("c", "second")
    assert not client.accepts("c", "first")
    assert not client.accepts("ç", "second")
    assert "second" not in repr(client.secrets)
