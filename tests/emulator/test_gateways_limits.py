"""What is too large for a gateway, and what arrives behind one."""

from __future__ import annotations

import io

import pytest

from tests.emulator.tools import Caller, bearer

MIB = 1024 * 1024


TOO_LARGE = {
    "rest": ("text/plain", b"HTTP content length exceeded 10485760 bytes."),
    "http": ("application/json", b'{"message":"Request Entity Too Large"}'),
}


@pytest.mark.uvloop
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", ["rest", "http"])
async def test_a_body_over_10_mib_is_413_and_the_connection_ends(caller: Caller, kind: str, chunked: bool) -> None:
    headers = bearer(caller.emulator.issue())
    body = io.BytesIO(b"x" * (10 * MIB + 1))
    reply = await caller.ask("POST", f"/{kind}/echo", headers=headers, data=body, chunked=chunked or None)
    content_type, text = TOO_LARGE[kind]
    assert (reply.status, reply.lower["content-type"]) == (413, content_type)
    assert reply.body == text
    assert reply.lower["connection"] == "close"


@pytest.mark.parametrize(("kind", "size"), [("rest", 10 * MIB), ("alb", 10 * MIB + 1)])
async def test_a_body_up_to_the_limit_passes_and_a_load_balancer_has_none(caller: Caller, kind: str, size: int) -> None:
    body = io.BytesIO(b"x" * size)
    reply = await caller.ask("POST", f"/{kind}/echo", headers=bearer(caller.emulator.issue()), data=body)
    assert reply.json["body"]["length"] == size


@pytest.mark.parametrize(
    ("kind", "fits", "refused"),
    [("rest", 8000, 431), ("http", 8000, 431), ("alb", 60_000, 400)],
)
async def test_a_head_that_is_too_large_is_refused_even_without_a_token(
    caller: Caller, kind: str, fits: int, refused: int
) -> None:
    headers = bearer(caller.emulator.issue())
    assert (await caller.ask("GET", f"/{kind}/", headers=headers | {"X-Large": "x" * fits})).status == 200
    reply = await caller.ask("GET", f"/{kind}/", headers={"X-Large": "x" * (fits + 6000)})
    assert reply.status == refused
    if kind == "rest":
        assert reply.lower["x-amzn-errortype"] == "RequestTooLargeException"


async def test_a_load_balancer_limits_the_request_line_too(caller: Caller) -> None:
    headers = bearer(caller.emulator.issue())
    assert (await caller.ask("GET", "/alb/" + "x" * 15_000, headers=headers)).status == 200
    assert (await caller.ask("GET", "/alb/" + "x" * 17_000, headers=headers)).status == 400
