"""What is asked of a token endpoint, and what each of its answers means."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl

import pytest

from proxy.config.model import Auth, Value
from proxy.errors import Reason, TokenError
from proxy.secret import Secret
from proxy.tokens.endpoint import Answer, Call, Endpoint, Grant, make_request, read_answer
from tests.fakes import FakeClock
from tests.tokens.helpers import SECRET, make_auth
from tests.tokens.test_life import make_jwt

ODD = "p:/+ %&ü"
FORM = "application/x-www-form-urlencoded"


def form(body: bytes) -> dict[str, str]:
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), "no field twice"
    return dict(pairs)


def basic(headers: dict[str, str]) -> str:
    scheme, _, encoded = headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return b64decode(encoded, validate=True).decode()


def revealed(auth: Auth, secret: Value) -> tuple[dict[str, str], bytes]:
    call = make_request(auth, secret)
    return call.headers.reveal(), call.form.reveal()


# ------------------------------------------------------------------------------------------------------- requests


def test_basic_encodes_id_and_secret_before_it_joins_them() -> None:
    headers, body = revealed(make_auth(client_id=Value("i:" + ODD)), Value("s:" + ODD))
    assert basic(headers) == "i%3Ap%3A%2F%2B+%25%26%C3%BC:s%3Ap%3A%2F%2B+%25%26%C3%BC"
    assert form(body) == {"grant_type": "client_credentials", "scope": "orders/READ"}
    assert headers["Content-Type"] == FORM
    assert headers["Accept"] == "application/json"


def test_basic_leaves_what_cognito_makes_as_it_is() -> None:
    headers, _ = revealed(make_auth(client_id=Value("abcdef0123456789")), Value("Aa0_secret"))
    assert basic(headers) == "abcdef0123456789:Aa0_secret"


def test_basic_raw_encodes_nothing() -> None:
    headers, body = revealed(make_auth(method="basic_raw", client_id=Value("i/+ %&ü")), Value(ODD))
    assert basic(headers) == f"i/+ %&ü:{ODD}"
    assert "client_id" not in form(body)


def test_post_sends_both_in_the_body() -> None:
    headers, body = revealed(make_auth(method="post", client_id=Value(ODD)), Value(ODD))
    assert "Authorization" not in headers
    assert form(body) == {
        "grant_type": "client_credentials",
        "scope": "orders/READ",
        "client_id": ODD,
        "client_secret": ODD,
    }


@pytest.mark.parametrize(("scopes", "sent"), [((), None), (("a",), "a"), (("b/x", "a/y"), "b/x a/y")])
def test_scopes(scopes: tuple[str, ...], sent: str | None) -> None:
    _, body = revealed(make_auth(scopes=scopes), Value(SECRET))
    assert form(body).get("scope") == sent


def test_more_fields_never_replace_ours() -> None:
    extra = {"aws_client_metadata": '{"a": "b&c"}', "grant_type": "password", "scope": "admin", "audience": "ü"}
    _, body = revealed(make_auth(extra_params={name: Value(text) for name, text in extra.items()}), Value(SECRET))
    assert form(body) == {
        "aws_client_metadata": '{"a": "b&c"}',
        "audience": "ü",
        "grant_type": "client_credentials",
        "scope": "orders/READ",
    }


@pytest.mark.parametrize(
    ("changes", "secret"),
    [
        ({}, "\udcff-secret"),
        ({"method": "basic_raw"}, "\udcff-secret"),
        ({"method": "post"}, "\udcff-secret"),
        ({"extra_params": {"a": Value("\udcff-secret")}}, SECRET),
        ({"method": "basic_raw", "client_id": Value("with:colon")}, SECRET),
    ],
)
def test_what_cannot_be_sent_is_a_fault_of_the_credentials(changes: dict[str, Any], secret: str) -> None:
    with pytest.raises(TokenError) as caught:
        make_request(make_auth(**changes), Value(secret))
    assert caught.value.reason == "credentials"
    assert caught.value.__context__ is None
    assert "secret" not in caught.value.detail.replace("the secret", "")


# -------------------------------------------------------------------------------------------------------- answers


def answer(status: int, fields: object = None, retry_after: str | None = None) -> Answer:
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return Answer(status, Secret(body), retry_after)


def good(**changes: object) -> dict[str, object]:
    return {"access_token": "the-token", "token_type": "Bearer", "expires_in": 3600} | changes


def read(one: Answer, sent: float = 1_800_000_000.0) -> Grant:
    return read_answer(one, make_auth(), Value(SECRET), sent=sent, now=1_800_000_000.0)


def refusal(one: Answer) -> TokenError:
    with pytest.raises(TokenError) as caught:
        read(one)
    assert caught.value.__context__ is None, "a JSON error would carry the whole body"
    return caught.value


def test_a_good_answer() -> None:
    grant = read(answer(200, good()))
    assert grant == Grant(Secret("the-token"), 3600.0, ("orders/READ",))
    assert "the-token" not in repr(grant) + repr(answer(200, good()))


def test_the_shorter_of_both_lives() -> None:
    token = make_jwt({"exp": 1900, "iat": 100})
    assert read(answer(200, good(access_token=token))).life == 1800
    assert read(answer(200, good(access_token=token, expires_in=None))).life == 1800
    assert read(answer(200, good(expires_in="nonsense"))).life == 300
    assert read(answer(200, good(access_token=token)), sent=100.75).life == 1799.25


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_token_types_that_are_bearer(kind: str) -> None:
    assert read(answer(200, good(token_type=kind))).token.reveal() == "the-token"


@pytest.mark.parametrize(
    ("granted", "scopes"),
    [
        ("a b", ("a", "b")),
        ("", ("orders/READ",)),
        ("a  b", ("orders/READ",)),
        ("a\nb", ("orders/READ",)),
        (["a"], ("orders/READ",)),
        ("x" * 4097, ("orders/READ",)),
        ("the-token", ("orders/READ",)),
        (f"a {SECRET}", ("orders/READ",)),
        (f"a {SECRET[:8]}", ("orders/READ",)),
        (f"a {SECRET[-8:]} b", ("orders/READ",)),
        (f"a {SECRET[:7]}", ("a", SECRET[:7])),
    ],
)
def test_scopes_as_granted_where_they_can_be_believed(granted: object, scopes: tuple[str, ...]) -> None:
    assert read(answer(200, good(scope=granted))).scopes == scopes


@pytest.mark.parametrize("method", ["basic", "basic_raw", "post"])
def test_scopes_that_are_a_credential_as_it_was_sent_are_not_believed(method: str) -> None:
    auth, secret = make_auth(method=method, client_id=Value("id"), scopes=("a",)), Value("s3cret/+%&~=ab")
    headers, body = revealed(auth, secret)
    sent = headers["Authorization"].split(" ")[1] if "Authorization" in headers else body.decode().rpartition("=")[2]
    for told in (sent, f"b {sent} c", f"b {sent[: len(sent) // 2]}", f"{sent[len(sent) // 2 :]} b"):
        granted = read_answer(answer(200, good(scope=told)), auth, secret, sent=0.0, now=0.0)
        assert granted.scopes == ("a",)


@pytest.mark.parametrize("token", ["t", "x" * 16384, "a.b-c_d~e+f/g=", "!#$%&'*"])
def test_tokens_that_can_be_sent(token: str) -> None:
    assert read(answer(200, good(access_token=token))).token.reveal() == token


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in good().items() if key != name}


@pytest.mark.parametrize(
    "fields",
    [
        without("access_token"),
        without("token_type"),
        good(access_token=""),
        good(access_token=None),
        good(access_token=["the-token"]),
        good(access_token="the token"),
        good(access_token="the-token\r\nX-Evil: 1"),
        good(access_token="the-token\x00"),
        good(access_token="the-token\x7f"),
        good(access_token="töken"),
        good(access_token="\ud800"),
        good(access_token="x" * 16385),
        good(token_type="mac"),
        good(token_type=""),
        good(token_type=None),
        good(token_type="Bearer "),
        good(token_type=["Bearer"]),
        [],
        "text",
        None,
        7,
        b"",
        b"{",
        b"<html>the-token</html>",
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b'{"access_token": ' + b"1" * 5000 + b"}",
        gzip.compress(b"{}", mtime=0),
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_a_200_that_makes_no_sense(fields: object) -> None:
    error = refusal(answer(200, fields))
    assert error.reason == "malformed_response"
    assert "the-token" not in str(error)


def test_a_body_that_could_not_be_read() -> None:
    assert refusal(Answer(200, None)).detail == "the token endpoint's answer is too large or cannot be unpacked"
    assert refusal(Answer(400, None)).reason == "malformed_response"


def test_an_error_with_status_200_is_named() -> None:
    assert refusal(answer(200, {"error": "invalid_client"})).detail.endswith("but the error invalid_client")


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("invalid_client", "invalid_client"),
        ("invalid_scope", "invalid_scope"),
        ("unauthorized_client", "unauthorized_client"),
        ("invalid_grant", "invalid_grant"),
        ("invalid_request", "invalid_request"),
        ("unsupported_grant_type", "unsupported_grant_type"),
        ("slow_down", "throttled"),
        ("temporarily_unavailable", "server_error"),
        ("server_error", "server_error"),
        ("access_denied", "malformed_response"),
        ("INVALID_CLIENT", "malformed_response"),
        (["invalid_client"], "malformed_response"),
        (None, "malformed_response"),
    ],
)
def test_oauth_errors(status: int, code: object, reason: Reason) -> None:
    assert refusal(answer(status, {"error": code, "error_description": f"{SECRET} is wrong"})).reason == reason


def test_words_for_a_person_on_call() -> None:
    error = refusal(answer(400, {"error": "invalid_client"}))
    assert str(error) == "invalid_client: the token endpoint does not accept this client id and secret"
    assert "with the error access_denied" in refusal(answer(400, {"error": "access_denied"})).detail


@pytest.mark.parametrize("code", ["x" * 41, "a b", "<b>", "", 7, "secret_word", "client", "is_plain_secret_word"])
def test_an_error_code_that_is_no_plain_word_or_is_ours_is_not_quoted(code: object) -> None:
    auth = make_auth(client_id=Value("my_client"))
    with pytest.raises(TokenError) as caught:
        read_answer(answer(400, {"error": code}), auth, Value("plain_secret_word"), sent=0.0, now=0.0)
    assert caught.value.detail == "the token endpoint answers 400 without an OAuth error"


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 307, 403, 404, 405, 407, 418, 600, 999])
@pytest.mark.parametrize("fields", [good(), {"error": "invalid_client"}, b"<html>"], ids=["token", "error", "html"])
def test_every_other_answer_is_malformed(status: int, fields: object) -> None:
    assert refusal(answer(status, fields)).reason == "malformed_response"


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "throttled"), (500, "server_error"), (503, "server_error"), (599, "server_error")]
)
def test_the_status_speaks_before_the_body(status: int, reason: Reason) -> None:
    error = refusal(answer(status, {"error": "invalid_client"}, retry_after="12"))
    assert (error.reason, error.retry_after) == (reason, 12.0)


@pytest.mark.parametrize(("status", "fields"), [(400, {"error": "invalid_client"}), (403, b"")])
def test_retry_after_counts_with_every_failure(status: int, fields: object) -> None:
    assert refusal(answer(status, fields, retry_after="Fri, 15 Jan 2027 08:00:09 GMT")).retry_after == 9.0


async def test_one_call() -> None:
    asked: list[Call] = []

    class Transport:
        async def post(self, call: Call) -> Answer:
            asked.append(call)
            return answer(429, {}, retry_after="Fri, 15 Jan 2027 08:00:30 GMT")

    endpoint = Endpoint(make_auth(), Transport(), FakeClock(wall=1_800_000_000.0))
    with pytest.raises(TokenError) as caught:
        await endpoint.obtain(Value(SECRET))
    assert (caught.value.reason, caught.value.retry_after) == ("throttled", 30.0)
    assert asked == [make_request(make_auth(), Value(SECRET))]
