"""What an upstream's answer means: the emulator's own refusals, and those of others."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from multidict import CIMultiDict

from proxy.config.model import Auth, Url, Value
from proxy.doctor.finding import Mark, fail
from proxy.doctor.gateways import as_sent, kind_of, meaning, with_token, without_token
from proxy.emulator.answers import Answer
from proxy.emulator.gateways import HttpApi, LoadBalancer, RestApi
from proxy.emulator.routes import Route
from proxy.emulator.tokens import Verdict

REST = RestApi((Route(scopes=("s/x",)),), os.urandom)
HTTP = HttpApi(REST.routes, os.urandom)
ALB = LoadBalancer(REST.routes, os.urandom)


def _taken(answer: Answer) -> tuple[int, CIMultiDict[str], bytes]:
    return answer.status, CIMultiDict(answer.fields), answer.body


def _plain(status: int, body: Any = None, **headers: str) -> tuple[int, CIMultiDict[str], bytes]:
    return status, CIMultiDict(headers), json.dumps(body).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "name"),
    [
        pytest.param(_taken(REST.let_in()), "a REST API", None, id="REST: let in"),
        pytest.param(_taken(REST.refused(Verdict.SCOPE)), "a REST API", "rest_unauthorized", id="REST: scope"),
        pytest.param(_taken(REST.refused(Verdict.EXPIRED)), "a REST API", "token_expired", id="REST: expired"),
        pytest.param(_taken(REST.unknown_route()), "a REST API", "rest_unknown_route", id="REST: route"),
        pytest.param(_taken(REST.failed(403)), "a REST API", "forbidden", id="REST: API key"),
        pytest.param(_taken(REST.failed(429)), "a REST API", "upstream_throttled", id="REST: throttled"),
        pytest.param(_taken(REST.failed(504)), "a REST API", "integration_failed", id="REST: slow integration"),
        pytest.param(_taken(HTTP.let_in()), "an HTTP API", None, id="HTTP: let in"),
        pytest.param(_taken(HTTP.refused(Verdict.SCOPE)), "an HTTP API", "forbidden", id="HTTP: scope"),
        pytest.param(_taken(HTTP.refused(Verdict.AUDIENCE)), "an HTTP API", "wrong_audience", id="HTTP: audience"),
        pytest.param(_taken(HTTP.refused(Verdict.ISSUER)), "an HTTP API", "wrong_issuer", id="HTTP: issuer"),
        pytest.param(_taken(HTTP.refused(Verdict.EXPIRED)), "an HTTP API", "token_expired", id="HTTP: expired"),
        pytest.param(_taken(HTTP.refused(Verdict.MALFORMED)), "an HTTP API", "not_a_jwt", id="HTTP: no JWT"),
        pytest.param(_taken(HTTP.refused(Verdict.SIGNATURE)), "an HTTP API", "bad_signature", id="HTTP: signature"),
        pytest.param(_taken(HTTP.unknown_route()), "an HTTP API", "no_route", id="HTTP: route"),
        pytest.param(_taken(ALB.refused(Verdict.SIGNATURE)), "a load balancer", "not_authorized", id="ALB: refused"),
        pytest.param(_plain(200), "an upstream", None, id="another: good"),
        pytest.param(_plain(302), "an upstream", "redirected", id="another: elsewhere"),
        pytest.param(_plain(500), "an upstream", "upstream_failed", id="another: fails"),
        pytest.param(_plain(405), "an upstream", None, id="another: let in, but not like this"),
        pytest.param(
            _plain(403, {"message": "Missing Authentication Token"}), "an upstream", "rest_unknown_route", id="r"
        ),
    ],
)
def test_what_it_means(answer: tuple[int, CIMultiDict[str], bytes], kind: str, name: str | None) -> None:
    assert kind_of(answer[1]) == kind
    assert meaning(*answer) == name


@pytest.mark.parametrize(
    ("answer", "mark", "name"),
    [
        pytest.param(_taken(REST.refused(Verdict.MISSING)), Mark.OK, "", id="401 is what is wanted"),
        pytest.param(_plain(403), Mark.OK, "", id="403 as well"),
        pytest.param(_plain(200), Mark.WARN, "open_to_all", id="anybody is let in"),
        pytest.param(_taken(REST.unknown_route()), Mark.WARN, "rest_unknown_route", id="no such route"),
        pytest.param(_plain(500), Mark.WARN, "upstream_failed", id="it fails"),
        pytest.param(_plain(400), Mark.WARN, "open_to_all", id="it minds something, but no lack of a token"),
        pytest.param(_plain(404), Mark.WARN, "no_route", id="no such path"),
    ],
)
def test_without_a_token(answer: tuple[int, CIMultiDict[str], bytes], mark: Mark, name: str) -> None:
    assert without_token(*answer)[1:2] + without_token(*answer)[3:] == (mark, name)


@pytest.mark.parametrize(
    ("answer", "mark", "name"),
    [
        pytest.param(_taken(HTTP.let_in()), Mark.OK, "", id="let in"),
        pytest.param(_taken(REST.refused(Verdict.SCOPE)), Mark.FAIL, "rest_unauthorized", id="refused"),
        pytest.param(
            _taken(REST.unknown_route()), Mark.WARN, "rest_unknown_route", id="no such route is not the token"
        ),
        pytest.param(_plain(404), Mark.WARN, "no_route", id="no such path"),
        pytest.param(_plain(502), Mark.FAIL, "upstream_failed", id="it fails"),
    ],
)
def test_with_the_token(answer: tuple[int, CIMultiDict[str], bytes], mark: Mark, name: str) -> None:
    assert with_token(*answer)[1:2] + with_token(*answer)[3:] == (mark, name)


def _rest(error: str, text: str) -> tuple[int, CIMultiDict[str], bytes]:
    return 403, CIMultiDict({"x-amzn-ErrorType": error}), json.dumps({"message": text}).encode()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(
            "IncompleteSignatureException",
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with "
            "Base64): '2RqT0sijwVut76+1Vg2t5Q3AItgot3yafHlHlipThlY='.",
            id="Bearer and a token",
        ),
        pytest.param(
            "IncompleteSignatureException:http://internal.amazon.com/coral/com.amazon.coral.service/",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature'…",
            id="the bare token",
        ),
        pytest.param("MissingAuthenticationTokenException", "We have no such thing", id="in the API's own words"),
    ],
)
def test_a_route_that_a_rest_api_does_not_have_when_there_is_a_token(error: str, text: str) -> None:
    """It takes the token for a signature of AWS then (FinchPowers/AWS-API-Gateway-Errors-Mapping-Guide)."""
    for judge in (with_token, without_token):
        finding = judge(*_rest(error, text))
        assert (finding.mark, finding.name) == (Mark.WARN, "rest_unknown_route")


def test_only_a_gateways_own_message_is_shown_and_little_of_it() -> None:
    shown = with_token(*_taken(REST.failed(401, "x" * 500 + "\n\x1b[31m"))).detail
    assert shown == f"a REST API answers 401 `{'x' * 80}`"
    assert with_token(*_plain(401, {"message": "a token, perhaps"})).detail == "an upstream answers 401"
    assert with_token(*_taken(REST.let_in(b'{"message": "of the API"}'))).detail == "a REST API answers 200"


def test_the_description_of_a_refusal_is_shown() -> None:
    shown = with_token(*_taken(HTTP.refused(Verdict.EXPIRED))).detail
    assert shown == "an HTTP API answers 401 `Unauthorized` (the token has expired)"
    other = with_token(401, CIMultiDict({"WWW-Authenticate": 'Bearer error_description="no\x1b[31m such key"'}), b"")
    assert other.detail == "an upstream answers 401 (no[31m such key)"


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b"[]", b'{"message": 5}'])
def test_any_body_will_do(body: bytes) -> None:
    assert with_token(401, CIMultiDict({"x-amz-apigw-id": "x"}), body).detail == "a REST API answers 401"


@pytest.mark.parametrize(
    ("name", "scheme", "header", "verified", "expected"),
    [
        ("bad_signature", "Bearer", "Authorization", True, "signature_disputed"),
        ("bad_signature", "Token", "Authorization", True, "signature_disputed"),
        ("bad_signature", "Bearer", "Authorization", False, "bad_signature"),
        ("bad_signature", "Token", "Authorization", False, "not_authorized_as_sent"),
        ("rest_unauthorized", "bearer", "authorization", True, "rest_unauthorized"),
        ("rest_unauthorized", "", "Authorization", True, "rest_unauthorized_as_sent"),
        ("rest_unauthorized", "Bearer", "X-Token", True, "rest_unauthorized_as_sent"),
        ("not_authorized", "Token", "Authorization", True, "not_authorized_as_sent"),
        ("not_authorized", "Bearer", "Authorization", True, "not_authorized"),
        ("upstream_failed", "Token", "X-Token", True, "upstream_failed"),
    ],
)
def test_in_the_light_of_how_it_was_sent(name: str, scheme: str, header: str, verified: bool, expected: str) -> None:
    url = Url("https", "idp.example.com", 443, "/t")
    auth = Auth(token_url=url, client_id=Value("x"), client_secret=(Value("y"),), header=header, scheme=scheme)
    assert as_sent(fail("step", "detail", name), auth, verified=verified) == fail("step", "detail", expected)
