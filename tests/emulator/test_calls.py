"""The record of what was asked."""

from __future__ import annotations

from proxy.emulator.calls import KEPT
from tests.emulator.tools import SCOPE, Caller, HandClock, basic


async def test_calls_are_counted_and_listed(caller: Caller, clock: HandClock) -> None:
    token = await caller.token(scope=SCOPE)
    clock.turn(1.5)
    await caller.ask("POST", "/oauth2/token", data={"grant_type": "client_credentials", "client_id": "x"})
    await caller.get("/rest/echo?q=1", token)
    await caller.get("/http/hello")
    await caller.order(rest=[{"fault": "status", "status": 429}])
    await caller.get("/rest/", token)
    seen = await caller.calls()
    assert seen["token"] == {"total": 2, "by_outcome": {"success": 1, "invalid_client": 1}}
    assert seen["gateways"] == {
        "rest": {"total": 2, "by_status": {"200": 1, "429": 1}},
        "http": {"total": 1, "by_status": {"401": 1}},
    }
    granted, refused, echoed, without, throttled = seen["calls"]
    assert granted == {
        "at": "2026-09-21T14:13:20.000Z",
        "kind": "token",
        "status": 200,
        "outcome": "success",
        "client_id": caller.settings.client_id,
        "auth_method": "basic",
        "scope": SCOPE,
    }
    assert (refused["status"], refused["outcome"], refused["client_id"]) == (400, "invalid_client", None)
    assert (refused["auth_method"], refused["at"]) == ("post", "2026-09-21T14:13:21.500Z")
    assert (echoed["kind"], echoed["method"], echoed["path"]) == ("rest", "GET", "/echo")
    assert (echoed["status"], echoed["outcome"], len(echoed["token"])) == (200, "allowed", 8)
    assert (without["status"], without["outcome"], without["token"]) == (401, "no_token", None)
    assert (throttled["status"], throttled["outcome"]) == (429, "fault:status")


async def test_the_record_holds_no_credential(caller: Caller) -> None:
    token = await caller.token()
    await caller.ask("POST", "/oauth2/token", headers=basic("my-secret-as-an-id", "x"), data={"grant_type": "x"})
    await caller.get(f"/rest/hello?token={token}", token)
    await caller.get("/rest/hello", "not-a-token-at-all")
    record = (await caller.ask("GET", "/_emulator/calls")).body.decode()
    for credential in (token, caller.settings.client_secrets[0], "my-secret-as-an-id", "not-a-token-at-all"):
        assert credential not in record


async def test_the_record_is_bounded_and_can_be_emptied(caller: Caller) -> None:
    for _ in range(KEPT + 5):
        caller.emulator._running.calls.gateway(
            "rest", at=0, status=200, outcome="allowed", method="GET", path="/" + "x" * 5000, token=None
        )
    await caller.get("/rest/hello")
    seen = await caller.calls()
    assert len(seen["calls"]) == KEPT
    assert seen["gateways"]["rest"]["total"] == KEPT + 6
    assert seen["calls"][-1]["path"] == "/hello"
    assert max(len(call["path"]) for call in seen["calls"]) == 256
    emptied = await caller.ask("DELETE", "/_emulator/calls")
    assert emptied.json == {"token": {"total": 0, "by_outcome": {}}, "gateways": {}, "calls": []}
