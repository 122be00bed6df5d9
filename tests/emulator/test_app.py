"""The pages for everybody, and what arrives behind a gateway."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from tests.emulator.tools import OTHER_SCOPE, SCOPE, Caller, Opened, bearer

KINDS = ("rest", "http", "alb")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_echo_says_what_arrived_and_never_the_token(caller: Caller) -> None:
    token = await caller.token()
    named = digest(token.encode())[:8]
    headers = {"Authorization": f"Bearer {token}", "X-Also": f"<{token}>", "Accept-Encoding": "identity"}
    reply = await caller.ask("POST", f"/http/echo?a=%20b&t={token}", headers=headers, data=b"a body")
    assert reply.status == 200
    assert token.encode() not in reply.body
    seen = reply.json
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/echo", f"a=%20b&t={named}")
    assert (seen["scheme"], seen["token_id"]) == ("Bearer", named)
    assert ["Authorization", named] in seen["headers"]
    assert ["X-Also", f"<{named}>"] in seen["headers"]
    assert seen["body"] == {"length": 6, "sha256": digest(b"a body")}


async def test_echo_shows_repeated_headers_in_their_order_and_case(caller: Caller) -> None:
    token = caller.emulator.issue()
    sent = [("Authorization", token), ("X-A", "1"), ("x-b", "2"), ("X-A", "3")]
    seen = (await caller.ask("GET", "/rest/echo", headers=sent)).json
    assert [pair for pair in seen["headers"] if pair[0].lower() in {"x-a", "x-b"}] == [
        ["X-A", "1"],
        ["x-b", "2"],
        ["X-A", "3"],
    ]
    assert seen["scheme"] == ""
    assert seen["body"] == {"length": 0, "sha256": digest(b"")}


async def test_a_compressed_body_is_taken_as_it_came(caller: Caller) -> None:
    headers = bearer(caller.emulator.issue()) | {"Content-Encoding": "gzip"}
    reply = await caller.ask("POST", "/alb/echo", headers=headers, data=b"not gzip at all")
    assert reply.json["body"]["sha256"] == digest(b"not gzip at all")


async def test_discovery_leads_to_what_there_is(caller: Caller) -> None:
    reply = await caller.get(f"/{caller.settings.pool_id}/.well-known/openid-configuration")
    document = reply.json
    assert document["issuer"] == caller.emulator.issuer == f"{caller.emulator.base_url}/{caller.settings.pool_id}"
    assert document["token_endpoint"] == caller.emulator.token_url
    assert document["jwks_uri"] == caller.emulator.jwks_url
    assert document["scopes_supported"] == [SCOPE]
    assert document["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]


async def test_the_first_page_says_what_there_is_and_holds_no_secret(opened: Opened) -> None:
    async with opened(scopes=(SCOPE, OTHER_SCOPE)) as caller:
        reply = await caller.get("/")
        assert reply.json["token_url"] == caller.emulator.token_url
        assert reply.json["scopes"] == [SCOPE, OTHER_SCOPE]
        assert reply.json["gateways"]["alb"] == caller.emulator.gateway_url("alb") + "/"
        assert caller.settings.client_secrets[0].encode() not in reply.body


async def test_elsewhere_is_404_and_other_methods_405(caller: Caller) -> None:
    reply = await caller.get("/eu-central-1_Another/.well-known/jwks.json")
    assert reply.status == 404
    assert caller.emulator.base_url in reply.json["problem"]
    reply = await caller.ask("POST", f"/{caller.settings.pool_id}/.well-known/jwks.json")
    assert (reply.status, reply.lower["allow"]) == (405, "GET, HEAD")


async def test_the_apis_have_every_path_unless_routes_are_named(opened: Opened, caller: Caller) -> None:
    token = caller.emulator.issue()
    for kind in KINDS:
        assert (await caller.get(f"/{kind}/orders/7?full=1", token)).status == 200
    async with opened(routes=("/hello",)) as other:
        token = other.emulator.issue()
        answers = [(await other.get(f"/{kind}/orders/7", token)).status for kind in ("rest", "http", "alb")]
        assert answers == [403, 404, 200]


async def test_the_token_may_stand_in_another_header(opened: Opened) -> None:
    async with opened(header="X-Api-Token") as caller:
        token = caller.emulator.issue()
        assert (await caller.get("/rest/", token)).status == 401
        assert (await caller.ask("GET", "/rest/", headers={"X-Api-Token": token})).status == 200
        reply = await caller.ask("GET", "/rest/echo", headers={"X-Api-Token": token})
        assert token.encode() not in reply.body


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /rest/echo HTTP/1.1\r\nAuthorization: Bearer \xff.\xfe.\xfd",
        b"GET /http/echo HTTP/1.1\r\nAuthorization: \xff",
        b"GET /alb/\xff HTTP/1.1\r\nAuthorization: Bearer \xff.a.b",
        b"POST /oauth2/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic \xff",
        b"GET /rest/ HTTP/1.1\r\nAuthorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.",
        b"GET /\xff HTTP/1.1",
    ],
)
async def test_bytes_that_are_no_text_are_refused_like_any_others(caller: Caller, request_head: bytes) -> None:
    host, _, port = caller.emulator.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_head + b"\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    status = int((await reader.readline()).split()[1])
    await reader.read()
    writer.close()
    await writer.wait_closed()
    assert status in {400, 401, 404}
    assert (await caller.ask("GET", "/_emulator/calls")).status == 200
