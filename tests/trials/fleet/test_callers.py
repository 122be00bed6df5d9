"""When requests come: the last one, the next one, and how many in between."""

from __future__ import annotations

import math

import pytest

from trials.fleet.callers import DAY, Callers, Daily, Seldom, Steady

HOURS = 3600.0
OFFICE = Daily(8 * HOURS, 18 * HOURS, rate=2.0)
SELDOM = Seldom(100.0, first=50.0)


@pytest.mark.parametrize(
    ("callers", "now", "last", "next_one"),
    [
        (Steady(), 7.0, 7.0, 7.0),
        (OFFICE, 7 * HOURS, -math.inf, 8 * HOURS),
        (OFFICE, 9 * HOURS, 9 * HOURS, 9 * HOURS),
        (OFFICE, 20 * HOURS, 18 * HOURS, DAY + 8 * HOURS),
        (OFFICE, DAY + 1 * HOURS, 18 * HOURS, DAY + 8 * HOURS),
        (SELDOM, 10.0, -math.inf, 50.0),
        (SELDOM, 50.0, 50.0, 150.0),
        (SELDOM, 149.0, 50.0, 150.0),
        (SELDOM, 150.0, 150.0, 250.0),
    ],
)
def test_the_last_and_the_next(callers: Callers, now: float, last: float, next_one: float) -> None:
    assert (callers.last(now), callers.next(now)) == (last, next_one)


@pytest.mark.parametrize(
    ("callers", "begin", "end", "requests"),
    [
        (Steady(3.0), 10.0, 20.0, 30.0),
        (Steady(3.0), 20.0, 10.0, 0.0),
        (OFFICE, 0.0, 8 * HOURS, 0.0),
        (OFFICE, 17 * HOURS, DAY + 9 * HOURS, 2 * 2 * HOURS),
        (SELDOM, 0.0, 50.0, 0.0),
        (SELDOM, 50.0, 150.0, 1.0),
        (SELDOM, 50.0, 151.0, 2.0),
    ],
)
def test_how_many(callers: Callers, begin: float, end: float, requests: float) -> None:
    assert callers.between(begin, end) == requests
