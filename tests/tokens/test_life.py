"""How long a token lives, whatever an endpoint says about it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from proxy.tokens.life import DEFAULT, LONGEST, SHORTEST, jwt_end, jwt_life, token_life


def make_jwt(claims: object) -> str:
    """An unsigned token: nobody here looks at the signature."""
    parts = [json.dumps({"alg": "RS256", "kid": "k"}), json.dumps(claims), "signature"]
    return ".".join(urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("expires_in", "claimed", "life"),
    [
        (3600, None, 3600),
        (3599.5, None, 3599.5),
        ("3600", None, 3600),
        (2, None, 2),
        (None, 1800.0, 1800),
        (3600, 1800.0, 1800),  # the shorter of the two
        (600, 1800.0, 600),
        (None, None, DEFAULT),
        # Nonsense counts as missing.
        (0, None, DEFAULT),
        (0, 1800.0, 1800),
        (-5, None, DEFAULT),
        (True, None, DEFAULT),
        (float("nan"), None, DEFAULT),
        (float("-inf"), None, DEFAULT),
        ("", None, DEFAULT),
        ("-5", None, DEFAULT),
        ("1e3", None, DEFAULT),
        (" 3600", None, DEFAULT),
        ("٣٦٠٠", None, DEFAULT),
        ("9" * 21, None, DEFAULT),
        ([3600], None, DEFAULT),
        ({}, None, DEFAULT),
        (-(10**400), None, DEFAULT),
        # Too long and too short a life are held within bounds.
        (float("inf"), None, LONGEST),
        (10**400, None, LONGEST),
        (10**400, 1800.0, 1800),
        (0.001, None, SHORTEST),
        (3600, 0.001, SHORTEST),
    ],
)
def test_token_life(expires_in: object, claimed: float | None, life: float) -> None:
    assert token_life(expires_in, claimed) == life


@pytest.mark.parametrize(
    ("claims", "life"),
    [
        ({"exp": 2000, "iat": 500}, 1500.0),
        ({"exp": 2000.5, "iat": 500}, 1500.5),
        ({"exp": "2000", "iat": "500"}, 1500.0),
        ({"exp": 500, "iat": 500}, None),
        ({"exp": 400, "iat": 500}, None),
        ({"exp": 2000}, None),
        ({"iat": 500}, None),
        ({"exp": True, "iat": 0}, None),
        ({"exp": None, "iat": 0}, None),
        ({"exp": float("inf"), "iat": 0}, float("inf")),
        ({"exp": float("nan"), "iat": 0}, None),
        ({"exp": 0, "iat": float("-inf")}, float("inf")),
        ({"exp": 10**400, "iat": 0}, float("inf")),
        ({"exp": 10**400, "iat": 10**400}, None),
        ([], None),
        ("text", None),
    ],
)
def test_jwt_life(claims: Any, life: float | None) -> None:
    assert jwt_life(make_jwt(claims), sent=1_800_000_000.0) == life


@pytest.mark.parametrize(
    ("sent", "life"),
    [
        (1000.0, 60.0),
        (1000.75, 59.25),  # iat was cut down to the whole second
        (1002.0, 58.0),  # and the endpoint's clock is behind
        (1002.1, 60.0),  # this far apart the clocks say nothing about each other
        (999.9, 60.0),  # the second changed under way
        (5.0, 60.0),
    ],
)
def test_a_life_begins_with_the_second_in_which_the_token_was_issued(sent: float, life: float) -> None:
    assert jwt_life(make_jwt({"exp": 1060, "iat": 1000}), sent) == pytest.approx(life)


def test_what_is_left_of_a_very_short_life() -> None:
    assert jwt_life(make_jwt({"exp": 1002, "iat": 1000}), 1000.9) == pytest.approx(1.1)
    assert jwt_life(make_jwt({"exp": 1001, "iat": 1000}), 1000.9) == SHORTEST


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.b.c", "..", "a.b.c.d.e", make_jwt({}) + "é", "é.é.é"])
def test_what_is_no_jwt_claims_nothing(token: str) -> None:
    assert jwt_life(token, 0.0) is None


def test_a_token_of_ten_thousand_brackets_claims_nothing() -> None:
    body = urlsafe_b64encode(b"[" * 10_000).rstrip(b"=").decode()
    assert jwt_life(f"{body}.{body}.x", 0.0) is None


def test_the_end_of_a_jwt_is_what_it_says() -> None:
    assert jwt_end(make_jwt({"exp": 1_800_000_000})) == 1_800_000_000
    assert jwt_end(make_jwt({"exp": "soon"})) is None
    assert jwt_end(make_jwt([1])) is None
    assert jwt_end("opaque") is None
