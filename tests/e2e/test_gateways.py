"""The main job, for each kind of gateway: a caller without credentials gets `Hello World!` through the sidecar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.emulator import Settings
from tests.e2e.world import world
from tests.processes import StartSidecar

KINDS = ("rest", "http", "alb")


@pytest.mark.parametrize("kind", KINDS)
async def test_hello_world_with_the_sidecar_and_a_refusal_without(
    kind: str, sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    async with world(sidecar_process, tmp_path, kinds=(kind,)) as w:
        async with w.session.get(w.emulator.gateway_url(kind) + "/") as response:
            alone = response.status
        answers = [await w.get(kind) for _ in range(3)]

        assert alone == 401
        assert [status for status, _ in answers] == [200, 200, 200]
        assert json.loads(answers[0][1]) == {"message": "Hello World!"}
        assert w.emulator.token_calls == 1, "three requests share one token"


async def test_upstreams_with_the_same_client_share_one_token(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path, kinds=KINDS) as w:
        answers = [await w.get(kind) for kind in KINDS]
        _, metrics = await w.page("/metrics")

        assert [status for status, _ in answers] == [200, 200, 200]
        assert w.emulator.token_calls == 1
        for kind in KINDS:
            line = f'cognito_sidecar_token_refreshes_total{{result="success",upstream="{kind}"}} 1.0'
            assert line in metrics, "each of them reports the shared token"


async def test_a_rest_api_takes_the_bare_token(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path, kinds=("rest",), auth={"scheme": ""}) as w:
        status, body = await w.get("rest", "/echo")

        assert status == 200
        seen = json.loads(body)
        assert seen["scheme"] in ("", None), "no scheme stands before the token"


UNKNOWN_ROUTE = (403, {"message": "Missing Authentication Token"})
NOT_FOUND = (404, {"message": "Not Found"})


@pytest.mark.parametrize(
    ("kind", "answer"), [pytest.param("rest", UNKNOWN_ROUTE, id="REST"), pytest.param("http", NOT_FOUND, id="HTTP")]
)
async def test_what_the_gateway_says_of_a_route_comes_back_as_it_is(
    kind: str, answer: tuple[int, Any], sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    async with world(sidecar_process, tmp_path, kinds=(kind,), settings=Settings(routes=("/hello",))) as w:
        async with w.session.get(w.sidecar.url(kind) + "/nowhere") as response:
            assert (response.status, json.loads(await response.read())) == answer
            assert "X-Sidecar-Error" not in response.headers, "the answer is the gateway's own"
        assert w.emulator.token_calls == 1, "a 403 never renews"


async def test_a_token_without_the_scope_is_the_gateways_to_refuse(
    sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    settings = Settings(scopes=("mydomain.com/API_ACCESS", "mydomain.com/OTHER"))
    auth = {"scopes": ["mydomain.com/OTHER"]}
    async with world(sidecar_process, tmp_path, kinds=("rest", "http"), settings=settings, auth=auth) as w:
        status, body = await w.get("http")
        assert (status, json.loads(body)) == (403, {"message": "Forbidden"})
        status, body = await w.get("rest")
        assert (status, json.loads(body)) == (401, {"message": "Unauthorized"})
        again, _ = await w.get("rest")
        assert again == 401
        assert w.emulator.token_calls == 2, "one renewal was tried for the 401; it did not help, so no more follow"
