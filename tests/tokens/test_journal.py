"""The log lines of a source, as a person on call reads them."""

from __future__ import annotations

from proxy.clock import Reading
from proxy.tokens.interface import AccessToken
from proxy.tokens.journal import Journal
from proxy.tokens.rules import State, make_token
from tests.tokens.helpers import failure, log_lines


def test_a_token_that_came() -> None:
    token = make_token(AccessToken("text", 2), Reading(0.0, 1_800_000_000.0), 3600.4, (), 2700.0)
    with log_lines() as lines:
        Journal(("orders", "billing")).obtained(token, "endpoint")
    assert lines == [
        {
            "event": "token_obtained",
            "log_level": "info",
            "room": "tokens",
            "origin": "endpoint",
            "upstream": "orders,billing",
            "token_id": token.access.token_id,
            "number": 2,
            "life": 3600,
            "expires_at": "2027-01-15T09:00:00+00:00",
            "renew_at": "2027-01-15T08:45:00+00:00",
        }
    ]


def test_a_call_that_failed() -> None:
    with log_lines() as lines:
        Journal(("orders",)).failed(failure("timeout"), consecutive=3, pause=3.14159, state=State.STALE)
    assert lines == [
        {
            "event": "token_refresh_failed",
            "log_level": "warning",
            "room": "tokens",
            "upstream": "orders",
            "reason": "timeout",
            "detail": "words about timeout",
            "consecutive": 3,
            "next_attempt_in": 3.1,
            "state": "STALE",
        }
    ]


def test_what_nobody_expected_is_named_by_its_type_alone() -> None:
    with log_lines() as lines:
        Journal(("orders",)).broke(ValueError("quotes a credential"))
    assert lines[0]["error"] == "ValueError"
    assert "quotes" not in str(lines)
