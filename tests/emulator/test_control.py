"""Rotation, revocation and the record of calls."""

from __future__ import annotations

import io

import pytest

from proxy.emulator.client import LimitExceeded
from tests.emulator.tools import SCOPE, Caller

KINDS = ("rest", "http", "alb")


async def statuses(caller: Caller, token: str) -> set[int]:
    return {(await caller.get(f"/{kind}/", token)).status for kind in KINDS}


async def test_new_keys_make_old_tokens_worthless_everywhere(caller: Caller) -> None:
    token = await caller.token()
    assert await statuses(caller, token) == {200}
    before = (await caller.get(f"/{caller.settings.pool_id}/.well-known/jwks.json")).json["keys"]
    reply = await caller.ask("POST", "/_emulator/rotate-keys")
    assert reply.status == 200
    after = (await caller.get(f"/{caller.settings.pool_id}/.well-known/jwks.json")).json["keys"]
    assert [key["kid"] for key in after] == reply.json["kids"]
    assert reply.json["signing_kid"] == reply.json["kids"][1]
    assert not {key["kid"] for key in before} & {key["kid"] for key in after}
    assert await statuses(caller, token) == {401}
    assert await statuses(caller, await caller.token()) == {200}


@pytest.mark.parametrize("value", ["true", "1", ""])
async def test_keys_that_are_kept_keep_their_tokens_good(caller: Caller, value: str) -> None:
    token = await caller.token()
    reply = await caller.ask("POST", f"/_emulator/rotate-keys?keep_old={value}")
    assert len(reply.json["kids"]) == 4
    assert await statuses(caller, token) == {200}
    assert await statuses(caller, await caller.token()) == {200}
    assert len((await caller.ask("POST", "/_emulator/rotate-keys?keep_old=false")).json["kids"]) == 2
    assert await statuses(caller, token) == {401}


async def test_a_test_in_the_same_process_can_do_the_same(caller: Caller) -> None:
    emulator = caller.emulator
    token = await caller.token()
    await emulator.rotate_keys()
    assert await statuses(caller, token) == {401}
    second = emulator.rotate_secret()
    with pytest.raises(LimitExceeded):
        emulator.rotate_secret()
    emulator.revoke_secret()
    assert (await caller.token_call(second)).status == 200
    assert (await caller.token_call()).status == 400
    assert emulator.token_calls == 3
    assert emulator.calls()["token"]["by_outcome"] == {"success": 2, "invalid_client": 1}
    assert await statuses(caller, emulator.issue(SCOPE)) == {200}
    assert second not in repr(emulator._running.client.secrets)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/_emulator/rotate-keys", 405, "POST"),
        ("POST", "/_emulator/faults", 405, "GET, PUT, DELETE"),
        ("PUT", "/_emulator/calls", 405, "GET, DELETE"),
        ("GET", "/_emulator/nothing", 404, None),
        ("POST", "/_emulator/rotate-keys?keep=true", 400, None),
        ("POST", "/_emulator/rotate-keys?keep_old=perhaps", 400, None),
        ("POST", "/_emulator/rotate-secret?keep_old=true", 400, None),
        ("POST", "/_emulator/rotate-secret?client_id=nobody", 400, None),
        ("POST", "/_emulator/stack", 405, "GET"),
    ],
)
async def test_a_mistake_gets_an_explanation(
    caller: Caller, method: str, path: str, status: int, allow: str | None
) -> None:
    reply = await caller.ask(method, path)
    assert (reply.status, reply.lower.get("allow")) == (status, allow)
    assert reply.json.keys() == {"error", "problem"}


async def test_a_plan_that_is_too_large_is_refused(caller: Caller) -> None:
    reply = await caller.ask("PUT", "/_emulator/faults", data=io.BytesIO(b" " * 1_048_577))
    assert (reply.status, reply.json["error"]) == (413, "too_large")
