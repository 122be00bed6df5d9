"""The table of `proxy.tokens.refusals`, row by row."""

from __future__ import annotations

from typing import Final

import pytest

from proxy.clock import Reading
from proxy.tokens.interface import AccessToken
from proxy.tokens.refusals import COOL_DOWN, MOST_RENEWALS, Refusals, Verdict
from proxy.tokens.rules import later

START: Final = Reading(1000.0, 50_000.0)


def token(*, proven: bool) -> AccessToken:
    return AccessToken("text", 7, proven=proven)


def after_a_cool_down_began() -> Refusals:
    refusals = Refusals()
    assert refusals.judge(7, token(proven=False), START, pausing=False) is Verdict.COOL_DOWN
    return refusals


@pytest.mark.parametrize(
    ("number", "proven", "cooling", "pausing", "verdict"),
    [
        (6, True, "none", False, Verdict.TAKE),
        (6, False, "running", True, Verdict.TAKE),
        (8, True, "none", False, Verdict.TAKE),  # of a source that a reload replaced
        (7, True, "running", False, Verdict.COOLING_DOWN),
        (7, False, "running", True, Verdict.COOLING_DOWN),
        (7, False, "none", False, Verdict.COOL_DOWN),
        (7, False, "none", True, Verdict.COOL_DOWN),
        (7, False, "over", False, Verdict.RENEW),
        (7, True, "over", False, Verdict.RENEW),
        (7, True, "none", False, Verdict.RENEW),
        (7, True, "over", True, Verdict.FAIL),
        (7, False, "over", True, Verdict.FAIL),
        (7, True, "none", True, Verdict.FAIL),
    ],
)
def test_each_row(number: int, proven: bool, cooling: str, pausing: bool, verdict: Verdict) -> None:
    refusals = Refusals() if cooling == "none" else after_a_cool_down_began()
    now = later(START, COOL_DOWN if cooling == "over" else 1.0)
    assert refusals.judge(number, token(proven=proven), now, pausing=pausing) is verdict


def test_without_a_token_there_is_one_to_wait_for() -> None:
    assert Refusals().judge(1, None, START, pausing=False) is Verdict.TAKE


def test_a_token_fetched_because_of_a_401_is_on_trial() -> None:
    refusals = Refusals()
    assert refusals.obtained(START) is False
    refusals.on_trial = True
    assert refusals.obtained(START) is True
    assert refusals.obtained(START) is False


def test_a_token_that_comes_meanwhile_does_not_end_a_cool_down() -> None:
    refusals = after_a_cool_down_began()
    refusals.obtained(later(START, 1.0))
    assert refusals.judge(7, token(proven=True), later(START, 29.0), pausing=False) is Verdict.COOLING_DOWN


def test_a_token_that_comes_after_a_cool_down_begins_anew() -> None:
    refusals = after_a_cool_down_began()
    refusals.obtained(later(START, 31.0))
    assert refusals.judge(7, token(proven=False), later(START, 32.0), pausing=False) is Verdict.COOL_DOWN


def test_renewals_that_help_one_route_and_not_another_have_a_limit() -> None:
    refusals = Refusals()
    for second in range(MOST_RENEWALS):
        now = later(START, second)
        assert refusals.judge(7, token(proven=True), now, pausing=False) is Verdict.RENEW
        refusals.renewing(now)
    assert refusals.judge(7, token(proven=True), later(START, 20.0), pausing=False) is Verdict.COOL_DOWN
    assert refusals.judge(7, token(proven=True), later(START, 21.0), pausing=False) is Verdict.COOLING_DOWN
    assert refusals.judge(7, token(proven=True), later(START, 300.0), pausing=False) is Verdict.RENEW
