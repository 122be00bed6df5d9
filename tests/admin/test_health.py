"""The verdict on an upstream, row by row."""

from __future__ import annotations

import pytest

from proxy.admin.health import Level, health
from tests.admin.fakes import NOW, Error, Token, empty, expired, failing, stale

INVALID = "invalid_client: the token endpoint does not accept this client id and secret"


@pytest.mark.parametrize(
    ("token", "level", "ready", "sentence"),
    [
        (Token(), "ok", True, "the token is good for another 48 min"),
        (Token(expires_at=None), "ok", True, "the token is good"),
        (stale(), "busy", True, "the token is good for another 10 min and is being renewed"),
        (stale(at_rest=True), "ok", True, "the token is good for another 10 min"),
        (
            failing(stale()),
            "warn",
            True,
            f"the token is good for another 10 min, but {INVALID} (next attempt in 18 s)",
        ),
        (empty(), "busy", False, "no token yet: the first one is being fetched"),
        (failing(empty()), "bad", False, f"no token yet: {INVALID} (next attempt in 18 s)"),
        (empty(at_rest=True), "busy", False, "no token yet: the first one is being fetched"),
        (expired(), "busy", False, "the token has expired: a new one is being fetched"),
        (failing(expired()), "bad", False, f"the token has expired: {INVALID} (next attempt in 18 s)"),
        (expired(at_rest=True), "rest", True, "no request came lately; the next one fetches a token"),
        (expired(ends_rest=True), "busy", True, "a request has ended the rest: a new token is being fetched"),
        (failing(expired(at_rest=True)), "rest", True, "no request came lately; the next one fetches a token"),
    ],
)
def test_each_state(token: Token, level: Level, ready: bool, sentence: str) -> None:
    verdict = health(token, NOW.wall)
    assert (verdict.level, verdict.ready, verdict.sentence) == (level, ready, sentence)


def test_an_attempt_that_is_under_way_is_told() -> None:
    token = failing(empty())
    token.fetching = True
    assert health(token, NOW.wall).sentence.endswith("(trying again now)")


def test_without_a_time_or_a_reason_it_says_what_it_knows() -> None:
    token = failing(empty())
    token.next_attempt_at = None
    assert health(token, NOW.wall).sentence == f"no token yet: {INVALID}"
    token.last_error = None
    assert health(token, NOW.wall).sentence == "no token yet: the reason is not known"


def test_a_detail_cannot_forge_a_line() -> None:
    token = failing(empty(), error=Error("malformed_response", "<html>\nready\n"))
    assert "\n" not in health(token, NOW.wall).sentence
