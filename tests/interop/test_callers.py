"""Callers without credentials get their answer through a real sidecar, from servers that nobody here wrote."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.canaries import leaks
from tests.interop.callers import CALLERS
from tests.interop.servers import CLIENT_ID, CLIENT_SECRET, OTHER_SCOPE, SCOPE, OidcProvider, Resource, configuration
from tests.processes import Sidecar, StartSidecar

BODY = bytes(range(256)) * 64
SECRET = {"INTEROP_SECRET": CLIENT_SECRET}


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_caller_without_credentials_gets_hello_world(
    caller: str, oidc_provider: OidcProvider, resource: Resource, sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    call = CALLERS[caller]
    async with sidecar_process(configuration(oidc_provider, resource), SECRET) as sidecar:
        got = await call(f"{sidecar.url('orders')}/hello?who=the%20world&x=%2F+", None, tmp_path)
        posted = await call(f"{sidecar.url('orders')}/orders", BODY, tmp_path)
    alone = await call(f"{resource.url}/hello", None, tmp_path)

    assert (got.status, json.loads(got.body)["message"]) == (200, "Hello World!")
    assert (posted.status, json.loads(posted.body)["received"]) == (200, len(BODY))
    assert alone.status == 401, "the resource lets callers in by themselves, so the test proves nothing"
    first, second, _ = resource.seen
    assert (first.method, first.target, first.body) == ("GET", "/hello?who=the%20world&x=%2F+", b"")
    assert (second.method, second.target, second.body) == ("POST", "/orders", BODY)
    for seen in (first, second):
        assert seen.claims is not None
        assert (seen.claims["client_id"], seen.claims["scope"]) == (CLIENT_ID, SCOPE)
    (token_call,) = await oidc_provider.calls()
    assert (token_call["status"], token_call["authenticated_as"]) == (200, CLIENT_ID), "id and secret arrive decoded"


@pytest.mark.parametrize(
    ("secret", "scope", "error"),
    [
        pytest.param("not the secret", SCOPE, "invalid_client", id="wrong secret"),
        pytest.param(CLIENT_SECRET, OTHER_SCOPE, "invalid_scope", id="scope not allowed"),
    ],
)
@pytest.mark.parametrize("caller", CALLERS)
async def test_a_refused_client_is_answered_in_words(
    caller: str,
    secret: str,
    scope: str,
    error: str,
    oidc_provider: OidcProvider,
    resource: Resource,
    sidecar_process: StartSidecar,
    tmp_path: Path,
) -> None:
    config = configuration(oidc_provider, resource, required=False, scopes=[scope], wait="2s")
    async with sidecar_process(config, {"INTEROP_SECRET": secret}) as sidecar:
        answer = await CALLERS[caller](f"{sidecar.url('orders')}/hello", None, tmp_path)

    assert answer.status == 503
    problem = json.loads(answer.body)
    assert (problem["type"], problem["upstream"]) == ("urn:cognito-sidecar:error:token_unavailable", "orders")
    assert error in problem["detail"]
    assert secret not in answer.body.decode()
    assert resource.seen == []


@pytest.mark.parametrize("secret", [CLIENT_SECRET, "wr0ng-secret:/+ %&ü"], ids=["let in", "refused"])
async def test_nothing_secret_is_told(
    secret: str, oidc_provider: OidcProvider, resource: Resource, sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    config = configuration(oidc_provider, resource, required=secret == CLIENT_SECRET, wait="1s")
    async with sidecar_process(config, {"INTEROP_SECRET": secret}) as sidecar:
        for call in CALLERS.values():
            await call(f"{sidecar.url('orders')}/hello", b"some body", tmp_path)
        told = await _pages(sidecar)
    told["output"] = sidecar.output
    issued = await oidc_provider.tokens()

    assert all(told.values())
    assert bool(issued) == (secret == CLIENT_SECRET)
    assert leaks([secret, *(part for token in issued for part in token.split(".")[1:])], told) == []


async def _pages(sidecar: Sidecar) -> dict[str, str]:
    pages = {}
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/status", "/metrics", "/livez", "/startupz", "/readyz"):
            async with session.get(sidecar.admin + path) as response:
                pages[path] = await response.text()
    return pages
