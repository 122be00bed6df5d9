"""What a fleet costs and stands, by small runs of the simulation: facts that must stay true whatever is changed.

The cases of docs/scaling.md are larger; these take a second each.
"""

from __future__ import annotations

from typing import Final

import pytest

from trials.fleet.callers import DAY
from trials.fleet.cases import CASES
from trials.fleet.cognito import Outage, Span, Trouble
from trials.fleet.plans import HOUR, at_once, together
from trials.fleet.world import Case, run

MONTH: Final = 730 * HOUR
THREE_DAYS: Final = 3 * DAY


def test_a_thousand_pods_with_tokens_of_an_hour_cost_2190_dollars_a_month() -> None:
    alone = run(Case("cost", 1_000, HOUR, THREE_DAYS, warm_up=HOUR), seed=1)
    assert alone.cost * MONTH / THREE_DAYS == pytest.approx(2190, rel=0.01)
    assert (alone.throttled, alone.waited, alone.refused) == (0, 0, 0)


def test_with_a_shared_cache_they_cost_as_much_as_one() -> None:
    shared = run(Case("cost", 1_000, HOUR, THREE_DAYS, warm_up=HOUR, cache=()), seed=1)
    # The first of a thousand renews at 70 %: at three quarters, less the jitter.
    assert shared.tokens == pytest.approx(THREE_DAYS / (0.7 * HOUR), abs=2)
    assert (shared.throttled, shared.waited, shared.refused) == (0, 0, 0)


def test_the_same_seed_gives_the_same_figures() -> None:
    case = Case("seed", 300, 300.0, HOUR, plan=at_once(1.0), by_second=True, cache=[Span(600, 1200)])
    assert run(case, seed=1) == run(case, seed=1)
    assert run(case, seed=1) != run(case, seed=2)


def test_a_thousand_pods_that_start_at_once_have_their_tokens_soon() -> None:
    """150 a second make seven seconds at best; retries that lined up would make more of it each time."""
    start = run(Case("start", 1_000, HOUR, 120.0, plan=at_once(0.5)), seed=1)
    assert 6.7 < start.ready_within(1.0) < 20
    assert start.calls < 4_000


def test_with_a_shared_cache_one_call_serves_them() -> None:
    start = run(Case("start", 1_000, HOUR, 120.0, plan=at_once(0.5), cache=()), seed=1)
    assert (start.calls, start.refused) == (1, 0)
    assert start.ready_within(1.0) < 1.5


def test_without_its_engine_a_fleet_starts_as_if_it_had_none() -> None:
    start = run(Case("start", 1_000, HOUR, 120.0, plan=at_once(0.5), cache=[Span(0, HOUR)]), seed=1)
    assert 6.7 < start.ready_within(1.0) < 30


def test_who_is_told_to_wait_for_a_minute_does_not_come_back_in_lockstep() -> None:
    """In lockstep it would take a minute for each 150 pods."""
    case = Case("told", 1_000, HOUR, 900.0, plan=at_once(0.5), trouble=Trouble(retry_after=60.0), by_second=True)
    start = run(case, seed=1)
    assert 60 < start.ready_within(1.0) < 80
    assert max(start.by_second[2:]) < 150


OUTAGE: Final = Span(60.0, 660.0)


@pytest.mark.parametrize("silent", [False, True])
def test_a_fleet_comes_back_from_an_outage_without_a_rush(silent: bool) -> None:
    trouble = Trouble([Outage(OUTAGE, silent)])
    back = run(Case("outage", 1_000, 300.0, 900.0, warm_up=300.0, trouble=trouble, by_second=True), seed=1)
    after = int(OUTAGE.end)
    assert max(back.without) == 1_000
    assert max(back.by_second[after:]) < 60, "they have drawn their pauses"
    assert sum(back.without[after + 75 :]) == 0
    assert back.throttled == 0


@pytest.mark.parametrize("silent", [False, True])
def test_a_fleet_that_shares_spares_the_endpoint_and_is_back_sooner(silent: bool) -> None:
    """All tokens end in the same moment, and still nobody rushes."""
    trouble = Trouble([Outage(OUTAGE, silent)])
    case = Case("outage", 1_000, 300.0, 900.0, warm_up=149.0, plan=together, trouble=trouble, by_second=True, cache=())
    back = run(case, seed=1)
    after = int(OUTAGE.end)
    assert max(back.without) == 1_000
    assert max(back.by_second) <= 12, "ten turns a second, and one who has the lock"
    # Calls that were begun before its end may have to run into their time limit.
    assert sum(back.without[after + (25 if silent else 15) :]) == 0
    assert back.calls < 6_500


def test_of_a_settled_fleet_a_third_loses_its_token_in_half_an_hour() -> None:
    """Tokens of an hour are renewed at 45 minutes: of the ages from 0 to 45 those over 30 minutes end in it."""
    alone = run(CASES["outage, 1 h, 1,000 pods"], seed=1)
    assert max(alone.without) / 1_000 == pytest.approx(1 / 3, abs=0.04)


def test_an_outage_that_tokens_outlive_is_not_noticed() -> None:
    case = Case("outage", 300, DAY, 2 * HOUR, warm_up=DAY, trouble=Trouble([Outage(Span(0, HOUR))]), by_second=True)
    for one in (case, case._replace(cache=())):
        assert (max(run(one, seed=1).without), run(one, seed=1).refused) == (0, 0)


def test_without_the_cache_for_an_hour_no_request_fails() -> None:
    away = run(Case("away", 1_000, HOUR, 2 * HOUR, warm_up=HOUR, cache=[Span(300, 3900)]), seed=1)
    assert away.tokens == pytest.approx(1_000, abs=300)
    assert (away.throttled, away.waited, away.refused) == (0, 0, 0)
