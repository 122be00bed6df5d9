"""The app client and its two secrets."""

from __future__ import annotations

import jwt
import pytest

from proxy.emulator.client import AppClient, LimitExceeded
from proxy.emulator.settings import Client
from tests.emulator.tools import Caller, Opened, Reply, basic


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
    assert client.revoke_oldest().value.reveal() == "first"
    with pytest.raises(LimitExceeded):
        client.revoke_oldest()
    assert client.accepts("c", "second")
    assert not client.accepts("c", "first")
    assert not client.accepts("ç", "second")
    assert "second" not in repr(client.secrets)


async def test_each_client_has_its_own_secrets_scopes_and_lifetime(opened: Opened) -> None:
    other = Client(id="other", secrets=("another",), scopes=("mydomain.com/REPORTS",), token_lifetime=60)
    website = Client(id="website", secrets=("third",), scopes=("openid",), may_ask=False)
    async with opened(more_clients=(other, website)) as caller:

        async def ask(client_id: str, secret: str, **more: str) -> Reply:
            form = {"grant_type": "client_credentials", **more}
            reply: Reply = await caller.ask("POST", "/oauth2/token", headers=basic(client_id, secret), data=form)
            return reply

        reply = await ask("other", "another")
        claims = jwt.decode(reply.json["access_token"], options={"verify_signature": False})
        assert (claims["client_id"], claims["sub"], claims["scope"]) == ("other", "other", "mydomain.com/REPORTS")
        assert (reply.json["expires_in"], claims["exp"] - claims["iat"]) == (60, 60)
        assert (await ask("other", caller.settings.client_secrets[0])).json == {"error": "invalid_client"}
        assert (await ask("other", "another", scope=caller.settings.scopes[0])).json == {"error": "invalid_scope"}
        assert (await ask("website", "third")).json == {"error": "unauthorized_client"}
        assert (await ask("website", "wrong")).json == {"error": "invalid_client"}
        assert [call["client_id"] for call in (await caller.calls())["calls"]] == ["other"] * 3 + ["website"] * 2

        rotated = await caller.ask("POST", "/_emulator/rotate-secret?client_id=other&revoke_old=true")
        assert rotated.json["client_id"] == "other"
        assert (await ask("other", "another")).status == 400
        assert (await ask("other", rotated.json["client_secret"])).status == 200
        assert (await caller.token_call()).status == 200
        revoked = await caller.ask("POST", "/_emulator/revoke-secret?client_id=website")
        assert revoked.json["error"] == "limit_exceeded"
