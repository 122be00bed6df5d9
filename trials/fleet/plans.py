"""When the pods of a fleet start and stop. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from trials.fleet.callers import DAY

HOUR: Final = 3600.0
RESTART_AT: Final = 12 * HOUR
RESTART_WITHIN: Final = 0.5 * HOUR
"""A rolling restart of all pods begins at noon and goes on, evenly, for so long."""
MORNING: Final = (7 * HOUR, 9 * HOUR)
EVENING: Final = (19 * HOUR, 21 * HOUR)
AT_NIGHT: Final = 0.25
"""This share of the pods is left at night; the others come one by one in the morning and go in the evening."""
JOB: Final = 300.0
"""Seconds that a job takes."""


class Life(NamedTuple):
    """One pod, from its start to its stop."""

    start: float
    stop: float


Plan = Callable[[int, float, float, Callable[[], float]], Iterator[Life]]
"""From the number of pods, the end of the warm-up, the end of the case, and random numbers from 0 up to 1."""


def steady(pods: int, begin: float, end: float, draw: Callable[[], float]) -> Iterator[Life]:
    """Pods that have started at some time of the warm-up and stay."""
    return (Life(begin * draw(), math.inf) for _ in range(pods))


def together(pods: int, begin: float, end: float, draw: Callable[[], float]) -> Iterator[Life]:
    """Pods that have all started in the first second of the warm-up and stay."""
    return (Life(draw(), math.inf) for _ in range(pods))


def at_once(within: float) -> Plan:
    """All pods start in so many seconds after the warm-up, and stay."""

    def plan(pods: int, begin: float, end: float, draw: Callable[[], float]) -> Iterator[Life]:
        return (Life(begin + within * draw(), math.inf) for _ in range(pods))

    return plan


def restarted_daily(pods: int, begin: float, end: float, draw: Callable[[], float]) -> Iterator[Life]:
    """Each pod is replaced by another one each day, in the same order."""
    for place in range(pods):
        time_of_day = RESTART_AT + RESTART_WITHIN * place / pods
        start = begin * draw()
        for day in range(int(begin // DAY), math.ceil(end / DAY)):
            stop = day * DAY + time_of_day
            if stop > start:
                yield Life(start, stop)
                start = stop
        yield Life(start, math.inf)


def day_and_night(pods: int, begin: float, end: float, draw: Callable[[], float]) -> Iterator[Life]:
    """A share of the pods is there all the time; the others start each morning and stop each evening."""
    lasting = math.ceil(pods * AT_NIGHT)
    yield from steady(lasting, begin, end, draw)
    for day in range(math.ceil(end / DAY)):
        for _ in range(pods - lasting):
            start, stop = (low + (high - low) * draw() for low, high in (MORNING, EVENING))
            yield Life(day * DAY + start, day * DAY + stop)


def jobs(pods: int, begin: float, end: float, draw: Callable[[], float]) -> Iterator[Life]:
    """So many jobs at a time: each runs for some minutes, and another one begins when it has ended."""
    for _ in range(pods):
        start = JOB * draw()
        while start < end:
            yield Life(start, start + JOB)
            start += JOB
