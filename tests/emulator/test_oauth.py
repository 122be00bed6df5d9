"""The token endpoint, row by row, over real sockets."""

from __future__ import annotations

import io
import re
from typing import Any

import jwt
import pytest

from proxy.emulator.settings import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from tests.emulator.tools import OTHER_SCOPE, SCOPE, START, Caller, Opened, basic

pytestmark = pytest.mark.uvloop

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
GRANT = {"grant_type": "client_credentials"}
RIGHT = basic(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET)
IN_BODY = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}


async def test_a_token_is_granted_as_cognito_grants_it(caller: Caller) -> None:
    reply = await caller.token_call(scope=SCOPE)
    assert reply.status == 200
    assert list(reply.json) == ["access_token", "expires_in", "token_type"]
    assert reply.json["expires_in"] == 3600
    assert reply.json["token_type"] == "Bearer"
    headers = reply.lower
    assert headers["content-type"] == "application/json;charset=UTF-8"
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    cookie = re.fullmatch(r"XSRF-TOKEN=(.*); Path=/; Secure; HttpOnly; SameSite=Lax", headers["set-cookie"])
    assert cookie is not None
    assert UUID.fullmatch(cookie[1])
    assert UUID.fullmatch(headers["x-amz-cognito-request-id"])
    assert headers["cache-control"] == "no-cache, no-store, max-age=0, must-revalidate"
    assert headers["pragma"] == "no-cache"
    assert headers["expires"] == "0"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["x-frame-options"] == "DENY"
    assert headers["server"] == "Server"


async def test_the_token_has_cognitos_header_and_claims_in_their_order(caller: Caller) -> None:
    token = await caller.token()
    header = jwt.get_unverified_header(token)
    assert list(header) == ["kid", "alg"]
    assert header["alg"] == "RS256"
    claims = jwt.decode(token, options={"verify_signature": False})
    pool = f"{caller.emulator.base_url}/{caller.settings.pool_id}"
    assert UUID.fullmatch(claims.pop("jti"))
    assert list(claims.items()) == [
        ("sub", DEFAULT_CLIENT_ID),
        ("token_use", "access"),
        ("scope", SCOPE),
        ("auth_time", int(START)),
        ("iss", pool),
        ("exp", int(START) + 3600),
        ("iat", int(START)),
        ("version", 2),
        ("client_id", DEFAULT_CLIENT_ID),
    ]


CREDENTIALS: dict[str, tuple[dict[str, str], dict[str, str], str | None]] = {
    "basic": (RIGHT, {}, None),
    "basic, in another case": ({"Authorization": RIGHT["Authorization"].replace("Basic", "bAsIc")}, {}, None),
    "in the body": ({}, IN_BODY, None),
    "basic, and the id again in the body": (RIGHT, {"client_id": DEFAULT_CLIENT_ID}, None),
    "both, and equal": (RIGHT, IN_BODY, None),
    "none": ({}, {}, "invalid_client"),
    "an id without a secret": ({}, {"client_id": DEFAULT_CLIENT_ID}, "invalid_client"),
    "a wrong secret": (basic(DEFAULT_CLIENT_ID, "wrong"), {}, "invalid_client"),
    "a wrong id": (basic("wrong", DEFAULT_CLIENT_SECRET), {}, "invalid_client"),
    "a wrong secret in the body": ({}, IN_BODY | {"client_secret": "wrong"}, "invalid_client"),
    "not Basic": ({"Authorization": "Bearer abc"}, {}, "invalid_client"),
    "not Basic, right in the body": ({"Authorization": "Bearer abc"}, IN_BODY, "invalid_request"),
    "not base64": ({"Authorization": "Basic %%%"}, {}, "invalid_client"),
    "not UTF-8": ({"Authorization": "Basic //79"}, {}, "invalid_client"),
    "no colon": ({"Authorization": "Basic YWJj"}, {}, "invalid_client"),
    "two clients": (RIGHT, {"client_id": "another"}, "invalid_request"),
    "two secrets": (RIGHT, IN_BODY | {"client_secret": "another"}, "invalid_client"),
}


@pytest.mark.parametrize("row", CREDENTIALS.values(), ids=CREDENTIALS)
async def test_credentials(caller: Caller, row: tuple[dict[str, str], dict[str, str], str | None]) -> None:
    headers, form, error = row
    reply = await caller.ask("POST", "/oauth2/token", headers=headers, data=GRANT | form)
    if error is None:
        assert reply.status == 200
    else:
        assert (reply.status, reply.body) == (400, b'{"error":"%s"}' % error.encode())


