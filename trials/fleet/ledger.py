"""What is counted while a case runs, from the end of its warm-up on, and what comes of that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from trials.fleet.callers import Callers

PRICE: Final = 2.25 / 1000
"""US dollars for a token: the first tier of Cognito's list, which is what small fleets pay. Refused calls are free."""


class Gap(NamedTuple):
    """A time for which a pod had no usable token though requests came, or would have."""

    begin: float
    end: float


class Outcome(NamedTuple):
    """The figures of one case. Times are in seconds after the warm-up."""

    calls: int
    tokens: int
    """Calls that were answered with a token: those that are billed."""
    throttled: int
    peak: int
    """The most calls in one second."""
    requests: float
    waited: float
    """Requests that had to wait for a token and got it."""
    refused: float
    """Requests that got 503."""
    ready: Sequence[float]
    """How long each pod that was started had to wait for its first token, shortest first."""
    operations: int
    """Operations of the shared cache, and the most of them in one second."""
    most_operations: int
    by_second: Sequence[int]
    """Calls in each second, where the case asks for it."""
    without: Sequence[int]
    """Pods without a usable token in the middle of each second, likewise."""

    @property
    def cost(self) -> float:
        """US dollars."""
        return self.tokens * PRICE

    def ready_within(self, share: float) -> float:
        """Seconds within which such a share of the pods that were started had a token; NaN where none was started."""
        return self.ready[min(len(self.ready) - 1, int(share * len(self.ready)))] if self.ready else math.nan


class _Rate:
    """How many there were of something, and in one second at most."""

    __slots__ = ("_now", "_second", "all", "most")

    def __init__(self) -> None:
        self.all = self.most = self._now = 0
        self._second = -1

    def count(self, now: float) -> None:
        self.all += 1
        second = int(now)
        if second != self._second:
            self._second, self._now = second, 0
        self._now += 1
        if self._now > self.most:  # noqa: PLR1730  (max() takes four times as long, ten million times)
            self.most = self._now


class Ledger:
    """Counts. Everything that comes before `begin` is the warm-up's."""

    def __init__(self, begin: float, end: float, *, by_second: bool) -> None:
        self.begin = begin
        self._end = end
        self._by_second = [0] * (int(end - begin) + 1) if by_second else []
        self._gaps: list[Gap] = []
        self._ready: list[float] = []
        self._calls, self._operations = _Rate(), _Rate()
        self._tokens = self._throttled = 0
        self._requests = self._waited = self._refused = 0.0

    def call(self, now: float) -> None:
        """A call of the token endpoint begins. In the order of their times."""
        if now < self.begin:
            return
        self._calls.count(now)
        if self._by_second:
            self._by_second[int(now - self.begin)] += 1

    def operation(self, now: float) -> None:
        """An operation of the shared cache begins. In the order of their times."""
        if now >= self.begin:
            self._operations.count(now)

    def granted(self, now: float) -> None:
        """It will bring a token."""
        if now >= self.begin:
            self._tokens += 1

    def throttled(self, now: float) -> None:
        """It will be answered with 429."""
        if now >= self.begin:
            self._throttled += 1

    def started(self, began: float, first_token: float) -> None:
        """A pod has its first token."""
        if began >= self.begin:
            self._ready.append(first_token - began)

    def lived(self, begin: float, end: float, callers: Callers) -> None:
        """A pod was there, and its callers with it."""
        self._requests += callers.between(max(begin, self.begin), end)

    def gap(self, begin: float, end: float, callers: Callers, wait: float) -> None:
        """A pod had no usable token from `begin` to `end`. A request waits `wait` at most, as `TokenSource.wait` does:

        it is given the token that comes in that time, and 503 otherwise, be it at once or in the end. A `wait` of 0
        is that of a pod that never had another token.
        """
        begin = max(callers.next(begin), self.begin)
        if begin >= end:
            return
        waited = callers.between(max(begin, end - wait), end)
        self._waited += waited
        self._refused += callers.between(begin, end) - waited
        if self._by_second:
            self._gaps.append(Gap(begin, end))

    def close(self) -> Outcome:
        return Outcome(
            calls=self._calls.all,
            tokens=self._tokens,
            throttled=self._throttled,
            peak=self._calls.most,
            requests=self._requests,
            waited=self._waited,
            refused=self._refused,
            ready=sorted(self._ready),
            operations=self._operations.all,
            most_operations=self._operations.most,
            by_second=self._by_second,
            without=self._without(),
        )

    def _without(self) -> list[int]:
        changes = [0] * (len(self._by_second) + 1)
        for gap in self._gaps:
            # A gap that has no middle of a second in it begins and ends in the same place.
            changes[int(gap.begin - self.begin + 0.5)] += 1
            changes[int(min(gap.end, self._end) - self.begin + 0.5)] -= 1
        return list(accumulate(changes[:-1]))
