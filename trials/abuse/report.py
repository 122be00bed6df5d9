"""What a trial of abuse prints, and what of it is a fault. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from trials.healthy import Served, Service
from trials.readings import Readings

HEADER: Final = (
    f"{'':<36} {'conns':>6} {'upstr':>6} {'files':>6} {'memory':>10} {'each':>10}   "
    f"{'kept: p50':>10} {'p99':>10}   {'new: p50':>10} {'p99':>10}   answers"
)


class Row(NamedTuple):
    """One step: who is there, what the sidecar uses for them, what healthy callers get meanwhile."""

    title: str
    readings: Readings
    served: Served
    more: int = 0
    """Connections that came in this step."""
    took: int = 0
    """Bytes of memory that came in this step."""


def line(row: Row) -> str:
    """A row as it is printed."""
    used, kept, new = row.readings, row.served.kept, row.served.new
    each = f"{row.took / row.more / 1024:.1f} KiB" if row.more else ""
    wrong = ", ".join(f"{count} {word}" for word, count in (kept.wrong + new.wrong).most_common())
    return (
        f"{row.title:<36} {used.caller_connections:>6} {used.busy + used.idle:>6} {used.open_fds:>6} "
        f"{used.resident_bytes / 2**20:>6.1f} MiB {each:>10}   {_milliseconds(kept.p50):>10} "
        f"{_milliseconds(kept.p99):>10}   {_milliseconds(new.p50):>10} {_milliseconds(new.p99):>10}   "
        f"{kept.answers + new.answers}{f', of them {wrong}' if wrong else ''}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds != float("inf") else "-"


def unserved(title: str, service: Service, excused: Collection[str] = ()) -> list[str]:
    """Where healthy callers did not get what they asked for; `excused` is what they may get instead."""
    wrong = {word: count for word, count in service.wrong.items() if word not in excused}
    if wrong or not service.answers:
        listed = ", ".join(f"{count} {word}" for word, count in wrong.items()) or "no answer at all"
        return [f"{title}: of {service.answers} healthy requests {listed}"]
    return []
