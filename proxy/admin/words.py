"""Times and amounts in words, for probes, `/status` and the page. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate

from proxy.stats import Histogram

_PLAIN_MINUTES = 10
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def iso(unix: float | None) -> str | None:
    """A Unix time in ISO 8601, UTC, whole seconds: `2026-11-23T15:54:00Z`. None stays None."""
    if unix is None:
        return None
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """A length of time in its two largest units: `8 s`, `12 min`, `2 h 5 min`, `3 d 4 h`.

    Minutes stand alone above ten of them, where seconds would only flicker.
    """
    rest = max(0, round(seconds))
    for index, (size, unit) in enumerate(_UNITS):
        if rest >= size:
            count, below = divmod(rest, size)
            if unit == "s" or (unit == "min" and count >= _PLAIN_MINUTES):
                return f"{count} {unit}"
            next_size, next_unit = _UNITS[index + 1]
            return f"{count} {unit} {below // next_size} {next_unit}" if below >= next_size else f"{count} {unit}"
    return "0 s"


def ago(unix: float, now: float) -> str:
    return f"{duration(now - unix)} ago"


def until(unix: float, now: float) -> str:
    """`in 8 s`; `now` where that moment has come."""
    seconds = round(unix - now)
    return f"in {duration(seconds)}" if seconds > 0 else "now"


def one_line(text: str, limit: int = 400) -> str:
    """`text` as one line of printable characters, so that nothing from outside can forge a second one."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def amount(number: int) -> str:
    """`12,345`"""
    return f"{number:,}"


def within(histogram: Histogram, share: float) -> str | None:
    """Within what time this share of the observations ended, as far as the buckets tell; None without any."""
    total = sum(histogram.counts)
    if not total:
        return None
    for bound, reached in zip(histogram.bounds, accumulate(histogram.counts), strict=False):
        if reached >= share * total:
            return f"{bound * 1000:g} ms" if bound < 1 else f"{bound:g} s"
    return f"over {histogram.bounds[-1]:g} s"
