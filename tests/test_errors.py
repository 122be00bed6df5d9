"""The policy that stands on the errors: exit codes, statuses, and words that are fit to be shown."""

from __future__ import annotations

from typing import get_args

import pytest

from proxy import errors
from proxy.errors import ConfigError, Name, Refusal, SidecarError, StartError, TokenError, TokenUnavailable


@pytest.mark.parametrize(
    ("error", "exit_code", "text"),
    [
        (ConfigError(["a.b: wrong", "c: missing"]), 2, "a.b: wrong\nc: missing"),
        (StartError("port 8080 is in use"), 1, "port 8080 is in use"),
        (TokenError("throttled", "asked too often", retry_after=3), 1, "throttled: asked too often"),
        (TokenUnavailable("no token yet", retry_after=1), 1, "no token yet"),
        (Refusal("no_route", "no prefix matches"), 1, "no_route: no prefix matches"),
    ],
)
def test_every_error_says_what_it_is_and_what_a_command_ends_with(
    error: SidecarError, exit_code: int, text: str
) -> None:
    assert (error.exit_code, str(error)) == (exit_code, text)


def test_a_configuration_error_keeps_its_lines() -> None:
    assert ConfigError(["a: b", "c: d"]).problems == ("a: b", "c: d")


def test_what_may_pass_says_when_to_ask_again() -> None:
    assert TokenError("throttled", "…", retry_after=3).retry_after == 3
    assert TokenError("timeout", "…").retry_after is None
    assert TokenUnavailable("…", retry_after=7).retry_after == 7
    assert Refusal("token_unavailable", "…", retry_after=7).retry_after == 7


# The table of the sidecar's own answers, as it is promised to callers. A 401 is always the upstream's.
PROMISED = {
    "bad_request": 400,
    "caller_denied": 403,
    "not_allowed": 403,
    "no_route": 404,
    "body_too_large": 413,
    "headers_too_large": 431,
    "upstream_unreachable": 502,
    "upstream_protocol": 502,
    "token_unavailable": 503,
    "overloaded": 503,
    "shutting_down": 503,
    "upstream_timeout": 504,
}


def test_the_answers_are_the_promised_ones() -> None:
    assert {name: kind.status for name, kind in errors.KINDS.items()} == PROMISED
    assert set(get_args(Name)) == set(PROMISED)
    assert all(kind.title for kind in errors.KINDS.values())
