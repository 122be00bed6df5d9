"""Samples, and what is made of them: percentiles, medians, ratios. Pure.

A machine is faster in one minute than in the next, so two contenders are only compared within a round, where they
ran one after the other; the result is the median of the rounds' ratios, never the ratio of two medians.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Scenario(NamedTuple):
    """One kind of small request."""

    key: str
    title: str
    path: str
    connections: int
    headers: tuple[tuple[str, str], ...] = ()
    body_bytes: int = 0
    """Of a POST; 0 for a GET."""


class Sample(NamedTuple):
    """What one contender did in one scenario of one round."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None
    """Processor time of all of its processes for each request; None without a proxy."""
    failures: int = 0
    """Answers other than 2xx, and connections that broke."""


class Life(NamedTuple):
    """What one contender did in one round from its start to its end."""

    start_seconds: float
    """From its start to its first whole answer with a token."""
    idle_mib: float
    loaded_mib: float
    """After a load on 256 connections."""
    open_mib: float
    """With 1,000 idle connections, each of which has had an answer."""


class Transfer(NamedTuple):
    """One long body in one direction."""

    mb_per_second: float
    """Megabytes: 10^6 bytes."""
    cpu_seconds: float


@dataclass
class Results:
    """All samples of a run; the lists have one entry a round. Contenders and scenarios go by their keys."""

    requests: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    """By (scenario, contender)."""
    lives: dict[str, list[Life]] = field(default_factory=dict)
    down: dict[str, list[Transfer]] = field(default_factory=dict)
    up: dict[str, list[Transfer]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What did not go as it should: one sentence each."""

    def cpu(self, scenario: str, contender: str) -> list[float]:
        """Microseconds a request, one for each round; empty where it was not measured."""
        return [one.cpu_us for one in self.requests.get((scenario, contender), ()) if one.cpu_us is not None]

    def p50(self, scenario: str, contender: str) -> list[float]:
        return [one.p50_ms for one in self.requests.get((scenario, contender), ())]

    def failures(self) -> dict[tuple[str, str], int]:
        """How many requests failed, where any did."""
        sums = {key: sum(one.failures for one in samples) for key, samples in self.requests.items()}
        return {key: count for key, count in sums.items() if count}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of `ordered` (ascending, not empty) that is not less than `share` of all of them."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Iterable[float]) -> float:
    """NaN for none at all, so that a table shows a gap and not a zero."""
    found = list(values)
    return statistics.median(found) if found else math.nan


def ratios(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """One ratio for each round that both took part in."""
    return [one / other for one, other in zip(mine, theirs, strict=False) if other > 0]
