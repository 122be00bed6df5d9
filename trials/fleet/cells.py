"""The cells of a line, from what its cases came to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from proxy.tokens.rules import margin, renewal_age
from trials.fleet.cognito import Span
from trials.fleet.ledger import PRICE, Outcome

Cells = Callable[[Sequence[Outcome]], list[str]]

MONTH: Final = (
    "30 days, pods",
    *("alone: calls", "cost", "most a second", "requests that waited", "503"),
    *("cache: calls", "cost", "most a second", "requests that waited", "503"),
)


def month(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        cell
        for one in outcomes
        for cell in (_count(one.calls), _dollars(one.cost), _count(one.peak), _count(one.waited), _count(one.refused))
    ]


START: Final = (
    "pods",
    *("token calls", "429", "most a second", "half have a token", "99 %", "all", "requests that waited", "503"),
    "most operations of the cache a second",
)


def start(outcomes: Sequence[Outcome]) -> list[str]:
    (one,) = outcomes
    return [
        *(_count(one.calls), _count(one.throttled), _count(one.peak)),
        *(_seconds(one.ready_within(share)) for share in (0.5, 0.99, 1.0)),
        *(_count(one.waited), _count(one.refused), _count(one.most_operations)),
    ]


OUTAGE: Final = (
    "tokens",
    *("token calls", "429", "most a second in it", "and after it", "pods without a token, at most"),
    *("all have one again after", "requests that waited", "503"),
    "most operations of the cache a second",
)


def outage(span: Span) -> Cells:
    """`span` is that of the outage, after the warm-up."""

    def cells(outcomes: Sequence[Outcome]) -> list[str]:
        (one,) = outcomes
        begin, end = int(span.begin), int(span.end)
        lacking = [second for second, pods in enumerate(one.without) if pods]
        return [
            *(_count(one.calls), _count(one.throttled)),
            *(_count(max(one.by_second[begin:end])), _count(max(one.by_second[end:]))),
            _count(max(one.without)),
            _recovery(lacking[-1] + 1 - end) if lacking else "none was without",
            *(_count(one.waited), _count(one.refused), _count(one.most_operations)),
        ]

    return cells


def _recovery(seconds: int) -> str:
    return _seconds(seconds) if seconds > 0 else "before its end"


SETTINGS: Final = ("token lifetime, refresh_at", "token calls of a pod", "cost of a pod", "cost of 1,000", "spare time")


def spare(life: float, refresh_at: float, jitter: float) -> float:
    """Seconds for which the token endpoint may be away without a request that notices, at least."""
    return life - margin(life) - renewal_age(life, refresh_at, jitter, 1.0)


def setting(spare_seconds: float) -> Cells:
    def cells(outcomes: Sequence[Outcome]) -> list[str]:
        (one,) = outcomes
        calls = one.tokens / 10
        return [_count(calls), _dollars(calls * PRICE), _dollars(calls * PRICE * 1000), _span(spare_seconds)]

    return cells


IDLE: Final = (
    "10 pods with",
    "always renewed: token calls",
    "idle_after 15 min: token calls",
    "saved",
    "requests that waited",
    "of",
)


def idle(outcomes: Sequence[Outcome]) -> list[str]:
    always, resting = outcomes
    saved = 1.0 - resting.tokens / always.tokens
    return [
        *(_count(always.tokens), _count(resting.tokens), f"{saved:.0%}"),
        *(_count(resting.waited), _count(resting.requests)),
    ]


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _dollars(number: float) -> str:
    return f"${number:,.0f}" if number >= 100 else f"${number:,.2f}"


def _seconds(number: float) -> str:
    return f"{number:.0f} s" if number >= 10 else f"{number:.1f} s"


def _span(seconds: float) -> str:
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