@pytest.mark.parametrize("encode", [True, False])
async def test_an_id_and_a_secret_with_special_characters_are_read_raw_and_form_encoded(
    opened: Opened, encode: bool
) -> None:
    secret = "a:b/c+d e%41&fü"
    async with opened(client_id="cl/ient+ü", client_secrets=(secret,)) as caller:
        headers = basic("cl/ient+ü", secret, encode=encode)
        assert (await caller.ask("POST", "/oauth2/token", headers=headers, data=GRANT)).status == 200
        posted = GRANT | {"client_id": "cl/ient+ü", "client_secret": secret}
        assert (await caller.ask("POST", "/oauth2/token", data=posted)).status == 200


REFUSALS: dict[str, tuple[Any, str]] = {
    "no grant type": ({"scope": SCOPE}, "invalid_request"),
    "an empty grant type": ({"grant_type": ""}, "invalid_request"),
    "an unknown grant type": ({"grant_type": "password"}, "unsupported_grant_type"),
    "a grant of other clients": ({"grant_type": "authorization_code"}, "unauthorized_client"),
    "another grant of other clients": ({"grant_type": "refresh_token"}, "unauthorized_client"),
    "a scope that is not allowed": (GRANT | {"scope": "mydomain.com/ADMIN"}, "invalid_scope"),
    "one allowed scope, one not": (GRANT | {"scope": f"{SCOPE} openid"}, "invalid_scope"),
    "a field twice": ([("grant_type", "client_credentials"), ("grant_type", "client_credentials")], "invalid_request"),
    "not UTF-8": (b"grant_type=client_credentials&scope=%ff", "invalid_request"),
    "too many fields": ("&".join(f"f{n}=1" for n in range(200)).encode(), "invalid_request"),
    "nothing": (b"", "invalid_request"),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS)
async def test_refusals_are_the_bare_word_under_the_same_headers(caller: Caller, row: tuple[Any, str]) -> None:
    form, error = row
    headers = RIGHT | {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await caller.ask("POST", "/oauth2/token", headers=headers, data=form)
    assert (reply.status, reply.body) == (400, b'{"error":"%s"}' % error.encode())
    assert reply.lower["content-type"] == "application/json;charset=UTF-8"
    assert reply.lower["transfer-encoding"] == "chunked"
    assert "set-cookie" in reply.lower
    assert "www-authenticate" not in reply.lower


async def test_scopes_are_those_asked_for_and_all_where_none_is(opened: Opened) -> None:
    async with opened(scopes=(SCOPE, OTHER_SCOPE)) as caller:
        for form, scope in [
            ({}, f"{SCOPE} {OTHER_SCOPE}"),
            ({"scope": ""}, f"{SCOPE} {OTHER_SCOPE}"),
            ({"scope": OTHER_SCOPE}, OTHER_SCOPE),
            ({"scope": f"{OTHER_SCOPE}  {SCOPE} {OTHER_SCOPE}"}, f"{OTHER_SCOPE} {SCOPE}"),
        ]:
            token = await caller.token(**form)
            assert jwt.decode(token, options={"verify_signature": False})["scope"] == scope


WRONG = {
    "GET": ("GET", {}),
    "PUT": ("PUT", {"data": GRANT}),
    "JSON": ("POST", {"json": GRANT}),
    "no content type": ("POST", {"data": b"grant_type=client_credentials", "skip_auto_headers": ["Content-Type"]}),
    "a content type in quotes": (
        "POST",
        {"data": b"grant_type=client_credentials", "headers": {"Content-Type": "'application/x-www-form-urlencoded'"}},
    ),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG)
async def test_a_wrong_method_or_content_type_is_405_with_nothing_in_it(
    caller: Caller, row: tuple[str, dict[str, Any]]
) -> None:
    method, options = row
    reply = await caller.ask(method, "/oauth2/token", **options)
    assert (reply.status, reply.body) == (405, b"")
    assert reply.lower["allow"] == "POST"
    assert "x-amz-cognito-request-id" in reply.lower


async def test_a_content_type_with_a_charset_is_good(caller: Caller) -> None:
    headers = RIGHT | {"Content-Type": "Application/X-WWW-Form-URLEncoded; charset=utf-8"}
    reply = await caller.ask("POST", "/oauth2/token", headers=headers, data=b"grant_type=client_credentials")
    assert reply.status == 200


async def test_a_body_without_end_is_refused_and_its_connection_closed(caller: Caller) -> None:
    headers = RIGHT | {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await caller.ask("POST", "/oauth2/token", headers=headers, data=io.BytesIO(b"a" * 1_500_000))
    assert (reply.status, reply.json) == (400, {"error": "invalid_request"})
    assert reply.lower["connection"] == "close"


async def test_the_lifetime_is_the_settings(opened: Opened) -> None:
    async with opened(token_lifetime=1) as caller:
        reply = await caller.token_call()
        assert reply.json["expires_in"] == 1
        claims = jwt.decode(reply.json["access_token"], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 1
