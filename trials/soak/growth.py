"""Whether something grows: a trend through readings, of which some are always out of line. Pure.

The trend is the median of the slopes between all pairs of readings (Theil and Sen): a garbage collection here and a
large answer there do not move it, while something that is left behind again and again does.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

Point = tuple[float, float]
"""A time and a reading."""

WARM_UP: Final = 0.25
"""Share of the time in which everything is made that is made once: caches, pools, the allocator's own."""
FEWEST: Final = 5
"""Readings after the warm-up, without which nothing can be said."""


class Allowance(NamedTuple):
    """How much a series may rise from the end of the warm-up to the end."""

    least: float
    """In any case."""
    share: float = 0.0
    """Of the level, if that is more."""


class Growth(NamedTuple):
    """What became of one series after the warm-up."""

    level: float
    """Its median."""
    rise: float
    """From the end of the warm-up to the end, by the trend."""
    allowed: float

    @property
    def too_much(self) -> bool:
        return self.rise > self.allowed


def growth(points: Sequence[Point], allowance: Allowance) -> Growth:
    """The growth of a series in the order of its times. Raises ValueError for one that is too short."""
    late = after_warm_up(points)
    if len(late) < FEWEST:
        raise ValueError(f"{len(late)} readings after the warm-up are too few: {FEWEST} are needed")
    slopes = [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in combinations(late, 2)]
    level = statistics.median(value for _, value in late)
    rise = statistics.median(slopes) * (late[-1][0] - late[0][0])
    return Growth(level, rise, max(allowance.least, allowance.share * level))


def after_warm_up(points: Sequence[Point]) -> list[Point]:
    """The readings that count."""
    if not points:
        return []
    first, last = points[0][0], points[-1][0]
    begin = first + WARM_UP * (last - first)
    return [point for point in points if point[0] > begin]
