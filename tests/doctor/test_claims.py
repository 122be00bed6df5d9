"""What a token says, against what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.model import Auth, Url, Value
from proxy.doctor.claims import look_at_claims, look_at_clock, look_at_credentials, look_at_life, look_at_scopes
from proxy.doctor.finding import Finding, Mark, fail, ok, skip, warn

COGNITO = "my-domain.auth.eu-central-1.amazoncognito.com"
ID = "1example23456789abcdefghij"
NOON = 1_800_014_400.0
DATE = "Fri, 15 Jan 2027 12:00:00 GMT"


def _auth(client_id: str = ID, *secrets: str, host: str = COGNITO) -> Auth:
    return Auth(
        token_url=Url("https", host, 443, "/oauth2/token"),
        client_id=Value(client_id, "env ID"),
        client_secret=tuple(Value(secret, f"file /s/{n}") for n, secret in enumerate(secrets or ("good_secret",))),
        scopes=("s/x",),
    )


def _found(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.step, finding.name) for finding in findings if finding.mark is not Mark.OK]


def test_a_finding_brings_its_explanation() -> None:
    assert ok("a", "b").explanation is None
    assert skip("a", "b").mark is Mark.SKIP
    explained = warn("a", "b", "short_life").explanation
    assert explained is not None
    assert "five minutes" in explained.meaning
    assert fail("a", "b", "invalid_client").explanation is not None


@pytest.mark.parametrize(
    ("auth", "detail"),
    [
        pytest.param(
            _auth(ID, "quoted ", "b"), "client_secret (from file /s/0) begins or ends with white space", id="space"
        ),
        pytest.param(_auth(ID, "a", '"b"'), "client_secret (from file /s/1) is in quotes", id="quotes"),
        pytest.param(_auth(ID, "<secret>"), "client_secret (from file /s/0) looks like a placeholder", id="template"),
        pytest.param(_auth(ID, "changeme"), "client_secret (from file /s/0) looks like a placeholder", id="never set"),
        pytest.param(
            _auth("my-client"),
            "client_id (from env ID) is not like Cognito's, 26 lower-case letters and digits",
            id="no id of Cognito's",
        ),
    ],
)
def test_credentials_that_look_wrong(auth: Auth, detail: str) -> None:
    [finding] = look_at_credentials(auth)
    assert (finding.mark, finding.name, finding.detail) == (Mark.WARN, "looks_wrong", detail)


def test_credentials_that_look_right() -> None:
    [finding] = look_at_credentials(_auth(ID, "one", "two"))
    assert (finding.mark, finding.detail) == (Mark.OK, "client id from env ID, secret from file /s/0 and file /s/1")
    [other] = look_at_credentials(_auth("my-client", host="idp.example.com"))
    assert other.mark is Mark.OK


@pytest.mark.parametrize(
    ("requested", "granted", "mark", "detail"),
    [
        (("a", "b"), ("b", "a"), Mark.OK, "b a"),
        ((), ("a",), Mark.OK, "a"),
        ((), (), Mark.OK, "none, as asked"),
        (("a",), ("a", "c"), Mark.OK, "a c (more than asked for: c)"),
        (("a", "b"), ("b",), Mark.FAIL, "asked for a b, not granted: a"),
    ],
)
def test_scopes(requested: tuple[str, ...], granted: tuple[str, ...], mark: Mark, detail: str) -> None:
    finding = look_at_scopes(requested, granted)
    assert (finding.mark, finding.detail) == (mark, detail)


@pytest.mark.parametrize(
    ("claims", "life", "expected"),
    [
        pytest.param({"iss": "i", "token_use": "access", "client_id": ID}, 3600, [], id="Cognito's"),
        pytest.param({}, 3600, [], id="it need not say anything"),
        pytest.param({"token_use": "id"}, 3600, [("token: use", "no_access_token")], id="an ID token"),
        pytest.param({"client_id": "other"}, 3600, [("token: client", "other_client")], id="another client's"),
        pytest.param({"azp": "other"}, 3600, [("token: client", "other_client")], id="the same, Keycloak's way"),
        pytest.param({}, 299, [("token: life", "short_life")], id="short"),
    ],
)
def test_claims(claims: dict[str, Any], life: float, expected: list[tuple[str, str]]) -> None:
    assert _found(look_at_claims(claims, _auth(), life)) == expected


def test_a_claim_is_shown_on_one_line() -> None:
    issuer = look_at_claims({"iss": "https://x\n\x1b[31m" + "y" * 500}, _auth(), 3600)[0]
    assert issuer.detail.startswith("https://x  [31m")
    assert len(issuer.detail) == 200


def test_life() -> None:
    assert look_at_life(3600).detail == "60 min"


@pytest.mark.parametrize(
    ("date", "now", "expected"),
    [
        pytest.param(DATE, NOON + 2, (Mark.OK, "within 30 s of the token endpoint's"), id="the same"),
        pytest.param(DATE, NOON + 95, (Mark.WARN, "this machine is 95 s ahead of the token endpoint"), id="ahead"),
        pytest.param(DATE, NOON - 95, (Mark.WARN, "this machine is 95 s behind the token endpoint"), id="behind"),
        pytest.param(None, NOON, None, id="it does not say"),
        pytest.param("yesterday", NOON, None, id="it says nothing sensible"),
    ],
)
def test_two_clocks(date: str | None, now: float, expected: tuple[Mark, str] | None) -> None:
    finding = look_at_clock(date, now)
    assert (finding and (finding.mark, finding.detail)) == expected
