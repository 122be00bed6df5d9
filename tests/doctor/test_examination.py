"""The steps of one upstream against the emulator, which refuses as Cognito and the gateways do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from proxy.clock import SystemClock
from proxy.config.model import Address, Auth, Headers, Tls, Upstream, Url, Value
from proxy.config.walk import BROKEN, Unusable
from proxy.doctor import Finding, Mark, examine
from proxy.doctor.asking import Asked
from proxy.emulator import Emulator, Settings
from tests.processes import free_port
from tests.tokens.servers import http, serving

GOOD = [
    "credentials",
    "token endpoint: connection",
    "token",
    "clock",
    "token: scopes",
    "token: issuer",
    "token: client",
    "token: life",
    "token: signature",
    "upstream: connection",
    "upstream: without a token",
    "upstream: with the token",
]


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


def _url(text: str) -> Url:
    scheme, _, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    host, _, port = place.partition(":")
    return Url(scheme, host, int(port), (slash + path).rstrip("/"))  # type: ignore[arg-type]


def _upstream(
    emulator: Emulator, kind: Any = "http", *, auth: dict[str, Any] | None = None, **changes: Any
) -> Upstream:
    settings = emulator.settings
    credentials = {
        "token_url": _url(emulator.token_url),
        "client_id": Value(settings.client_id),
        "client_secret": tuple(Value(secret) for secret in settings.client_secrets),
        "scopes": settings.scopes,
        **(auth or {}),
    }
    return Upstream(
        **{
            "listen": Address("127.0.0.1", 0),
            "url": _url(emulator.gateway_url(kind)),
            "auth": Auth(**credentials),
            **changes,
        }
    )


async def _found(upstream: Upstream, asked: Asked = Asked()) -> dict[str, Finding]:  # noqa: B008  (it cannot change)
    found = {finding.step: finding async for finding in examine(upstream, asked, SystemClock())}
    shown = repr(found)
    for secret in (*upstream.auth.client_secret, *upstream.headers.set.values()):
        assert secret.reveal() not in shown
    return found


@pytest.mark.parametrize("kind", ["rest", "http", "alb"])
async def test_all_is_well(emulator: Emulator, kind: str) -> None:
    found = await _found(_upstream(emulator, kind))
    assert [*found] == GOOD
    assert {finding.mark for finding in found.values()} == {Mark.OK}


async def test_wrong_credentials(emulator: Emulator) -> None:
    found = await _found(_upstream(emulator, auth={"client_secret": (Value("wrong_secret_of_ours"),)}))
    assert (found["token"].mark, found["token"].name) == (Mark.FAIL, "invalid_client")
    assert found["upstream: without a token"].mark is Mark.OK, "what does not depend on it is tried all the same"
    assert found["upstream: with the token"].mark is Mark.SKIP
    assert "token: scopes" not in found


async def test_each_of_two_secrets_is_tried(emulator: Emulator) -> None:
    good = Value(emulator.settings.client_secrets[0], "file /s/new")
    upstream = _upstream(emulator, auth={"client_secret": (Value("wrong_secret_of_ours", "file /s/old"), good)})
    found = [finding async for finding in examine(upstream, Asked(), SystemClock()) if finding.step == "token"]
    assert [(finding.mark, finding.detail.rpartition(", ")[2]) for finding in found] == [
        (Mark.OK, "with secret 2 of 2 (from file /s/new)"),
        (Mark.WARN, "with secret 1 of 2 (from file /s/old)"),
    ]


async def test_a_scope_that_is_not_allowed(emulator: Emulator) -> None:
    found = await _found(_upstream(emulator, auth={"scopes": ("mydomain.com/OTHER",)}))
    assert found["token"].name == "invalid_scope"


async def test_a_scope_that_the_gateway_wants_and_the_token_lacks() -> None:
    settings = Settings(scopes=("a/x", "a/y"), required_scopes=("a/y",))
    async with Emulator(settings) as emulator:
        rest = await _found(_upstream(emulator, "rest", auth={"scopes": ("a/x",)}))
        http_api = await _found(_upstream(emulator, "http", auth={"scopes": ("a/x",)}))
    assert rest["upstream: with the token"].name == "rest_unauthorized"
    assert http_api["upstream: with the token"].name == "forbidden"


async def test_a_route_that_is_not_there() -> None:
    async with Emulator(Settings(routes=("/orders",))) as emulator:
        found = await _found(_upstream(emulator, "rest"))
        there = await _found(_upstream(emulator, "rest"), Asked("POST", "/orders"))
    assert found["upstream: with the token"].name == "rest_unknown_route"
    assert there["upstream: with the token"].mark is Mark.OK


async def test_a_short_life() -> None:
    async with Emulator(Settings(token_lifetime=60)) as emulator:
        found = await _found(_upstream(emulator))
    assert (found["token: life"].mark, found["token: life"].name) == (Mark.WARN, "short_life")


async def test_a_token_endpoint_that_is_not_there(emulator: Emulator) -> None:
    found = await _found(_upstream(emulator, auth={"token_url": Url("http", "127.0.0.1", free_port(), "/t")}))
    assert found["token endpoint: connection"].name == "no_connection"
    assert found["token"].mark is Mark.SKIP
    assert found["upstream: with the token"].mark is Mark.SKIP


async def test_an_upstream_that_is_not_there(emulator: Emulator) -> None:
    found = await _found(_upstream(emulator, url=Url("http", "127.0.0.1", free_port(), "")))
    assert found["token: scopes"].mark is Mark.OK
    assert found["upstream: connection"].name == "no_connection"
    assert [*found][-2:] == ["upstream: without a token", "upstream: with the token"]
    assert {finding.mark for finding in [*found.values()][-2:]} == {Mark.SKIP}


@pytest.mark.parametrize("which", ["auth", "upstream"])
async def test_a_certificate_file_that_is_not_there(emulator: Emulator, which: str) -> None:
    tls = Tls(ca_file="/nowhere/ca.pem")
    url = Url("https", "127.0.0.1", 1, "")
    changes: dict[str, Any] = {"auth": {"tls": tls, "token_url": url}} if which == "auth" else {"tls": tls, "url": url}
    if which == "upstream":
        changes["auth"] = {"tls": Tls(server_name="x")}  # Else the token endpoint would be trusted by that file too.
    found = await _found(_upstream(emulator, **changes))
    finding = found["token endpoint: TLS" if which == "auth" else "upstream: TLS"]
    assert (finding.mark, finding.detail) == (
        Mark.FAIL,
        "ca_file: /nowhere/ca.pem: no such file or directory",
    )


async def test_an_opaque_token() -> None:
    answer = http(
        200, b'{"access_token": "token_of_theirs", "token_type": "Bearer", "expires_in": 3600}', "Date: yesterday"
    )
    async with serving(answer) as idp, Emulator() as emulator:
        found = await _found(
            _upstream(emulator, auth={"token_url": Url("http", "127.0.0.1", idp.port, "/t"), "scopes": ()})
        )
    assert found["token: form"].detail == "opaque: only its issuer can read it"
    assert "clock" not in found
    assert found["upstream: with the token"].name == "not_a_jwt"


async def test_configured_headers_are_sent_and_never_shown(emulator: Emulator) -> None:
    headers = Headers(set={"x-api-key": Value("api_key_of_ours")})
    async with serving(http(403, b"")) as upstream:
        found = await _found(_upstream(emulator, url=Url("http", "127.0.0.1", upstream.port, ""), headers=headers))
        assert all(b"x-api-key: api_key_of_ours" in request for request in upstream.requests)
        assert [b"authorization: bearer" in request.lower() for request in upstream.requests] == [False, True]
    assert found["upstream: with the token"].name == "forbidden"


async def test_whoever_repeats_what_they_were_sent_is_not_quoted(emulator: Emulator) -> None:
    """As API Gateway does with a header that it cannot read."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = (await reader.readuntil(b"\r\n\r\n")).decode()
        token = sent.partition("Authorization: ")[2].partition("\r\n")[0]
        text = f"'{token}' not a valid key=value pair, and the key is {sent.partition('x-api-key: ')[2][:15]}"
        body = json.dumps({"message": text}).encode()
        writer.write(http(403, body, "x-amzn-ErrorType: Forbidden", f'WWW-Authenticate: error_description="{token}"'))

    headers = Headers(set={"x-api-key": Value("api_key_of_ours")})
    async with serving(repeat, reads=False) as upstream:
        found = await _found(_upstream(emulator, url=Url("http", "127.0.0.1", upstream.port, ""), headers=headers))
    assert found["upstream: with the token"].detail == "a REST API answers 403 `'Bearer …` (Bearer …)"
    assert found["upstream: without a token"].detail.endswith("and the key is …`: it wants one")


