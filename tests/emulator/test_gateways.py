"""The three gateways: who is let in, and every refusal with its status, body and headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from proxy.emulator.gateways import LoadBalancer, RestApi
from proxy.emulator.keys import SigningKey, generate
from proxy.emulator.routes import Route
from proxy.emulator.settings import Kind
from proxy.emulator.tokens import Verdict
from tests.emulator.tools import OTHER_SCOPE, SCOPE, START, Caller, Opened, bearer

KINDS = ("rest", "http", "alb")
GATEWAY_ID = re.compile(r"[\w-]{15}=")


def resigned(token: str, key: SigningKey, **changes: Any) -> str:
    """The same token with other claims, signed anew."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid, "typ": None})


@pytest.mark.uvloop
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["", "/", "/hello", "/hello?a=b"])
async def test_a_caller_with_a_token_is_let_in(caller: Caller, kind: str, path: str) -> None:
    reply = await caller.get(f"/{kind}{path}", await caller.token())
    assert (reply.status, reply.body) == (200, b'{"message": "Hello World!"}')
    assert reply.lower["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("kind", KINDS)
async def test_every_usual_method_is_let_in(caller: Caller, kind: str, method: str) -> None:
    reply = await caller.ask(method, f"/{kind}/hello", headers=bearer(caller.emulator.issue()), data=b"something")
    assert reply.status == 200


async def test_the_answer_to_head_has_no_body(caller: Caller) -> None:
    reply = await caller.ask("HEAD", "/rest/", headers=bearer(caller.emulator.issue()))
    assert (reply.status, reply.body, reply.lower["content-length"]) == (200, b"", "27")


def ids_are_right(kind: str, headers: dict[str, str]) -> bool:
    if kind == "rest":
        return bool(GATEWAY_ID.fullmatch(headers["x-amz-apigw-id"])) and len(headers["x-amzn-requestid"]) == 36
    if kind == "http":
        return bool(GATEWAY_ID.fullmatch(headers["apigw-requestid"])) and "x-amzn-requestid" not in headers
    return not any(name.startswith(("x-amz", "apigw")) for name in headers)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_answer_carries_the_gateways_own_ids(caller: Caller, kind: str) -> None:
    for token in (None, caller.emulator.issue()):
        first, second = [(await caller.get(f"/{kind}/", token)).lower for _ in range(2)]
        assert ids_are_right(kind, first)
        assert kind == "alb" or first != second
        assert first.get("server") == ("awselb/2.0" if kind == "alb" and token is None else None)


Spoil = Callable[[str, list[SigningKey]], dict[str, str]]

TOKENS: dict[str, tuple[Spoil, Verdict]] = {
    "none": (lambda _t, _k: {}, Verdict.MISSING),
    "empty": (lambda _t, _k: {"Authorization": ""}, Verdict.MISSING),
    "not a JWT": (lambda _t, _k: bearer("abc"), Verdict.MALFORMED),
    "two segments": (lambda t, _k: bearer(t.rpartition(".")[0]), Verdict.MALFORMED),
    "rubbish in three segments": (lambda _t, _k: bearer("a.b.c"), Verdict.SIGNATURE),
    "another signature": (lambda t, _k: bearer(t[:-8] + "AAAAAAAA"), Verdict.SIGNATURE),
    "no signature": (
        lambda t, _k: bearer(jwt.encode(jwt.decode(t, options={"verify_signature": False}), "", algorithm="none")),
        Verdict.SIGNATURE,
    ),
    "an unknown key": (lambda t, k: bearer(resigned(t, k[5])), Verdict.SIGNATURE),
    "a known kid, another key": (lambda t, k: bearer(resigned(t, k[5]._replace(kid=k[1].kid))), Verdict.SIGNATURE),
    "another issuer": (lambda t, k: bearer(resigned(t, k[1], iss="https://elsewhere")), Verdict.ISSUER),
    "expired": (lambda t, k: bearer(resigned(t, k[1], exp=START)), Verdict.EXPIRED),
    "without exp": (lambda t, k: bearer(resigned(t, k[1], exp=None)), Verdict.EXPIRED),
    "not valid yet": (lambda t, k: bearer(resigned(t, k[1], nbf=START + 60)), Verdict.NOT_YET),
    "issued in the future": (lambda t, k: bearer(resigned(t, k[1], iat=START + 60)), Verdict.NOT_YET),
    "not issued here": (lambda t, k: bearer(resigned(t, k[1], jti="x")), Verdict.REVOKED),
    "another client": (lambda t, k: bearer(resigned(t, k[1], client_id="x")), Verdict.AUDIENCE),
    "another audience": (lambda t, k: bearer(resigned(t, k[1], aud=["x"])), Verdict.AUDIENCE),
    "another scope": (lambda t, k: bearer(resigned(t, k[1], scope=OTHER_SCOPE)), Verdict.SCOPE),
    "no scope": (lambda t, k: bearer(resigned(t, k[1], scope="")), Verdict.SCOPE),
    "the start of a scope": (lambda t, k: bearer(resigned(t, k[1], scope=SCOPE[:-1])), Verdict.SCOPE),
}

DESCRIPTIONS = {
    Verdict.MALFORMED: "token contains an invalid number of segments",
    Verdict.EXPIRED: "the token has expired",
    Verdict.AUDIENCE: "the token does not have a valid audience",
    Verdict.ISSUER: "the token does not have a valid issuer",
    Verdict.NOT_YET: "the token is not valid yet",
}


@pytest.mark.parametrize("row", TOKENS.values(), ids=TOKENS)
async def test_a_rest_api_refuses(caller: Caller, signing_keys: list[SigningKey], row: tuple[Spoil, Verdict]) -> None:
    spoil, verdict = row
    reply = await caller.ask("GET", "/rest/hello", headers=spoil(caller.emulator.issue(), signing_keys))
    message = "The incoming token has expired" if verdict is Verdict.EXPIRED else "Unauthorized"
    assert (reply.status, reply.body) == (401, b'{"message":"%s"}' % message.encode())
    assert reply.lower["x-amzn-errortype"] == "UnauthorizedException"
    assert "www-authenticate" not in reply.lower
    assert caller.emulator.calls()["calls"][-1]["outcome"] == verdict.value


@pytest.mark.parametrize("row", TOKENS.values(), ids=TOKENS)
async def test_an_http_api_refuses(caller: Caller, signing_keys: list[SigningKey], row: tuple[Spoil, Verdict]) -> None:
    spoil, verdict = row
    reply = await caller.ask("GET", "/http/hello", headers=spoil(caller.emulator.issue(), signing_keys))
    if verdict is Verdict.SCOPE:
        assert (reply.status, reply.body) == (403, b'{"message":"Forbidden"}')
        assert "www-authenticate" not in reply.lower
        return
    assert (reply.status, reply.body) == (401, b'{"message":"Unauthorized"}')
    if verdict is Verdict.MISSING:
        assert reply.lower["www-authenticate"] == "Bearer"
    else:
        described = DESCRIPTIONS.get(verdict, "the token has an invalid signature")
        assert reply.lower["www-authenticate"] == (
            f'Bearer scope="{SCOPE}" error="invalid_token" error_description="{described}"'
        )
    assert "x-amzn-errortype" not in reply.lower


@pytest.mark.parametrize("row", TOKENS.values(), ids=TOKENS)
async def test_a_load_balancer_refuses(
    caller: Caller, signing_keys: list[SigningKey], row: tuple[Spoil, Verdict]
) -> None:
    spoil, _verdict = row
    reply = await caller.ask("GET", "/alb/hello", headers=spoil(caller.emulator.issue(), signing_keys))
    assert reply.status == 401
    assert reply.lower["content-type"] == "text/html"
    assert b"<h1>401 Authorization Required</h1>" in reply.body


@pytest.mark.parametrize(
    ("header", "let_in"),
    [
        ("Bearer {}", KINDS),
        ("bearer {}", KINDS),
        ("Bearer   {}", KINDS),
        ("{}", ("rest", "http")),
        ("Basic {}", ()),
    ],
)
async def test_a_rest_and_an_http_api_take_a_raw_token_too(
    caller: Caller, header: str, let_in: tuple[str, ...]
) -> None:
    value = header.format(caller.emulator.issue())
    replies = {kind: (await caller.ask("GET", f"/{kind}/", headers={"Authorization": value})).status for kind in KINDS}
    assert replies == {kind: 200 if kind in let_in else 401 for kind in KINDS}


UNKNOWN = [
    ("rest", 403, b'{"message":"Missing Authentication Token"}'),
    ("http", 404, b'{"message":"Not Found"}'),
]


@pytest.mark.parametrize(("kind", "status", "body"), UNKNOWN)
@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("GET", "/hello/"), ("TRACE", "/hello")])
async def test_an_unknown_route_is_refused_with_or_without_a_token(
    opened: Opened, kind: str, status: int, body: bytes, method: str, path: str
) -> None:
    async with opened(routes=("/", "/hello")) as caller:
        for headers in ({}, bearer(caller.emulator.issue())):
            reply = await caller.ask(method, f"/{kind}{path}", headers=headers)
            assert (reply.status, reply.body) == (status, body)
            assert ids_are_right(kind, reply.lower)
            expected = "MissingAuthenticationTokenException" if kind == "rest" else None
            assert reply.lower.get("x-amzn-errortype") == expected


