"""The charts of docs/: panels of bars or of curves as SVG, readable on light and on dark pages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from bench.curves import MARGIN, WIDTH, Curves
from bench.tables import number

_SPACE = 'xmlns="http://www.w3.org/2000/svg"'
_LEFT = 232
"""Where bars begin: what is before is for names."""
_RIGHT = 96
"""What is after the longest bar is for its number."""
_ROW = 26
_BAR = 16
_HEAD = 44
_GAP = 18

# Text and bars have at least the contrast that WCAG asks for, on either ground.
_STYLE = """
  .ground { fill: #ffffff } .name, .value, .head { fill: #24292f } .note { fill: #57606a }
  .bar { fill: #8c959f } .bar.ours { fill: #0969da } .axis { stroke: #d0d7de } .limit { stroke: #cf222e }
  .line { stroke: #6e7781 } .line.ours { stroke: #0969da } .line.third { stroke: #9a6700 }
  .line, .limit { fill: none; stroke-width: 2; stroke-linejoin: round } .limit { stroke-dasharray: 6 4 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif } .head { font-weight: 600; font-size: 14px }
  .strong { font-weight: 600 } .value { font-variant-numeric: tabular-nums }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .name, .value, .head { fill: #e6edf3 } .note { fill: #9198a1 }
    .bar { fill: #6e7681 } .bar.ours { fill: #4493f8 } .axis { stroke: #30363d } .limit { stroke: #f85149 }
    .line { stroke: #9198a1 } .line.ours { stroke: #4493f8 } .line.third { stroke: #d29922 }
  }"""


class Bar(NamedTuple):
    name: str
    value: float
    ours: bool = False


class Panel(NamedTuple):
    """One question and its bars, the shortest of which is the best. Its scale begins at zero."""

    title: str
    unit: str
    bars: Sequence[Bar]

    @property
    def shown(self) -> bool:
        return bool(self.bars)

    @property
    def height(self) -> int:
        return _HEAD + _ROW * len(self.bars)

    def draw(self, y: int) -> str:
        longest = max(bar.value for bar in self.bars) or 1.0
        space = WIDTH - _LEFT - _RIGHT
        lines = [
            f'<text class="head" x="{MARGIN}" y="{y + 16}">{escape(self.title)}</text>',
            f'<text class="note" x="{WIDTH - MARGIN}" y="{y + 16}" text-anchor="end">{escape(self.unit)}</text>',
            f'<line class="axis" x1="{_LEFT}" y1="{y + _HEAD - 8}" x2="{_LEFT}" y2="{y + self.height - 10}"/>',
        ]
        for row, bar in enumerate(self.bars):
            top = y + _HEAD + row * _ROW
            width = max(1.0, space * bar.value / longest)
            strong, ours = (" strong", " ours") if bar.ours else ("", "")
            name = escape(bar.name)
            lines += [
                f'<text class="name{strong}" x="{_LEFT - 10}" y="{top + 5}" text-anchor="end">{name}</text>',
                f'<rect class="bar{ours}" x="{_LEFT}" y="{top - 8}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
                f'<text class="value{strong}" x="{_LEFT + width + 8:.1f}" y="{top + 5}">{number(bar.value)}</text>',
            ]
        return "\n".join(lines)


def chart(title: str, panels: Sequence[Panel | Curves]) -> str:
    """A whole SVG document. `title` is read out to those who do not see it; panels without anything are left out."""
    y = MARGIN
    drawn = []
    for panel in panels:
        if panel.shown:
            drawn.append(panel.draw(y))
            y += panel.height + _GAP
    height = y - _GAP + MARGIN
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