async def test_claims_that_repeat_a_credential_are_not_quoted(emulator: Emulator) -> None:
    secret = "secret_of_ours_0123456789"
    claims = {
        "scope": f"a/b {secret}",
        "iss": f"https://127.0.0.1:1/{secret}",
        "client_id": secret,
        "token_use": secret,
    }
    token = jwt.encode(claims, "k" * 32, "HS256")
    answer = http(200, json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode())
    async with serving(answer) as idp:
        auth = {
            "token_url": Url("http", "127.0.0.1", idp.port, "/t"),
            "client_secret": (Value(secret),),
            "scopes": ("a/b",),
        }
        found = await _found(_upstream(emulator, auth=auth))
    assert found["token: scopes"].detail == "a/b … (more than asked for: …)"
    assert found["token: issuer"].detail == "https://127.0.0.1:1/…"


def _lack(path: str) -> Unusable:
    return Unusable(path, "environment variable NOT_SET is not set", "variable_not_set")


async def _found_without(upstream: Upstream, *paths: str) -> dict[str, Finding]:
    """The first finding of each step."""
    lacks = [_lack(path) for path in paths]
    found: dict[str, Finding] = {}
    async for finding in examine(upstream, Asked(), SystemClock(), lacks):
        found.setdefault(finding.step, finding)
    return found


