"""Percentiles, medians, and ratios that are only taken within a round."""

from __future__ import annotations

import math

import pytest

from bench.figures import Results, Sample, median, percentile, ratios


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)],
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], share) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0


def test_the_median_of_nothing_is_no_number() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert math.isnan(median([]))


def test_a_machine_that_slows_down_between_rounds_changes_no_ratio() -> None:
    assert ratios([10.0, 40.0, 20.0], [20.0, 80.0, 40.0]) == [0.5, 0.5, 0.5]


def test_rounds_that_one_of_the_two_missed_are_left_out() -> None:
    assert ratios([10.0, 40.0], [20.0]) == [0.5]
    assert ratios([], [20.0]) == []
    assert ratios([1.0, 1.0], [0.0, 2.0]) == [0.5]


def test_what_has_no_proxy_has_no_processor_time() -> None:
    results = Results(
        requests={
            ("bare-1", "direct"): [Sample(100.0, 1.0, 2.0, None)],
            ("bare-1", "sidecar"): [Sample(90.0, 1.5, 3.0, 44.0), Sample(80.0, 1.6, 3.1, 46.0)],
        }
    )
    assert results.cpu("bare-1", "direct") == []
    assert results.cpu("bare-1", "sidecar") == [44.0, 46.0]
    assert results.p50("bare-1", "sidecar") == [1.5, 1.6]
    assert results.cpu("bare-1", "nobody") == results.p50("bare-1", "nobody") == []


def test_failures_are_named_where_there_are_any() -> None:
    results = Results(
        requests={
            ("bare-1", "sidecar"): [Sample(90.0, 1.5, 3.0, 44.0, 0)],
            ("bare-16", "sidecar"): [Sample(90.0, 1.5, 3.0, 44.0, 2), Sample(90.0, 1.5, 3.0, 44.0, 1)],
        }
    )
    assert results.failures() == {("bare-16", "sidecar"): 3}
