"""Cells of the tables in docs/scaling.md."""

from __future__ import annotations

import math

import pytest

from trials.fleet import cells
from trials.fleet.cognito import Span
from trials.fleet.ledger import Outcome

OUTCOME = Outcome(
    calls=97_333,
    tokens=97_000,
    throttled=333,
    peak=12,
    requests=1e6,
    waited=604.4,
    refused=0.0,
    ready=[0.2, 0.3, 12.4],
    operations=5,
    most_operations=3,
    by_second=[1, 9, 4, 0, 2, 0],
    without=[0, 0, 7, 5, 1, 0],
)


def test_a_month() -> None:
    assert cells.month([OUTCOME, OUTCOME._replace(tokens=1_027)]) == [
        *("97,333", "$218", "12", "604", "0"),
        *("97,333", "$2.31", "12", "604", "0"),
    ]
    assert len(cells.MONTH) == 11


def test_a_start() -> None:
    assert cells.start([OUTCOME]) == ["97,333", "333", "12", "0.3 s", "12 s", "12 s", "604", "0", "3"]
    assert len(cells.START) == 10


@pytest.mark.parametrize(
    ("without", "recovered"),
    [
        ([0, 0, 7, 5, 1, 0], "2.0 s"),
        ([0, 7, 7, 0, 0, 0], "before its end"),
        ([0] * 6, "none was without"),
    ],
)
def test_an_outage(without: list[int], recovered: str) -> None:
    made = cells.outage(Span(1.0, 3.0))([OUTCOME._replace(without=without)])
    assert made == ["97,333", "333", "9", "2", f"{max(without)}", recovered, "604", "0", "3"]
    assert len(cells.OUTAGE) == 10


@pytest.mark.parametrize(
    ("life", "refresh_at", "seconds"),
    [(3600.0, 0.75, 710.0), (300.0, 0.9, 5.0), (20.0, 0.75, 3.0)],
)
def test_spare_time(life: float, refresh_at: float, seconds: float) -> None:
    assert cells.spare(life, refresh_at, 0.05) == pytest.approx(seconds)


def test_a_setting_is_of_ten_pods() -> None:
    assert cells.setting(710.0)([OUTCOME]) == ["9,700", "$21.82", "$21,825", "11.8 min"]


def test_rest() -> None:
    assert cells.idle([OUTCOME, OUTCOME._replace(tokens=48_500)]) == ["97,000", "48,500", "50%", "604", "1,000,000"]


def test_nothing_has_started() -> None:
    assert math.isnan(OUTCOME._replace(ready=[]).ready_within(0.5))