UPSTREAM = GOOD[-3:]


@pytest.mark.parametrize(
    ("changes", "path", "tried", "skipped"),
    [
        pytest.param(
            {"auth": {"client_secret": ()}},
            "auth.client_secret",
            {GOOD[1], *UPSTREAM[:2]},
            {"token", UPSTREAM[2]},
            id="the only secret",
        ),
        pytest.param(
            {"auth": {"client_id": BROKEN}},
            "auth.client_id",
            {GOOD[1], *UPSTREAM[:2]},
            {"token", UPSTREAM[2]},
            id="client id",
        ),
        pytest.param({}, "auth.extra_params.a", {GOOD[1], *UPSTREAM[:2]}, {"token", UPSTREAM[2]}, id="a form field"),
        pytest.param({"auth": {"token_url": BROKEN}}, "auth.token_url", {*UPSTREAM[:2]}, {"token"}, id="token_url"),
        pytest.param({"url": BROKEN}, "url", {*GOOD[1:9]}, {*UPSTREAM[1:]}, id="url"),
        pytest.param({}, "headers.set.X-Key", {*GOOD[1:10]}, {*UPSTREAM[1:]}, id="an API key"),
        pytest.param(
            {"egress_proxy": BROKEN}, "egress_proxy", set(), {"token", *UPSTREAM[1:]}, id="the way to everything"
        ),
    ],
)
async def test_a_value_that_cannot_be_read(
    emulator: Emulator, changes: dict[str, Any], path: str, tried: set[str], skipped: set[str]
) -> None:
    found = await _found_without(_upstream(emulator, **changes), path)
    step = "address" if path.endswith(("url", "egress_proxy")) else "credentials"
    assert (found[step].mark, found[step].detail) == (Mark.FAIL, f"{path}: environment variable NOT_SET is not set")
    assert found[step].explanation is not None
    assert tried <= {step for step, finding in found.items() if finding.mark is Mark.OK}
    assert skipped <= {step for step, finding in found.items() if finding.mark is Mark.SKIP}
    assert [finding.step for finding in found.values() if finding.mark is Mark.FAIL] == [step]


async def test_of_two_secrets_one_that_can_be_read_is_tried(emulator: Emulator) -> None:
    good = Value(emulator.settings.client_secrets[0], "file /s/new")
    upstream = _upstream(emulator, auth={"client_secret": (BROKEN, good)})
    found = await _found_without(upstream, "auth.client_secret[0]")
    assert found["credentials"].mark is Mark.FAIL
    assert found["token"] == ("token", Mark.OK, "given, with secret 2 of 2 (from file /s/new)", "")
    assert found["upstream: with the token"].mark is Mark.OK


@pytest.mark.parametrize(("kind", "name"), [("http", "signature_disputed"), ("rest", "rest_unauthorized_as_sent")])
async def test_a_scheme_that_the_gateway_does_not_know(emulator: Emulator, kind: str, name: str) -> None:
    """The signature has just been found good: whoever calls it bad has not seen the token."""
    found = await _found(_upstream(emulator, kind, auth={"scheme": "Token"}))
    assert found["token: signature"].mark is Mark.OK
    refused = found["upstream: with the token"]
    assert (refused.mark, refused.name) == (Mark.FAIL, name)
    assert refused.explanation is not None
    assert "auth.scheme" in refused.explanation.remedy
    assert "auth.header" in refused.explanation.remedy
