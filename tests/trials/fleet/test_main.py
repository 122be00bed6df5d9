"""`python -m trials.fleet`: tables as they come, and the page only for its own seed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trials.fleet import __main__ as program
from trials.fleet import page
from trials.fleet.cases import SECTIONS


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One table with one row, which takes no time."""
    (section,) = (section for section in SECTIONS if section.key == "start")
    monkeypatch.setattr(program, "SECTIONS", [section._replace(rows=section.rows[:1])])


@pytest.mark.parametrize("section", [[], ["start"]])
@pytest.mark.parametrize(("seed", "written"), [(page.SEED, True), (page.SEED + 1, False)])
def test_the_page_is_of_one_seed(
    small: None,
    section: list[str],
    seed: int,
    written: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages: list[Path] = []
    monkeypatch.setattr(page, "write", lambda sections, outcomes: pages.append(page.PAGE))
    monkeypatch.setattr(sys, "argv", ["fleet", *section, "--seed", str(seed), "--jobs", "1"])
    assert program.main() == 0
    out, err = capsys.readouterr()
    assert "10 within a second, alone" in out
    assert (bool(pages), "Not written" in err) == (written, not written)
