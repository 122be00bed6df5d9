"""Times and amounts in words."""

from __future__ import annotations

import pytest

from proxy.admin.words import ago, amount, duration, iso, one_line, until, within
from proxy.stats import Histogram


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (8.2, "8 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (599, "9 min 59 s"),
        (615, "10 min"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
        (86_400, "1 d"),
        (97_200, "1 d 3 h"),
        (86_400 * 40, "40 d"),
    ],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_moments() -> None:
    assert ago(100.0, 142.0) == "42 s ago"
    assert until(142.0, 100.0) == "in 42 s"
    assert until(100.3, 100.0) == "now"
    assert until(90.0, 100.0) == "now"
    assert iso(1_793_000_000.9) == "2026-10-26T07:33:20Z"
    assert iso(None) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\r\nlines\tand\x00more", "two lines and more"),
        ("\u2028 hidden \u202e", "hidden"),
        ("x" * 500, "x" * 399 + "…"),
    ],
)
def test_text_from_outside_stays_on_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_amounts() -> None:
    assert amount(1_234_567) == "1,234,567"


def test_within_tells_the_bucket_that_a_share_of_observations_ended_in() -> None:
    histogram = Histogram((0.1, 1.0, 5.0))
    assert within(histogram, 0.5) is None
    for value in (0.05, 0.05, 0.5, 2.0):
        histogram.observe(value)
    assert within(histogram, 0.5) == "100 ms"
    assert within(histogram, 0.75) == "1 s"
    assert within(histogram, 0.99) == "5 s"
    histogram.observe(60.0)
    assert within(histogram, 0.99) == "over 5 s"
