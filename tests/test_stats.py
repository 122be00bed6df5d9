"""What is counted, as the metrics will show it."""

from __future__ import annotations

import pytest

from proxy.stats import SECONDS, Histogram, TokenStats, UpstreamStats


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.001, 0), (0.0011, 1), (0.0025, 1), (60.0, len(SECONDS) - 1), (60.1, len(SECONDS))],
)
def test_an_observation_is_in_the_bucket_whose_bound_it_does_not_pass(value: float, bucket: int) -> None:
    # A bound belongs to its own bucket: Prometheus's `le` means "less than or equal".
    histogram = Histogram()
    histogram.observe(value)

    assert [index for index, count in enumerate(histogram.counts) if count] == [bucket]
    assert histogram.sum == value


def test_a_histogram_may_have_its_own_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.5, 1.6, 9.0):
        histogram.observe(value)

    assert (histogram.bounds, histogram.counts) == ((1.0, 2.0), [1, 2, 1])
    assert histogram.sum == pytest.approx(12.6)


def test_everything_begins_at_nothing() -> None:
    tokens, upstream = TokenStats(), UpstreamStats()

    assert (tokens.successes, tokens.consecutive_failures, tokens.waiters, tokens.last_success_at) == (0, 0, 0, None)
    assert upstream.in_flight == 0
    for counter in (tokens.failures, upstream.requests, upstream.errors, upstream.unauthorized, upstream.connects):
        assert not counter