async def test_a_load_balancer_has_no_routes(caller: Caller) -> None:
    assert (await caller.get("/alb/a/b/c", caller.emulator.issue())).status == 200
    assert b"404 Not Found" in LoadBalancer((), lambda n: b"0" * n).unknown_route().body


@pytest.mark.parametrize("status", [418, 599])
def test_a_status_without_a_text_of_its_own_still_has_one(status: int) -> None:
    answer = RestApi((), lambda n: b"0" * n).failed(status)
    assert answer.status == status
    assert dict(answer.fields)["x-amzn-ErrorType"].endswith(("TeapotException", "ErrorException"))


def test_a_signing_key_does_not_show_itself() -> None:
    key = generate()
    assert repr(key) == f"<signing key {key.kid}>"


ROUTES = (
    Route("GET", "/open", guarded=False),
    Route("GET", "/orders/{id}", ("mydomain.com/ORDERS",)),
    Route("POST", "/orders/{id}", (SCOPE,), audience=("somebody-else",)),
    Route("PUT", "/orders/{id}", (SCOPE,)),
)


@pytest.mark.parametrize("kind", ["rest", "http"])
async def test_each_route_has_scopes_and_clients_of_its_own(opened: Opened, kind: Kind) -> None:
    async with opened(apis={kind: ROUTES}) as caller:
        token = bearer(caller.emulator.issue())

        async def outcome(method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
            reply = await caller.ask(method, f"/{kind}{path}", headers=headers)
            return reply.status, (await caller.calls())["calls"][-1]["outcome"]

        assert await outcome("GET", "/open", {}) == (200, "allowed")
        assert await outcome("PUT", "/orders/7", token) == (200, "allowed")
        assert await outcome("PUT", "/orders/7", {}) == (401, "no_token")
        assert await outcome("GET", "/orders/7", token) == (401 if kind == "rest" else 403, "scope_missing")
        assert await outcome("POST", "/orders/7", token) == (401, "wrong_audience")
        assert await outcome("DELETE", "/orders/7", token) == (403 if kind == "rest" else 404, "unknown_route")
        if kind == "http":
            refused = await caller.ask("GET", "/http/orders/7", headers=bearer("abc"))
            assert 'Bearer scope="mydomain.com/ORDERS" error' in refused.lower["www-authenticate"]
            await caller.order(http=[{"fault": "status", "status": 401}])
            refused = await caller.ask("GET", "/http/orders/7", headers=token)
            assert 'Bearer scope="mydomain.com/ORDERS" error' in refused.lower["www-authenticate"]


async def test_a_gateway_that_is_not_there_is_a_path_like_any_other(opened: Opened) -> None:
    async with opened(apis={"http": ROUTES}) as caller:
        assert (await caller.get("/rest/open")).json["error"] == "not_found"
        index = (await caller.get("/")).json
        assert index["gateways"] == {"http": f"{caller.emulator.base_url}/http/"}
        assert index["routes"]["http"][0] == {"route": "GET /open", "scopes": [], "guarded": False}
        assert index["clients"] == {caller.settings.client_id: {"scopes": [SCOPE], "token_lifetime": 3600}}


async def test_an_echo_on_an_open_route_needs_no_token(opened: Opened) -> None:
    async with opened(apis={"rest": (Route("GET", "/echo", guarded=False),)}) as caller:
        assert (await caller.get("/rest/echo")).json == {"message": "Hello World!"}
