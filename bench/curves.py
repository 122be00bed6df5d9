"""Curves over time for a chart: a panel of lines, on an even scale or on one of powers of ten. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 760
MARGIN: Final = 20
_LEFT: Final = 72
"""Where the plot begins: what is before is for the numbers of the scale."""
_PLOT: Final = 170
_HEAD: Final = 40
_LEGEND: Final = 20
_FOOT: Final = 26

Scale = Callable[[float], float]
"""A value to its share of the way, from 0 at the low end of the scale to 1 at its high end."""


class Curve(NamedTuple):
    """One line, at the times of its points. `style` is `ours`, `other` or `third`: a colour on either ground."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str = "other"


class Curves(NamedTuple):
    """A panel with one or more lines that share a scale, and a limit as a dashed line where there is one."""

    title: str
    unit: str
    across: str
    """What the horizontal axis counts: `minutes after the start`."""
    curves: Sequence[Curve]
    limit: tuple[str, float] | None = None
    """Its name and its value."""
    powers: bool = False
    """The scale goes by powers of ten, from 1 upward; what is less stands on its ground."""

    @property
    def shown(self) -> bool:
        return any(curve.points for curve in self.curves)

    @property
    def height(self) -> int:
        return _HEAD + _PLOT + _FOOT + _LEGEND

    def draw(self, y: int) -> str:
        times = [time for curve in self.curves for time, _ in curve.points]
        values = [value for curve in self.curves for _, value in curve.points] + [self.limit[1] if self.limit else 0.0]
        first, last = min(times), max(times)
        along = _even(first, last if last > first else first + 1.0)
        upward, marks = _powers(max(values)) if self.powers else _steps(max(values))
        top, bottom, right = y + _HEAD, y + _HEAD + _PLOT, WIDTH - MARGIN
        width = right - _LEFT

        def spot(time: float, value: float) -> str:
            return f"{_LEFT + width * along(time):.1f},{bottom - _PLOT * upward(value):.1f}"

        scales = f"{self.unit}, by {self.across}"
        lines = [
            f'<text class="head" x="{MARGIN}" y="{y + 16}">{escape(self.title)}</text>',
            f'<text class="note" x="{right}" y="{y + 16}" text-anchor="end">{escape(scales)}</text>',
        ]
        for mark in marks:
            level = bottom - _PLOT * upward(mark)
            lines += [
                f'<line class="axis" x1="{_LEFT}" y1="{level:.1f}" x2="{right}" y2="{level:.1f}"/>',
                f'<text class="note" x="{_LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{mark:,.10g}</text>',
            ]
        for time in _ticks(first, last):
            place = f'x="{_LEFT + width * along(time):.1f}" y="{bottom + 18}"'
            lines.append(f'<text class="note" {place} text-anchor="{_anchor(along(time))}">{time:,.10g}</text>')
        for curve in (one for one in self.curves if one.points):
            path = " ".join(spot(*point) for point in curve.points)
            lines.append(f'<polyline class="line {curve.style}" points="{path}"/>')
        if self.limit is not None:
            level = bottom - _PLOT * upward(self.limit[1])
            lines.append(f'<line class="limit" x1="{_LEFT}" y1="{level:.1f}" x2="{right}" y2="{level:.1f}"/>')
        lines.append(self._legend(top + _PLOT + _FOOT + 12))
        return "\n".join(lines)

    def _legend(self, y: int) -> str:
        entries = [(curve.name, f"line {curve.style}") for curve in self.curves if curve.points]
        if self.limit is not None:
            entries.append((self.limit[0], "limit"))
        room = (WIDTH - MARGIN - _LEFT) / len(entries)
        lines = []
        for place, (name, style) in enumerate(entries):
            x = _LEFT + room * place
            lines += [
                f'<line class="{style}" x1="{x:.0f}" y1="{y - 4}" x2="{x + 22:.0f}" y2="{y - 4}"/>',
                f'<text class="name" x="{x + 28:.0f}" y="{y}">{escape(name)}</text>',
            ]
        return "\n".join(lines)


def _even(low: float, high: float) -> Scale:
    return lambda value: (value - low) / (high - low)


def _steps(highest: float) -> tuple[Scale, list[float]]:
    """An even scale from zero, with three to six marks at round numbers."""
    step = _round_step(highest or 1.0)
    count = max(1, math.ceil((highest or 1.0) / step - 1e-9))
    return _even(0.0, step * count), [step * mark for mark in range(count + 1)]


def _powers(highest: float) -> tuple[Scale, list[float]]:
    """A scale of powers of ten from 1, with a mark at each."""
    count = max(1, math.ceil(math.log10(max(highest, 1.0)) - 1e-9))
    return lambda value: math.log10(max(value, 1.0)) / count, [10.0**mark for mark in range(count + 1)]


def _ticks(first: float, last: float) -> list[float]:
    step = _round_step(last - first or 1.0)
    begin = math.ceil(first / step - 1e-9)
    return [step * mark for mark in range(begin, math.floor(last / step + 1e-9) + 1)]


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that a span has three to six of them."""
    power = 10.0 ** math.floor(math.log10(span / 3))
    return next(step for step in (power * factor for factor in (1, 2, 5, 10)) if span / step <= 6)


def _anchor(share: float) -> str:
    return "start" if share < 0.02 else "end" if share > 0.98 else "middle"
