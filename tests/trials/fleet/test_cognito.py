"""The token endpoint: so many calls a second, and troubles in their time."""

from __future__ import annotations

from collections import Counter

from trials.fleet.cognito import QUOTA, Cognito, Neighbour, Outage, Span, Trouble
from trials.fleet.ledger import Ledger, Outcome


def answers(moments: list[float], trouble: Trouble) -> tuple[list[str], Outcome]:
    ledger = Ledger(0.0, 100.0, by_second=False)
    endpoint = Cognito(trouble, 10.0, lambda: 0.5, ledger)
    return [endpoint.call(moment).reason or "token" for moment in moments], ledger.close()


def test_calls_beyond_the_quota_of_a_second_are_throttled() -> None:
    moments = [1.0 + number / 1000 for number in range(200)] + [2.0] * 100
    reasons, counted = answers(moments, Trouble())
    assert reasons == ["token"] * QUOTA + ["throttled"] * (200 - QUOTA) + ["token"] * 100
    assert (counted.calls, counted.tokens, counted.throttled, counted.peak) == (300, 250, 50, 200)
    assert counted.cost == 250 * 2.25 / 1000


def test_a_neighbour_leaves_only_some_of_it() -> None:
    reasons, _ = answers([1.0] * 20 + [5.0] * 20, Trouble(neighbours=[Neighbour(Span(0, 2), leaves=5)]))
    assert Counter(reasons[:20]) == {"token": 5, "throttled": 15}
    assert Counter(reasons[20:]) == {"token": 20}


def test_an_outage_refuses_or_is_silent_until_its_end() -> None:
    trouble = Trouble([Outage(Span(1, 2)), Outage(Span(3, 4), silent=True)]).later(10.0)
    reasons, counted = answers([10.9, 11.0, 11.9, 12.0, 13.5, 14.0], trouble)
    assert reasons == ["token", "server_error", "server_error", "token", "timeout", "token"]
    assert (counted.calls, counted.tokens) == (6, 3)


def test_a_call_takes_its_time() -> None:
    endpoint = Cognito(Trouble([Outage(Span(1, 2), silent=True)]), 10.0, lambda: 0.5, Ledger(0, 9, by_second=False))
    assert endpoint.call(0.0).seconds < 0.5
    assert endpoint.call(1.0).seconds == 10.0
