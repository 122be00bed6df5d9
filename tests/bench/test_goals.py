"""Goals: which way they point, and that a contender that was not there decides nothing."""

from __future__ import annotations

import pytest

from bench.figures import Life, Results, Sample, Transfer
from bench.goals import GOALS, Goal, Verdict, verdicts


def sample(cpu_us: float, p50_ms: float = 1.0) -> Sample:
    return Sample(1000.0, p50_ms, 2.0, cpu_us)


def met(results: Results) -> dict[str, bool | None]:
    return {one.goal.text: one.met for one in verdicts(results)}


def test_every_goal_is_judged_when_everybody_was_there() -> None:
    results = Results()
    for connections in (1, 16, 256):
        for contender, cost in (("sidecar", 40.0), ("envoy", 60.0), ("go", 90.0), ("nginx", 25.0)):
            results.requests[f"bare-{connections}", contender] = [sample(cost, cost / 100)]
    results.lives = {"sidecar": [Life(0.5, 40, 50, 60)], "envoy": [Life(0.1, 60, 60, 70)]}
    results.down = {"sidecar": [Transfer(700, 1.0)], "nginx": [Transfer(1000, 1.0)]}
    results.up = {"sidecar": [Transfer(500, 1.0)], "nginx": [Transfer(1000, 1.0)]}
    missed = [text for text, verdict in met(results).items() if not verdict]
    assert missed == ["resident memory after 256 connections, to Envoy", "long body up, throughput to nginx"]


def test_nothing_is_met_where_nothing_was_measured() -> None:
    assert set(met(Results()).values()) == {None}
    alone = Results(requests={("bare-16", "sidecar"): [sample(40.0)]}, lives={"sidecar": [Life(0.7, 40, 50, 60)]})
    judged = {text: verdict for text, verdict in met(alone).items() if verdict is not None}
    assert judged == {"start to first response": False}


@pytest.mark.parametrize(
    ("rounds", "at_least", "expected"),
    [([1.0, 2.0, 9.0], False, True), ([2.1], False, False), ([2.0], True, True), ([1.9, 1.9, 5.0], True, False)],
)
def test_the_median_of_the_rounds_decides(rounds: list[float], at_least: bool, expected: bool) -> None:
    goal = Goal("some ratio", 2.0, lambda results: [], at_least=at_least)
    assert Verdict(goal, rounds).met is expected


def test_a_goal_says_which_way_it_points() -> None:
    assert {goal.words for goal in GOALS} == {
        "at most 0.75", "at most 1", "at most 2", "at most 0.5", "at most 0.7", "at most 0.6 s", "at least 0.6",
    }  # fmt: skip
