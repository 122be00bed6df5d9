"""Pauses after failures: how they grow, and what an endpoint's Retry-After does to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import REASONS, Reason
from proxy.tokens.backoff import MENDING, Backoff, parse_retry_after

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def pauses(reasons: list[Reason], drawn: float = 1.0) -> list[float]:
    backoff, found = Backoff(), []
    for reason in reasons:
        backoff = backoff.after(reason)
        found.append(backoff.pause(drawn, None))
    return found


def test_what_may_pass_is_tried_again_soon() -> None:
    assert pauses(["timeout"] * 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_a_person_must_mend_is_tried_again_later() -> None:
    assert pauses(["invalid_client"] * 6) == [30, 60, 120, 240, 300, 300]


def test_each_pause_is_drawn_between_half_and_the_whole() -> None:
    assert pauses(["timeout"] * 3, drawn=0.0) == [0.5, 1, 2]
    assert pauses(["invalid_scope"] * 3, drawn=0.5) == [22.5, 45, 90]


def test_the_other_kind_of_failure_begins_anew() -> None:
    reasons: list[Reason] = ["timeout", "connection", "invalid_client", "credentials", "server_error", "throttled"]
    assert pauses(reasons) == [1, 2, 30, 60, 1, 2]


def test_who_was_told_of_a_failure_looks_again_soon() -> None:
    backoff, found = Backoff(), []
    for _ in range(6):
        backoff = backoff.hearing()
        found.append(backoff.pause(1.0, None))
    assert found == [1, 2, 4, 8, 12, 12]


def test_years_of_failures_are_no_arithmetic_error() -> None:
    assert Backoff("passing", 10**6).pause(1.0, None) == 60


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_pause(reason: Reason) -> None:
    assert pauses([reason]) == [30 if reason in MENDING else 1]


@pytest.mark.parametrize(
    ("retry_after", "soonest", "latest"),
    [
        (None, 0.5, 1),
        (0.0, 0.5, 1),
        (0.2, 0.5, 1),
        (2.0, 2, 2.5),
        (8.0, 8, 10),
        (60.0, 60, 75),
        (280.0, 280, 300),
        (300.0, 300, 300),
        (301.0, 290, 300),
        (1e9, 290, 300),
    ],
)
def test_retry_after_lengthens_a_pause_up_to_five_minutes(
    retry_after: float | None, soonest: float, latest: float
) -> None:
    backoff = Backoff().after("throttled")
    assert backoff.pause(0.0, retry_after) == soonest
    assert backoff.pause(1.0, retry_after) == latest


def test_who_is_told_the_same_time_does_not_come_back_at_the_same_time() -> None:
    backoff = Backoff("passing", 6)
    assert [backoff.pause(drawn, 20.0) for drawn in (0.0, 0.5, 1.0)] == [20, 28, 36]


@given(st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e6), st.integers(1, 99), st.sampled_from(REASONS))
def test_what_holds_of_every_pause(drawn: float, retry_after: float | None, failures: int, reason: Reason) -> None:
    pause = Backoff("mending" if reason in MENDING else "passing", failures).pause(drawn, retry_after)
    assert 0.5 <= pause <= 300
    assert retry_after is None or retry_after > 300 or pause >= retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("9" * 30, 300.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
        ("Fri, 15 Jan 2027 08:00:40 GMT", 40.0),
        ("Fri, 15 Jan 2027 08:00:40 -0000", 40.0),
        ("Friday, 15-Jan-27 08:00:40 GMT", 40.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2027 07:00:00 GMT", None),
    ],
)
def test_retry_after_as_it_is_written(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds
