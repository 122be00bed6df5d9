"""The chart: well-formed, to scale, and readable on either ground."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from bench.chart import Bar, Panel, chart
from bench.curves import WIDTH

SVG = "{http://www.w3.org/2000/svg}"
PANEL = Panel("CPU per request", "µs", [Bar("ours & mine", 20.0, ours=True), Bar("theirs", 80.0)])


def bars(drawn: ET.Element) -> list[ET.Element]:
    return [one for one in drawn.iter(f"{SVG}rect") if "bar" in one.get("class", "").split()]


def test_bars_are_to_scale_from_zero() -> None:
    ours, theirs = bars(ET.fromstring(chart("t", [PANEL])))
    assert float(theirs.get("width", "")) == 4 * float(ours.get("width", ""))
    assert ours.get("class") == "bar ours"


def test_names_and_numbers_are_text() -> None:
    drawn = ET.fromstring(chart("What it costs", [PANEL]))
    texts = [one.text for one in drawn.iter(f"{SVG}text")]
    assert texts == ["CPU per request", "µs", "ours & mine", "20.0", "theirs", "80.0"]
    assert drawn.findtext(f"{SVG}title") == "What it costs"


def test_everything_is_inside_the_picture() -> None:
    drawn = ET.fromstring(chart("t", [PANEL, PANEL._replace(bars=[Bar("one", 0.0)])]))
    height = float(drawn.get("viewBox", "").split()[3])
    for one in bars(drawn):
        assert float(one.get("x", "")) + float(one.get("width", "")) < WIDTH
        assert float(one.get("y", "")) + float(one.get("height", "")) < height


def test_a_panel_without_bars_takes_no_room() -> None:
    assert chart("t", [PANEL, Panel("nothing", "s", [])]) == chart("t", [PANEL])


def test_every_colour_has_one_for_the_dark() -> None:
    style = chart("t", [PANEL]).partition("<style>")[2].partition("</style>")[0]
    light, found, dark = style.partition("@media (prefers-color-scheme: dark)")
    assert found
    coloured = re.compile(r"([^{}]+)\{[^{}]*#[0-9a-f]{6}")
    assert re.findall(r"\.\w+", " ".join(coloured.findall(light))) == re.findall(
        r"\.\w+", " ".join(coloured.findall(dark))
    )
