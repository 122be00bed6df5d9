"""Faults on order, as a client of the token endpoint and of the gateways meets them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.emulator.faults import PlanError, parse
from proxy.emulator.oauth import OAuthError
from tests.emulator.tools import Caller

pytestmark = pytest.mark.uvloop


@pytest.mark.parametrize("error", OAuthError.__args__)  # type: ignore[attr-defined]
async def test_an_oauth_error(caller: Caller, error: str) -> None:
    await caller.order(token=[{"fault": "error", "error": error}])
    reply = await caller.token_call()
    assert (reply.status, reply.json) == (400, {"error": error})
    assert reply.lower["content-type"] == "application/json;charset=UTF-8"
    assert (await caller.token_call()).status == 200


@pytest.mark.parametrize(
    ("fault", "status", "body", "retry_after"),
    [
        ({"status": 429}, 429, b'{"message":"Too Many Requests"}', None),
        ({"status": 429, "retry_after": 2}, 429, b'{"message":"Too Many Requests"}', "2"),
        ({"status": 500}, 500, b'{"message":"Internal Server Error"}', None),
        (
            {"status": 503, "message": "Later", "retry_after": "Mon, 01 Jan 2035 00:00:00 GMT"},
            503,
            b'{"message":"Later"}',
            "Mon, 01 Jan 2035 00:00:00 GMT",
        ),
    ],
)
async def test_a_status_of_the_token_endpoint(
    caller: Caller, fault: dict[str, Any], status: int, body: bytes, retry_after: str | None
) -> None:
    await caller.order(token=[{"fault": "status", **fault}])
    reply = await caller.token_call()
    assert (reply.status, reply.body, reply.lower.get("retry-after")) == (status, body, retry_after)


async def test_answers_that_are_none(caller: Caller) -> None:
    await caller.order(token=[{"fault": "empty"}, {"fault": "broken_json"}, {"fault": "html"}])
    empty, broken, html = [await caller.token_call() for _ in range(3)]
    assert (empty.status, empty.body) == (200, b"")
    assert broken.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken.body)
    assert html.status == 200
    assert html.lower["content-type"] == "text/html;charset=UTF-8"
    assert html.body.startswith(b"<!DOCTYPE html>")


async def test_any_answer_at_all(caller: Caller) -> None:
    fault = {"fault": "answer", "status": 201, "headers": {"content-type": "text/x", "X-A": "1"}, "body": "{}"}
    await caller.order(token=[fault, {"fault": "answer"}], rest=[fault])
    for reply in (await caller.token_call(), await caller.get("/rest/")):
        assert (reply.status, reply.body) == (201, b"{}")
        assert (reply.lower["content-type"], reply.lower["x-a"]) == ("text/x", "1")
    assert (await caller.token_call()).status == 200


GATEWAY_STATUSES = {
    ("rest", 401): (401, b'{"message":"Unauthorized"}', "UnauthorizedException"),
    ("rest", 403): (403, b'{"message":"Forbidden"}', "ForbiddenException"),
    ("rest", 429): (429, b'{"message":"Too Many Requests"}', "TooManyRequestsException"),
    ("rest", 500): (500, b'{"message":"Internal server error"}', "InternalServerErrorException"),
    ("rest", 502): (502, b'{"message":"Internal server error"}', "InternalServerErrorException"),
    ("rest", 503): (503, b'{"message":"Service Unavailable"}', "ServiceUnavailableException"),
    ("rest", 504): (504, b'{"message":"Endpoint request timed out"}', "InternalServerErrorException"),
    ("http", 401): (401, b'{"message":"Unauthorized"}', None),
    ("http", 403): (403, b'{"message":"Forbidden"}', None),
    ("http", 429): (429, b'{"message":"Too Many Requests"}', None),
    ("http", 500): (500, b'{"message":"Internal Server Error"}', None),
    ("http", 503): (503, b'{"message":"Service Unavailable"}', None),
    ("alb", 401): (401, b"401 Authorization Required", None),
    ("alb", 429): (429, b"429 Too Many Requests", None),
    ("alb", 502): (502, b"502 Bad Gateway", None),
    ("alb", 503): (503, b"503 Service Temporarily Unavailable", None),
    ("alb", 504): (504, b"504 Gateway Time-out", None),
}


@pytest.mark.parametrize("case", GATEWAY_STATUSES)
async def test_a_status_of_a_gateway_in_its_own_words(caller: Caller, case: tuple[str, int]) -> None:
    kind, wanted = case
    status, body, error_type = GATEWAY_STATUSES[case]
    await caller.order(**{kind: [{"fault": "status", "status": wanted}]})
    reply = await caller.get(f"/{kind}/", caller.emulator.issue())
    assert reply.status == status
    assert body in reply.body
    assert reply.lower.get("x-amzn-errortype") == error_type
    assert "retry-after" not in reply.lower
    assert (await caller.get(f"/{kind}/", caller.emulator.issue())).status == 200


async def test_an_exceeded_quota(caller: Caller) -> None:
    await caller.order(rest=[{"fault": "status", "status": 429, "message": "Limit Exceeded", "retry_after": 1}])
    reply = await caller.get("/rest/")
    assert (reply.status, reply.body) == (429, b'{"message":"Limit Exceeded"}')
    assert (reply.lower["x-amzn-errortype"], reply.lower["retry-after"]) == ("LimitExceededException", "1")


async def test_faults_come_in_order_and_as_often_as_was_ordered(caller: Caller) -> None:
    plan: list[dict[str, Any]] = [
        {"fault": "status", "status": 500, "count": 2},
        {"fault": "error", "error": "invalid_client"},
    ]
    reply = await caller.order(token=plan, rest=[{"fault": "status", "status": 500, "count": "all"}])
    assert reply.status == 200
    assert reply.json["token"] == [plan[0] | {"message": None, "retry_after": None}, plan[1] | {"count": 1}]
    assert [(await caller.token_call()).status for _ in range(4)] == [500, 500, 400, 200]
    assert [(await caller.get("/rest/")).status for _ in range(3)] == [500, 500, 500]
    pending = (await caller.ask("GET", "/_emulator/faults")).json
    assert pending["token"] == []
    assert pending["rest"][0]["count"] == "all"
    cleared = await caller.ask("DELETE", "/_emulator/faults")
    assert cleared.json == {"token": [], "rest": [], "http": [], "alb": []}
    assert (await caller.get("/rest/")).status == 401


async def test_only_a_post_uses_up_a_fault_of_the_token_endpoint(caller: Caller) -> None:
    await caller.order(token=[{"fault": "status", "status": 500}])
    assert (await caller.ask("GET", "/oauth2/token")).status == 405
    assert (await caller.token_call()).status == 500


async def test_a_new_plan_takes_the_place_of_the_old(caller: Caller) -> None:
    await caller.order(token=[{"fault": "status", "status": 500, "count": 5}])
    await caller.order(alb=[{"fault": "status", "status": 503}])
    assert (await caller.token_call()).status == 200
    assert (await caller.get("/alb/")).status == 503


MISTAKES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"token: []", "malformed"),
    "nothing": (b"", "truncated"),
    "not UTF-8": (b'{"token": [{"fault": "\xff"}]}', "utf-8"),
    "not an object": (b"[]", "Expected `object`"),
    "an unknown target": (b'{"tokens": []}', "unknown field `tokens`"),
    "not a list": (b'{"token": {"fault": "drop"}}', "`$.token`"),
    "no fault": (b'{"token": [{"count": 1}]}', "`fault` - at `$.token[0]`"),
    "an unknown fault": (b'{"token": [{"fault": "slow"}]}', "'slow' - at `$.token[0].fault`"),
    "an unknown key": (b'{"rest": [{"fault": "drop", "times": 1}]}', "`times` - at `$.rest[0]`"),
    "an unknown error": (b'{"token": [{"fault": "error", "error": "oops"}]}', "'oops' - at `$.token[0].error`"),
    "an OAuth error of a gateway": (b'{"alb": [{"fault": "error", "error": "invalid_client"}]}', "`$.alb[0].fault`"),
    "no status": (b'{"token": [{"fault": "status"}]}', "`status` - at `$.token[0]`"),
    "a good status": (b'{"token": [{"fault": "status", "status": 200}]}', "`$.token[0].status`"),
    "a count of none": (b'{"token": [{"fault": "drop", "count": 0}]}', "`$.token[0].count`"),
    "a count in words": (b'{"token": [{"fault": "drop", "count": "some"}]}', "`$.token[0].count`"),
    "a negative delay": (b'{"http": [{"fault": "delay", "seconds": -1}]}', "`$.http[0].seconds`"),
    "no delay": (b'{"http": [{"fault": "delay"}]}', "`seconds` - at `$.http[0]`"),
    "a header with a line break": (
        b'{"token": [{"fault": "answer", "headers": {"A": "1\\r\\nB: 2"}}]}',
        "`$.token[0].headers[...]`",
    ),
    "a header for the emulator to set": (
        b'{"token": [{"fault": "drop"}, {"fault": "answer", "headers": {"Content-length": "7"}}]}',
        "Content-length is for the emulator to set - at `$.token[1].headers`",
    ),
}


@pytest.mark.parametrize("row", MISTAKES.values(), ids=MISTAKES)
async def test_a_mistake_in_a_plan_is_named_and_changes_nothing(caller: Caller, row: tuple[bytes, str]) -> None:
    document, problem = row
    await caller.order(token=[{"fault": "status", "status": 500}])
    reply = await caller.ask("PUT", "/_emulator/faults", data=document)
    assert (reply.status, reply.json["error"]) == (400, "invalid_faults")
    assert problem in reply.json["problem"]
    assert (await caller.token_call()).status == 500


def test_a_mistake_in_python_is_a_value_error() -> None:
    with pytest.raises(PlanError, match="token"):
        parse({"token": [{"fault": "no"}]})
