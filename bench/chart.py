"""The chart of docs/performance.md: bars as SVG, readable on light and on dark pages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 760
_SPACE = 'xmlns="http://www.w3.org/2000/svg"'
_LEFT = 232
"""Where bars begin: what is before is for names."""
_RIGHT = 96
"""What is after the longest bar is for its number."""
_ROW = 26
_BAR = 16
_HEAD = 44
_GAP = 18
_MARGIN = 20

# Text and bars have at least the contrast that WCAG asks for, on either ground.
_STYLE = """
  .ground { fill: #ffffff } .name, .value, .head { fill: #24292f } .note { fill: #57606a }
  .bar { fill: #8c959f } .ours { fill: #0969da } .axis { stroke: #d0d7de }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif } .head { font-weight: 600; font-size: 14px }
  .strong { font-weight: 600 } .value { font-variant-numeric: tabular-nums }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .name, .value, .head { fill: #e6edf3 } .note { fill: #9198a1 }
    .bar { fill: #6e7681 } .ours { fill: #4493f8 } .axis { stroke: #30363d }
  }"""


class Bar(NamedTuple):
    name: str
    value: float
    ours: bool = False


class Panel(NamedTuple):
    """One question and its bars, the shortest of which is the best."""

    title: str
    unit: str
    bars: Sequence[Bar]


def chart(title: str, panels: Sequence[Panel]) -> str:
    """A whole SVG document. `title` is read out to those who do not see it; panels without bars are left out."""
    shown = [panel for panel in panels if panel.bars]
    y = _MARGIN
    drawn = []
    for panel in shown:
        drawn.append(_panel(panel, y))
        y += _HEAD + _ROW * len(panel.bars) + _GAP
    height = y - _GAP + _MARGIN
    return "\n".join(
        [
            f'<svg {_SPACE} viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
            f'<title id="title">{escape(title)}</title>',
            f"<style>{_STYLE}\n</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, y: int) -> str:
    """Each panel has its own scale, which begins at zero."""
    longest = max(bar.value for bar in panel.bars) or 1.0
    space = WIDTH - _LEFT - _RIGHT
    bottom = y + _HEAD + _ROW * len(panel.bars) - 10
    lines = [
        f'<text class="head" x="{_MARGIN}" y="{y + 16}">{escape(panel.title)}</text>',
        f'<text class="note" x="{WIDTH - _MARGIN}" y="{y + 16}" text-anchor="end">{escape(panel.unit)}</text>',
        f'<line class="axis" x1="{_LEFT}" y1="{y + _HEAD - 8}" x2="{_LEFT}" y2="{bottom}"/>',
    ]
    for row, bar in enumerate(panel.bars):
        top = y + _HEAD + row * _ROW
        width = max(1.0, space * bar.value / longest)
        strong, ours = (" strong", " ours") if bar.ours else ("", "")
        lines += [
            f'<text class="name{strong}" x="{_LEFT - 10}" y="{top + 5}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="bar{ours}" x="{_LEFT}" y="{top - 8}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
            f'<text class="value{strong}" x="{_LEFT + width + 8:.1f}" y="{top + 5}">{_number(bar.value)}</text>',
        ]
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
