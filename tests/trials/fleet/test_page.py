"""docs/scaling.md is of the present rules: what takes little time is run again and compared with what it says."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.tables import table
from trials.fleet import page
from trials.fleet.cases import CASES, SECTIONS, Row
from trials.fleet.charts import CHARTS
from trials.fleet.ledger import Outcome
from trials.fleet.world import run

QUICK = 16_000
"""Renewals, or about a second."""
STALE = "docs/scaling.md is of other rules or cases: run `make fleet`"


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=f"{section.key}: {row.title}")
        for section in SECTIONS
        for row in section.rows
        if row.events < QUICK
    ],
)
def test_the_page_says_what_comes_of_it(row: Row) -> None:
    outcomes = {case.name: run(case, page.SEED) for case in row.cases}
    written = [cells_of(line) for line in page.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert page.line_of(row, outcomes) in written, STALE


def test_every_table_of_the_page_has_the_rows_that_there_are() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for section in SECTIONS:
        begin, end = page.markers(section.key)
        lines = text.partition(begin)[2].partition(end)[0].strip().splitlines()
        assert cells_of(lines[0]) == list(section.header), STALE
        assert [cells_of(line)[0] for line in lines[2:]] == [row.title for row in section.rows], STALE


def test_the_page_says_whose_it_is() -> None:
    assert page.version_of(page.SEED) in page.PAGE.read_text(encoding="utf-8"), STALE


def test_each_chart_of_the_page_is_there() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for name in CHARTS:
        assert f"]({name})" in text
        assert ET.fromstring((page.PAGE.parent / name).read_text(encoding="utf-8")).tag.endswith("svg")


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for section in SECTIONS for row in section.rows for case in row.cases]
    assert len(names) == len(set(names)) == len(CASES)


def made_up(seconds: int = 6000) -> Outcome:
    by_second = [second % 7 for second in range(seconds)]
    return Outcome(1, 1, 0, 1, 1.0, 0.0, 0.0, [0.2], 0, 0, by_second, by_second)


def test_a_section_is_written_with_the_charts_that_it_makes(tmp_path: Path) -> None:
    copy = Path(shutil.copy(page.PAGE, tmp_path))
    sections = [section for section in SECTIONS if section.key in ("start", "settings")]
    outcomes = {case.name: made_up() for section in sections for row in section.rows for case in row.cases}
    page.write(sections, outcomes, copy)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["scaling-start.svg", "scaling.md"]
    text = copy.read_text(encoding="utf-8")
    for section in sections:
        assert table(section.header, [page.line_of(row, outcomes) for row in section.rows]) in text
    begin, end = page.markers("month")
    kept = page.PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    assert kept in text


def test_all_charts_can_be_drawn() -> None:
    outcomes = {name: made_up() for name in CASES}
    for name, one in CHARTS.items():
        assert one.cases <= CASES.keys(), name
        drawn = ET.fromstring(one.draw(outcomes))
        assert drawn.tag.endswith("svg")
