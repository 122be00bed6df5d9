"""The records of a round and the verdict on them, for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from trials.caller import Outcome
from trials.chaos.invariants import Breach, Invariant
from trials.chaos.records import Records

SHOWN = 5
"""Breaches of one invariant that are told in full."""


def render(records: Records, verdict: Mapping[Invariant, Sequence[Breach]]) -> str:
    """Counts, readings, and each invariant with `ok` or what breaks it. (The timeline was told while it happened.)"""
    return "\n".join([*_counts(records), *_health(records), "", *_verdict(verdict)])


def broken(verdict: Mapping[Invariant, Sequence[Breach]]) -> bool:
    return any(verdict.values())


def _counts(records: Records) -> list[str]:
    outcomes = Counter(_word(one) for one in records.outcomes)
    arrivals = Counter(one.verdict for one in records.arrivals)
    twice = sum(count > 1 for count in Counter(one.id for one in records.passages).values())
    return [
        f"{len(records.outcomes):,} requests: {_listed(outcomes)}",
        f"{len(records.arrivals):,} arrivals: {_listed(arrivals)}; {twice} sent more than once",
    ]


def _word(one: Outcome) -> str:
    """One outcome in a word or two."""
    if one.end != "whole":
        return one.end
    return one.error or str(one.status)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


def _health(records: Records) -> list[str]:
    lines = []
    took = [probe.seconds for probe in records.probes if probe.seconds is not None]
    if took:
        lines.append(f"well again after {max(took):.1f} s at most ({len(took)} of {len(records.probes)} probes)")
    if records.before is not None and records.after is not None and records.before is not records.after:
        for name, readings in (("before", records.before), ("after", records.after)):
            lines.append(
                f"{name:>6}: {readings.tasks} tasks, {readings.open_fds} descriptors, "
                f"{readings.resident_bytes / 2**20:.1f} MiB, {readings.caller_connections} caller connections, "
                f"{readings.idle + readings.busy} upstream connections"
            )
    if records.ending is not None:
        lines.append(f"exit code {records.ending.code}, {records.ending.seconds:.1f} s after SIGTERM")
    return lines


def _verdict(verdict: Mapping[Invariant, Sequence[Breach]]) -> list[str]:
    lines = []
    for invariant, breaches in verdict.items():
        meaning = " ".join((invariant.__doc__ or "").split("\n\n")[0].split())
        lines.append(f"{'ok    ' if not breaches else 'BROKEN'} {meaning}")
        lines += [f"         {breach}" for breach in breaches[:SHOWN]]
        if len(breaches) > SHOWN:
            lines.append(f"         and {len(breaches) - SHOWN} more")
    return lines
