"""When a secret is read again."""

from __future__ import annotations

import pytest

from proxy.aws.schedule import FLOOR, Times, after, is_due, may_read, pause, seconds_until_may


@pytest.mark.parametrize(
    ("draw", "refresh", "expected"),
    [(0.0, 300, 270), (0.5, 300, 300), (1.0, 300, 330), (0.0, 10, 10), (0.5, 0, None)],
)
def test_the_interval_is_drawn_around_what_is_configured(draw: float, refresh: float, expected: float | None) -> None:
    assert pause(after(Times(), 100, good=True, draw=draw), refresh) == expected


@pytest.mark.parametrize(
    ("failures", "draw", "refresh", "expected"),
    [
        (1, 0.0, 300, 10),
        (1, 1.0, 300, 20),
        (2, 1.0, 300, 40),
        (3, 0.0, 300, 40),
        (5, 0.0, 300, 150),
        (5, 1.0, 300, 300),
        (500, 1.0, 3600, 300),
        (5, 1.0, 60, 60),
        (3, 1.0, 0, 80),
    ],
)
def test_failures_are_tried_again_sooner_and_then_more_rarely(
    failures: int, draw: float, refresh: float, expected: float
) -> None:
    times = Times()
    for _ in range(failures):
        times = after(times, 100, good=False, draw=draw)
    assert pause(times, refresh) == expected


def test_a_success_ends_a_run_of_failures() -> None:
    failed = after(Times(), 100, good=False, draw=0.5)
    assert failed.failures == 1
    assert after(failed, 200, good=True, draw=0.5) == Times(200, 0, 0.5)


def test_never_twice_within_ten_seconds() -> None:
    assert may_read(Times(), 0)
    assert seconds_until_may(Times(), 0) == 0
    times = after(Times(), 100, good=True, draw=0.5)
    assert not may_read(times, 100)
    assert not may_read(times, 109.9)
    assert seconds_until_may(times, 104) == pytest.approx(6)
    assert may_read(times, 100 + FLOOR)
    # Whoever asks, and however short the interval.
    assert not is_due(times._replace(asked=True), 109.9, 1)
    assert is_due(times._replace(asked=True), 110, 0)


def test_what_is_due() -> None:
    assert not is_due(Times(), 100, 300), "it has not been read for anybody yet"
    times = after(Times(), 100, good=True, draw=0.5)
    assert not is_due(times, 399.9, 300)
    assert is_due(times, 400, 300)
    assert not is_due(times, 1e9, 0), "never by the clock"
    assert not after(times._replace(asked=True), 200, good=True, draw=0.5).asked
