"""Rows of the table, the table as Markdown, the chart, and the verdict. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Final, NamedTuple

from bench.chart import chart
from bench.curves import Curve, Curves
from trials.soak.growth import WARM_UP, Allowance, growth

MIB: Final = 2**20


class Row(NamedTuple):
    """One interval. Readings are medians over it."""

    minute: float
    """At its end, since the start."""
    requests: int
    """In it, of all callers."""
    p50: float
    """Milliseconds of the small requests in it, like the next."""
    p99: float
    memory: float
    """MiB."""
    descriptors: float
    other: float
    """Descriptors that are no connection's, with callers or upstreams."""
    tasks: float
    callers: float
    """Connections of callers."""
    upstreams: float
    """Connections to the upstream."""
    wrong: int
    """Answers that were not as they should be."""


JUDGED: Final[dict[str, tuple[Callable[[Row], float], Allowance]]] = {
    "memory": (lambda row: row.memory, Allowance(1.5, 0.02)),
    "descriptors besides connections": (lambda row: row.other, Allowance(2.0)),
    "connections": (lambda row: row.callers + row.upstreams, Allowance(10.0)),
    "tasks": (lambda row: row.tasks, Allowance(4.0)),
}
"""What must not grow, and how much of a rise is still none. How many connections there are at a moment depends on how
fast the machine is, as response times do, which are not judged at all; at the end none may be left."""

HEADER: Final = (
    "|  minute |  requests |  p50 ms |  p99 ms | memory MiB | files | other | tasks | callers | upstreams | wrong |\n"
    "|--------:|----------:|--------:|--------:|-----------:|------:|------:|------:|--------:|----------:|------:|"
)


def line(row: Row) -> str:
    """A row as it is printed, one of a Markdown table."""
    return (
        f"| {row.minute:>7.1f} | {row.requests:>9,} | {row.p50:>7.1f} | {row.p99:>7.1f} "
        f"| {row.memory:>10.1f} | {row.descriptors:>5.0f} | {row.other:>5.0f} | {row.tasks:>5.0f} "
        f"| {row.callers:>7.0f} | {row.upstreams:>9.0f} | {row.wrong:>5} |"
    )


def table(rows: Sequence[Row]) -> str:
    return "\n".join([HEADER, *map(line, rows)]) + "\n"


def verdict(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """What to say of each series, and of those what is a fault."""
    said, faults = [], []
    for name, (value, allowance) in JUDGED.items():
        found = growth([(row.minute, value(row)) for row in rows], allowance)
        words = f"{name}: {found.level:.1f}, {found.rise:+.1f} after the warm-up, {found.allowed:.1f} allowed"
        said.append(words)
        if found.too_much:
            faults.append(f"grows: {words}")
    if wrong := sum(row.wrong for row in rows):
        faults.append(f"{wrong} answers were not as they should be")
    return said, faults


def draw(rows: Sequence[Row]) -> str:
    """The chart, as SVG."""
    across = "minutes"

    def curve(name: str, value: Callable[[Row], float], style: str = "ours") -> Curve:
        points = [(row.minute, value(row)) for row in rows]
        return Curve(name, [point for point in points if isfinite(point[1])], style)

    return chart(
        f"{rows[-1].minute:.0f} minutes of mixed traffic: memory, descriptors and response times",
        [
            Curves("Resident memory", "MiB", across, [curve("memory", lambda row: row.memory)]),
            Curves(
                "Descriptors and connections",
                "count",
                across,
                [
                    curve("descriptors", lambda row: row.descriptors),
                    curve("callers' connections", lambda row: row.callers, "other"),
                    curve("upstreams' connections", lambda row: row.upstreams, "third"),
                ],
            ),
            Curves(
                "Response times of small requests",
                "milliseconds",
                across,
                [curve("p99", lambda row: row.p99), curve("p50", lambda row: row.p50, "other")],
            ),
        ],
    )


WARMED_UP: Final = f"The first {WARM_UP:.0%} of the time are the warm-up."
