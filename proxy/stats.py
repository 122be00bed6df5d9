"""Plain counters. `tokens` and `forward` write them, `admin` reads them when somebody scrapes.

They are integers and not prometheus_client's objects, because the way of a request passes here several
times and those take a lock each time; everything runs on one event loop, so there is nothing to lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Literal

from proxy.errors import Name, Reason

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds, in seconds, of the duration histograms' buckets; a last one without a bound follows."""


class Histogram:
    """Counts of observations by bucket (not cumulative; one more than the bounds), and their sum in seconds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class TokenStats:
    """What one token source has done."""

    def __init__(self) -> None:
        self.successes = 0
        self.failures: Counter[Reason] = Counter()
        self.refused_secrets = 0
        """Answers `invalid_client`, those included after which the other secret worked."""
        self.duration = Histogram()
        self.consecutive_failures = 0
        self.last_success_at: float | None = None
        """Unix time."""
        self.waiters = 0


CacheOperation = Literal["get", "note", "lock", "put", "remove", "unlock"]
"""What is asked of the shared token cache."""


class CacheStats:
    """What was asked of the shared token cache, by all token sources together."""

    def __init__(self) -> None:
        self.operations: Counter[tuple[CacheOperation, str]] = Counter()
        """By operation and result."""
        self.duration: dict[CacheOperation, Histogram] = {}
        """By operation."""
        self.consecutive_failures = 0
        self.trouble: str | None = None
        """What the last of these came to, in a word; None where there is none."""
        self.left_alone = False
        """It failed so often that it is asked only now and then."""

    def count(self, operation: CacheOperation, result: str, seconds: float) -> None:
        self.operations[operation, result] += 1
        self.duration.setdefault(operation, Histogram()).observe(seconds)


class UpstreamStats:
    """What one upstream's requests came to. Kept over a reload, by the upstream's name."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """By (method or OTHER, status code)."""
        self.duration = Histogram()
        self.in_flight = 0
        self.errors: Counter[Name] = Counter()
        self.unauthorized: Counter[str] = Counter()
        """By outcome: replayed, passed_on, cooling_down."""
        self.connects: Counter[str] = Counter()
        """By result: success, failure."""
