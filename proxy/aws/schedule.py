"""When a secret is read again. Pure: times are monotonic seconds, chance is a number that is handed in."""

from __future__ import annotations

from typing import Final, NamedTuple

FLOOR: Final = 10.0
"""Seconds between two readings of one secret, whoever asks for them."""
_LONGEST_PAUSE: Final = 300.0
_SPREAD: Final = 0.1
"""Share of the interval by which it is longer or shorter, so that a thousand pods do not ask at once."""


class Times(NamedTuple):
    """What the rules know of one secret."""

    tried_at: float | None = None
    """When the last reading began."""
    failures: int = 0
    """Readings that failed since the last one that did not."""
    draw: float = 0.5
    """Drawn for the pause after the last reading, from 0 up to 1."""
    asked: bool = False
    """Somebody has reason to believe that it has changed since."""


def after(times: Times, began: float, *, good: bool, draw: float) -> Times:
    """What is known after a reading."""
    return Times(began, 0 if good else times.failures + 1, draw)


def pause(times: Times, refresh: float) -> float | None:
    """Seconds from the last reading to the next one by the clock alone; None: there is none.

    `refresh` is the interval, 0 for none. After a failure it is shorter: 10 s, doubled each time up to 5 min.
    """
    if times.failures == 0:
        return max(FLOOR, refresh * (1 - _SPREAD + 2 * _SPREAD * times.draw)) if refresh else None
    longest = min(FLOOR * 2.0 ** min(times.failures, 10), _LONGEST_PAUSE)
    wait = longest * (0.5 + 0.5 * times.draw)
    return max(FLOOR, min(wait, refresh) if refresh else wait)


def seconds_until_may(times: Times, now: float) -> float:
    """How long until a secret may be read, where somebody asks for it."""
    return 0.0 if times.tried_at is None else max(0.0, FLOOR - (now - times.tried_at))


def may_read(times: Times, now: float) -> bool:
    """Whether it may be read now."""
    return seconds_until_may(times, now) == 0


def is_due(times: Times, now: float, refresh: float) -> bool:
    """Whether a secret should be read now without anybody waiting for it."""
    if times.tried_at is None:
        return False
    wait = FLOOR if times.asked else pause(times, refresh)
    return wait is not None and now - times.tried_at >= wait
