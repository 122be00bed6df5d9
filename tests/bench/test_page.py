"""The page of results: what people wrote stays, what was measured before goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import page
from bench.figures import Life, Results, Sample

PROSE = f"# Performance\n\nWhy.\n\n{page.BEGIN}\n\nold figures\n\n{page.END}\n\n## Profile\n\nWhere.\n"


def test_only_the_generated_part_is_replaced() -> None:
    new = page.replaced(PROSE, "\nnew figures\n")
    assert new == PROSE.replace("old figures", "new figures")
    assert page.replaced(new, "new figures") == new


@pytest.mark.parametrize(
    "broken",
    [
        "# Performance\n",
        PROSE.replace(page.END, ""),
        PROSE + page.BEGIN,
        f"{page.END}\n{page.BEGIN}",
    ],
)
def test_a_page_without_its_markers_is_not_written_over(broken: str) -> None:
    with pytest.raises(ValueError, match="two markers"):
        page.replaced(broken, "new figures")


def test_the_page_in_docs_has_its_markers() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert "new figures" in page.replaced(text, "new figures")


def results() -> Results:
    found = Results(lives={"sidecar": [Life(0.4, 40.0, 50.0, 60.0)]})
    for connections, costs in ((1, (60.0, 50.0)), (16, (40.0, 30.0)), (256, (45.0, 70.0))):
        for contender, cost in zip(("sidecar", "go"), costs, strict=True):
            found.requests[f"bare-{connections}", contender] = [Sample(1.0, cost / 100, 9.0, cost)]
    return found


def test_the_chart_shows_the_best_first_and_only_what_was_measured() -> None:
    panels = page.panels({"sidecar": "cognito-sidecar", "envoy": "Envoy", "go": "Go"}, results())
    shown = [[(bar.name, bar.value) for bar in panel.bars] for panel in panels]
    assert shown == [
        [("Go", 30.0), ("cognito-sidecar", 40.0)],
        [("cognito-sidecar", 45.0), ("Go", 70.0)],
        [("Go", 0.5), ("cognito-sidecar", 0.6)],
        [("cognito-sidecar", 50.0)],
    ]
    assert [bar.name for panel in panels for bar in panel.bars if bar.ours] == ["cognito-sidecar"] * 4


def test_a_run_is_written_with_its_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "CHART", tmp_path / "performance.svg")
    page.PAGE.write_text(PROSE, encoding="utf-8")
    page.write("new figures\n", {"sidecar": "cognito-sidecar"}, results())
    written = page.PAGE.read_text(encoding="utf-8")
    assert "(performance.svg)\n\nnew figures\n" in written
    assert written.endswith("Where.\n")
    assert page.CHART.read_text(encoding="utf-8").startswith("<svg ")
