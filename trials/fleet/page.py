"""docs/scaling.md: prose that people write, and between markers the tables that the simulation writes; its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.page import DOCS, replaced
from bench.tables import table
from proxy.version import __version__
from trials.fleet.cases import Row, Section
from trials.fleet.charts import CHARTS
from trials.fleet.ledger import Outcome

SEED: Final = 1
"""Of what is in the page."""
PAGE: Final = DOCS / "scaling.md"


def markers(key: str) -> tuple[str, str]:
    return f"<!-- {key}: written by `make fleet`, not by hand -->", f"<!-- end of {key} -->"


def line_of(row: Row, outcomes: Mapping[str, Outcome]) -> list[str]:
    return [row.title, *row.cells([outcomes[case.name] for case in row.cases])]


def table_of(section: Section, outcomes: Mapping[str, Outcome]) -> str:
    return table(section.header, [line_of(row, outcomes) for row in section.rows])


def version_of(seed: int) -> str:
    return f"cognito-sidecar {__version__}, seed {seed}."


def write(sections: Sequence[Section], outcomes: Mapping[str, Outcome], page: Path = PAGE) -> None:
    """Put these tables into the page, and draw beside it the charts of which all is there."""
    text = page.read_text(encoding="utf-8")
    parts = {section.key: table_of(section, outcomes) for section in sections}
    for key, part in (parts | {"version": version_of(SEED)}).items():
        begin, end = markers(key)
        text = replaced(text, part, begin=begin, end=end)
    page.write_text(text, encoding="utf-8")
    for name, one in CHARTS.items():
        if one.cases <= outcomes.keys():
            (page.parent / name).write_text(one.draw(outcomes), encoding="utf-8")
