"""Curves: to scale, with marks at round numbers, and nothing outside of the picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bench.chart import chart
from bench.curves import WIDTH, Curve, Curves

SVG = "{http://www.w3.org/2000/svg}"
CALLS = Curve("alone & cold", [(0.0, 0.0), (1.0, 10_000.0), (2.0, 100.0)], "ours")
PANEL = Curves("Calls", "calls a second", "minutes", [CALLS, Curve("with the cache", [(0.0, 1.0), (2.0, 1.0)])])


def drawn(*panels: Curves) -> ET.Element:
    return ET.fromstring(chart("t", panels))


def points(picture: ET.Element) -> list[list[tuple[float, float]]]:
    lines = [one.get("points", "").split() for one in picture.iter(f"{SVG}polyline")]
    return [[(float(x), float(y)) for x, _, y in (spot.partition(",") for spot in line)] for line in lines]


def marks(picture: ET.Element) -> list[str]:
    return [one.text or "" for one in picture.iter(f"{SVG}text") if one.get("class") == "note"]


def test_a_line_is_to_scale_from_zero() -> None:
    (low, high, end), _ = points(drawn(PANEL))
    assert (high[0] - low[0]) == pytest.approx(end[0] - high[0], abs=0.2)
    assert (low[1] - end[1]) * 100 == pytest.approx(low[1] - high[1], abs=6)


def test_powers_of_ten_are_as_far_apart_as_each_other() -> None:
    (low, high, end), other = points(drawn(PANEL._replace(powers=True)))
    assert (low[1] - end[1]) * 2 == pytest.approx(low[1] - high[1], abs=0.2)
    assert other[0][1] == low[1], "what is less than 1 stands on the ground"


@pytest.mark.parametrize("powers", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, 7.0, 150.0, 99_999.0])
def test_everything_is_inside_the_picture(value: float, powers: bool) -> None:
    picture = drawn(PANEL._replace(curves=[Curve("one", [(3.0, value)])], limit=("quota", value / 2), powers=powers))
    height = float(picture.get("viewBox", "").split()[3])
    for x, y in [spot for line in points(picture) for spot in line]:
        assert 0 < x < WIDTH
        assert 40 < y < height
    assert max(float(mark.replace(",", "")) for mark in marks(picture)[1:]) >= value


def test_marks_are_round_numbers_and_few() -> None:
    assert marks(drawn(PANEL))[1:] == [
        "0",
        "2,000",
        "4,000",
        "6,000",
        "8,000",
        "10,000",
        "0",
        "0.5",
        "1",
        "1.5",
        "2",
    ]
    assert marks(drawn(PANEL._replace(powers=True)))[1:6] == ["1", "10", "100", "1,000", "10,000"]


def test_names_and_the_limit_are_in_the_legend() -> None:
    picture = drawn(PANEL._replace(limit=("quota", 150.0)))
    names = [one.text for one in picture.iter(f"{SVG}text") if one.get("class") == "name"]
    assert names == ["alone & cold", "with the cache", "quota"]
    limits = [one for one in picture.iter(f"{SVG}line") if one.get("class") == "limit"]
    assert len(limits) == 2, "the line, and its sample in the legend"


def test_a_panel_without_points_takes_no_room() -> None:
    empty = PANEL._replace(curves=[Curve("nothing", [])])
    assert chart("t", [PANEL, empty]) == chart("t", [PANEL])
