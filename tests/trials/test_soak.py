"""What a soak takes for growth, and what it prints and draws."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.healthy import Served, Service
from trials.readings import Readings
from trials.soak.__main__ import _interval, _options
from trials.soak.growth import WARM_UP, Allowance, Growth, after_warm_up, growth
from trials.soak.play import make_row
from trials.soak.report import MIB, Row, draw, line, table, verdict

ANY = Allowance(0.0)
ROW = Row(1.0, 30_000, 2.0, 20.0, 60.0, 40.0, 17.0, 3.0, 14.0, 9.0, 0)
READINGS = Readings(0.0, 3, 40, 60 * MIB, 14, 4, 5, 6, 0)


def _noisy(slope: float, *, level: float = 60.0, count: int = 60) -> list[tuple[float, float]]:
    """A reading each minute, of which every seventh is far off."""
    draw = Random(7)
    return [
        (minute, level + slope * minute + draw.uniform(-0.3, 0.3) + 20 * (minute % 7 == 0))
        for minute in range(1, count + 1)
    ]


# Growth.


@pytest.mark.parametrize(("slope", "rise"), [(0.0, 0.0), (0.1, 4.4), (-0.1, -4.4)])
def test_the_trend_shows_through_noise_and_outliers(slope: float, rise: float) -> None:
    assert growth(_noisy(slope), ANY).rise == pytest.approx(rise, abs=0.3)


def test_what_rises_in_the_warm_up_alone_does_not_grow() -> None:
    points = [(float(minute), min(60.0, 20.0 + 5.0 * minute)) for minute in range(1, 61)]
    assert growth(points, ANY) == Growth(60.0, 0.0, 0.0)
    assert growth(points[:10], ANY).rise > 0


def test_the_warm_up_is_a_share_of_the_time() -> None:
    points = [(float(minute), 0.0) for minute in range(1, 13)]
    assert WARM_UP == 0.25
    assert [minute for minute, _ in after_warm_up(points)] == [4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert after_warm_up([]) == []


@pytest.mark.parametrize(
    ("allowance", "too_much"),
    [(Allowance(5.0), False), (Allowance(4.0), True), (Allowance(0.0, 0.2), False), (Allowance(0.0, 0.01), True)],
)
def test_a_rise_is_allowed_by_size_or_by_share(allowance: Allowance, too_much: bool) -> None:
    assert growth(_noisy(0.1), allowance).too_much is too_much


def test_of_too_few_readings_nothing_is_said() -> None:
    with pytest.raises(ValueError, match="too few"):
        growth(_noisy(0.0, count=5), ANY)


@given(st.lists(st.floats(0, 1000), min_size=8, max_size=30), st.floats(0, 100))
def test_a_leak_adds_what_it_leaves(values: list[float], slope: float) -> None:
    points = [(float(minute), value) for minute, value in enumerate(values)]
    leaking = [(minute, value + slope * minute) for minute, value in points]
    late = after_warm_up(points)
    expected = growth(points, ANY).rise + slope * (late[-1][0] - late[0][0])
    assert growth(leaking, ANY).rise == pytest.approx(expected, abs=1e-6)


# The report.


def _rows(**last: float) -> list[Row]:
    """Ten that are alike, but for the later half: by `last`, and more by each row."""
    changes = [{name: getattr(ROW, name) + by * max(0, index - 4) for name, by in last.items()} for index in range(10)]
    return [ROW._replace(minute=float(index), **change) for index, change in enumerate(changes)]


def test_what_stays_as_it_is_is_no_fault() -> None:
    said, faults = verdict(_rows())
    assert said[0] == "memory: 60.0, +0.0 after the warm-up, 1.5 allowed"
    assert faults == []


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({"memory": 1.0}, "grows: memory"),
        ({"other": 1.0}, "grows: descriptors besides connections"),
        ({"callers": 3.0}, "grows: connections"),
        ({"upstreams": 3.0}, "grows: connections"),
        ({"tasks": 2.0}, "grows: tasks"),
    ],
)
def test_what_grows_is_a_fault(change: dict[str, float], begins: str) -> None:
    [fault] = verdict(_rows(**change))[1]
    assert fault.startswith(begins)


def test_response_times_are_told_and_not_judged() -> None:
    assert verdict(_rows(p50=100.0, p99=1000.0, requests=-1000.0))[1] == []


def test_a_wrong_answer_is_a_fault() -> None:
    assert verdict([*_rows()[:-1], ROW._replace(minute=9.0, wrong=2)])[1] == ["2 answers were not as they should be"]


def test_the_table_is_even_and_has_every_row() -> None:
    lines = table([ROW, ROW._replace(minute=60.0, requests=1_234_567, p99=1234.5, memory=161.25)]).splitlines()
    assert len(lines) == 4
    assert len({len(one) for one in lines}) == 1
    assert lines[2] == line(ROW)


def test_the_chart_has_a_curve_for_each_figure() -> None:
    rows = [ROW, ROW._replace(minute=2.0), ROW._replace(minute=3.0, p50=float("inf"), p99=float("inf"))]
    drawn = ET.fromstring(draw(rows))
    curves = [one.get("points", "") for one in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(points.split()) for points in curves] == [3, 3, 3, 3, 2, 2]


# Rows.


def test_a_row_has_the_medians_of_its_interval() -> None:
    kept = Service(100, 0.002, 0.02, Counter({"cut": 1}))
    readings = [READINGS, READINGS._replace(resident_bytes=90 * MIB, open_fds=99), READINGS]
    row = make_row(1.0, Served(kept, Service(50, 0.1, 0.1, Counter())), readings, asked=29_850, wrong=2)
    assert row == ROW._replace(wrong=3)


def test_whoever_soaks_for_too_short_is_told() -> None:
    assert (_interval(60.0), _interval(2.0)) == (60.0, 10.0)
    assert _options().parse_args(["--minutes", "0.5"]).minutes == 0.5
    with pytest.raises(SystemExit):
        _options().parse_args(["--minutes", "0.2"])
