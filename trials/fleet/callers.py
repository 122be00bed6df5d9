"""When requests come to a pod. Pure.

A request that finds a token takes no time worth counting. What matters is how many come while there is none, and when
the last one came: `idle_after` goes by that.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, Protocol

DAY: Final = 86_400.0


class Callers(Protocol):
    """The callers of one pod."""

    def last(self, now: float) -> float:
        """When the last request came, at `now` or before; minus infinity where none did."""

    def next(self, now: float) -> float:
        """When the next request comes, after `now` or, where they come all the time, now."""

    def between(self, begin: float, end: float) -> float:
        """How many requests come in that time, its end not included, on average."""


class Steady(NamedTuple):
    """Requests come all the time, so many a second."""

    rate: float = 1.0

    def last(self, now: float) -> float:
        return now

    def next(self, now: float) -> float:
        return now

    def between(self, begin: float, end: float) -> float:
        return self.rate * max(0.0, end - begin)


class Daily(NamedTuple):
    """The same between two hours of each day, and nothing outside of them."""

    opens: float
    """Seconds after midnight."""
    closes: float
    rate: float = 1.0

    def last(self, now: float) -> float:
        midnight = now - now % DAY
        if now - midnight >= self.opens:
            return min(now, midnight + self.closes)
        return midnight - DAY + self.closes if midnight > 0 else -math.inf

    def next(self, now: float) -> float:
        midnight = now - now % DAY
        if now - midnight < self.closes:
            return max(now, midnight + self.opens)
        return midnight + DAY + self.opens

    def between(self, begin: float, end: float) -> float:
        return self.rate * max(0.0, self._open_until(end) - self._open_until(begin))

    def _open_until(self, moment: float) -> float:
        """Seconds for which it was open since the beginning of time."""
        days, since = divmod(moment, DAY)
        return days * (self.closes - self.opens) + min(max(since - self.opens, 0.0), self.closes - self.opens)


class Seldom(NamedTuple):
    """One request at a time, at even distances."""

    every: float
    """Seconds."""
    first: float = 0.0

    def last(self, now: float) -> float:
        return self.first + math.floor((now - self.first) / self.every) * self.every if now >= self.first else -math.inf

    def next(self, now: float) -> float:
        return max(self.first, self.first + (math.floor((now - self.first) / self.every) + 1) * self.every)

    def between(self, begin: float, end: float) -> float:
        return float(max(0, self._before(end) - self._before(begin)))

    def _before(self, moment: float) -> int:
        return max(0, math.ceil((moment - self.first) / self.every))
