"""What is counted, and from when on."""

from __future__ import annotations

import math

from trials.fleet.callers import Seldom, Steady
from trials.fleet.ledger import Ledger


def test_a_warm_up_does_not_count() -> None:
    ledger = Ledger(100.0, 200.0, by_second=True)
    for moment in (50.0, 99.9, 100.0, 150.2, 150.9):
        ledger.call(moment)
        ledger.granted(moment)
        ledger.operation(moment)
    ledger.started(90.0, 110.0)
    ledger.lived(0.0, 200.0, Steady(2.0))
    outcome = ledger.close()
    assert (outcome.calls, outcome.tokens, outcome.peak) == (3, 3, 2)
    assert (outcome.operations, outcome.most_operations) == (3, 2)
    assert [second for second, calls in enumerate(outcome.by_second) if calls] == [0, 50]
    assert outcome.requests == 200.0
    assert math.isnan(outcome.ready_within(0.5))


def test_requests_wait_for_a_token_as_long_as_they_may() -> None:
    """One that comes more than five seconds before the token gets 503, be it at once or in the end."""
    ledger = Ledger(0.0, 100.0, by_second=False)
    ledger.gap(10.0, 22.0, Steady(3.0), 5.0)
    ledger.gap(30.0, 32.0, Steady(3.0), 5.0)
    ledger.gap(40.0, 41.0, Steady(3.0), 0.0)
    outcome = ledger.close()
    assert (outcome.waited, outcome.refused) == (15.0 + 6.0, 21.0 + 3.0)


def test_a_gap_that_no_request_sees_is_none() -> None:
    ledger = Ledger(0.0, 100.0, by_second=True)
    ledger.gap(10.0, 90.0, Seldom(100.0, first=5.0), 5.0)
    ledger.gap(10.0, 15.2, Seldom(100.0, first=15.0), 5.0)
    outcome = ledger.close()
    assert (outcome.waited, outcome.refused) == (1.0, 0.0)
    assert sum(outcome.without) == 0, "it was over before half of a second was"


def test_pods_without_a_token_in_the_middle_of_each_second() -> None:
    ledger = Ledger(100.0, 110.0, by_second=True)
    ledger.gap(101.4, 104.6, Steady(), 5.0)
    ledger.gap(103.0, 300.0, Steady(), 0.0)
    assert ledger.close().without == [0, 1, 1, 2, 2, 1, 1, 1, 1, 1, 0]


def test_how_soon_pods_are_ready() -> None:
    ledger = Ledger(0.0, 100.0, by_second=False)
    for seconds in range(10, 0, -1):
        ledger.started(5.0, 5.0 + seconds)
    outcome = ledger.close()
    assert [outcome.ready_within(share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 6, 10, 10]
