"""When pods start and stop."""

from __future__ import annotations

import math
from random import Random

import pytest

from trials.fleet.callers import DAY
from trials.fleet.plans import (
    AT_NIGHT,
    HOUR,
    JOB,
    Plan,
    at_once,
    day_and_night,
    jobs,
    restarted_daily,
    steady,
    together,
)

PODS = 40
END = 4 * DAY


def alive(plan: Plan, moment: float) -> int:
    return sum(life.start <= moment < life.stop for life in plan(PODS, DAY, END, Random(1).random))


@pytest.mark.parametrize("plan", [steady, together, restarted_daily, jobs])
@pytest.mark.parametrize("moment", [DAY, DAY + 12.2 * HOUR, 3.5 * DAY])
def test_as_many_pods_all_the_time(plan: Plan, moment: float) -> None:
    assert alive(plan, moment) == PODS


def test_more_by_day_than_at_night() -> None:
    assert alive(day_and_night, 2 * DAY + 12 * HOUR) == PODS
    assert alive(day_and_night, 2 * DAY + 2 * HOUR) == PODS * AT_NIGHT
    assert PODS * AT_NIGHT < alive(day_and_night, 2 * DAY + 8 * HOUR) < PODS


def test_all_at_once() -> None:
    starts = [life.start for life in at_once(60.0)(PODS, DAY, END, Random(1).random)]
    assert DAY <= min(starts) < max(starts) < DAY + 60


def test_each_is_replaced_once_a_day() -> None:
    lives = list(restarted_daily(PODS, DAY, END, Random(1).random))
    assert len(lives) == PODS * (1 + 3)
    assert {round(life.stop - life.start) for life in lives if life.start > DAY and life.stop < math.inf} == {DAY}


def test_a_job_takes_its_time() -> None:
    lives = list(jobs(PODS, DAY, END, Random(1).random))
    assert [life.stop - life.start for life in lives] == pytest.approx([JOB] * len(lives))
