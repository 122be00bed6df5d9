"""A run as Markdown that also reads well in a terminal. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from bench.figures import Results, Sample, Scenario, median
from bench.goals import Verdict

_GAP = "\N{EN DASH}"
"""Where a table has no number."""


class About(NamedTuple):
    """Where and with what a run was made."""

    date: str
    machine: str
    system: str
    cores: str
    callers: str
    upstream: str
    rounds: int
    seconds: float
    stream_mib: int
    versions: Mapping[str, str]
    """By contender's title."""
    missing: Mapping[str, str]
    """By contender's title: what to install."""


def render(
    about: About,
    titles: Mapping[str, str],
    scenarios: Sequence[Scenario],
    results: Results,
    verdicts: Sequence[Verdict],
) -> str:
    """Everything that a run has to say. `titles`: of all contenders that took part, by key, in their order."""
    parts = [
        _about(about),
        "### Goals\n\nRatios are medians of the rounds' own ratios; in brackets the lowest and the highest round.",
        verdict_table(verdicts),
        "### Processor time\n\nMicroseconds of the contender's processes for each request, user and system.",
        _requests(titles, scenarios, results, lambda samples: number(median(_costs(samples)))),
        "### Requests a second",
        _requests(titles, scenarios, results, lambda samples: number(median(one.per_second for one in samples))),
        "### Latency\n\nMilliseconds, p50 / p99.",
        _requests(titles, scenarios, results, _latency),
        "### Memory and start\n\nResident memory in MiB; seconds from the start to the first answer with a token.",
        _lives(titles, results),
        f"### Long bodies\n\n{about.stream_mib} MiB in one body: MB/s, and seconds of processor time that it took.",
        _streams(titles, results),
    ]
    if notes := _notes(titles, results):
        parts.append("### What went wrong\n\n" + "\n".join(f"- {one}" for one in notes))
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is words, the others are numbers."""
    lines = [list(header), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    shown = [_line(lines[0], widths), "| " + " | ".join(ruler) + " |"]
    return "\n".join([*shown, *(_line(line, widths) for line in lines[1:])])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cells[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return "| " + " | ".join(padded) + " |"


def number(value: float) -> str:
    """Three digits that mean something; a gap for NaN."""
    if math.isnan(value):
        return _GAP
    if value >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    words = {True: "met", False: "missed", None: "not measured"}
    return table(
        ("goal", "wanted", "measured", "verdict"),
        ((one.goal.text, one.goal.words, _measured(one), words[one.met]) for one in verdicts),
    )


def _measured(verdict: Verdict) -> str:
    if verdict.value is None:
        return _GAP
    return f"{verdict.value:.2f}{verdict.goal.unit} ({min(verdict.rounds):.2f} to {max(verdict.rounds):.2f})"


def _costs(samples: Iterable[Sample]) -> list[float]:
    return [one.cpu_us for one in samples if one.cpu_us is not None]


def _latency(samples: Sequence[Sample]) -> str:
    if not samples:
        return _GAP
    return f"{number(median(one.p50_ms for one in samples))} / {number(median(one.p99_ms for one in samples))}"


def _requests(
    titles: Mapping[str, str],
    scenarios: Sequence[Scenario],
    results: Results,
    cell: Callable[[Sequence[Sample]], str],
) -> str:
    columns = [f"{one.title}, {one.connections}" for one in scenarios]
    rows = []
    for key, title in titles.items():
        cells = [cell(results.requests.get((one.key, key), [])) for one in scenarios]
        if set(cells) != {_GAP}:
            rows.append([title, *cells])
    return table(("request, connections", *columns), rows)


def _lives(titles: Mapping[str, str], results: Results) -> str:
    rows = []
    for key, title in titles.items():
        if lives := results.lives.get(key):
            middle = [number(median(values)) for values in zip(*lives, strict=True)]
            rows.append([title, *middle])
    return table(("", "start, s", "at rest", "after 256 connections", "with 1,000 idle ones"), rows)


def _streams(titles: Mapping[str, str], results: Results) -> str:
    rows = []
    for key, title in titles.items():
        cells = []
        for transfers in (results.down.get(key, []), results.up.get(key, [])):
            cells.append(number(median(one.mb_per_second for one in transfers)))
            cells.append(number(median(one.cpu_seconds for one in transfers)))
        if set(cells) != {_GAP}:
            rows.append([title, *cells])
    return table(("", "down, MB/s", "CPU s", "up, MB/s", "CPU s"), rows)


def _notes(titles: Mapping[str, str], results: Results) -> list[str]:
    failed = [
        f"{titles.get(contender, contender)}: {count} requests failed ({scenario})"
        for (scenario, contender), count in results.failures().items()
    ]
    return [*results.notes, *failed]


def _about(about: About) -> str:
    rounds = f"{about.rounds} round" + ("s" if about.rounds != 1 else "")
    lines = [
        f"{about.date}, on {about.machine}; {about.system}. {about.cores}",
        f"Medians of {rounds}, {about.seconds:g} s each. Requests by {about.callers}, answered by {about.upstream}.",
        "",
        *(f"- {title}: {version}" for title, version in about.versions.items()),
        *(f"- {title}: **missing**, needs {install}" for title, install in about.missing.items()),
    ]
    return "\n".join(lines)
