"""The charts of docs/scaling.md, from what the cases came to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from bench.chart import Bar, Panel, chart
from bench.curves import Curve, Curves
from trials.fleet.cases import BEFORE, OUTAGE, SIZES
from trials.fleet.cognito import QUOTA
from trials.fleet.ledger import Outcome

Outcomes = Mapping[str, Outcome]

# The names of their cases.
SHARED: Final = ", cache"
MONTH: Final = "nothing special, "
START: Final = "start, 10,000 within a second, "
OUTAGE_OF_HOURS: Final = "outage, 1 h"

_LIMIT: Final = (f"quota: {QUOTA} a second", float(QUOTA))


def cost(outcomes: Outcomes) -> str:
    bars = []
    for pods in SIZES:
        for way, name in (("alone", ""), ("shared cache", SHARED)):
            bars.append(Bar(f"{pods:,} pods, {way}", outcomes[f"{MONTH}{pods}{name}"].cost, ours=bool(name)))
    return chart("What tokens cost in 30 days", [Panel("Tokens of an hour, 30 days", "US dollars", bars)])


def start(outcomes: Outcomes) -> str:
    seconds = 180
    alone, shared = outcomes[f"{START}alone"], outcomes[f"{START}cache"]
    return chart(
        "10,000 pods start within a second: calls of the token endpoint, and pods that wait for their first token",
        [
            Curves(
                "10,000 pods start: token calls",
                "calls a second",
                "seconds",
                [_curve("alone", alone.by_second[:seconds]), _curve("cache", shared.by_second[:seconds], ours=True)],
                _LIMIT,
                powers=True,
            ),
            Curves(
                "Pods that have no token yet",
                "pods",
                "seconds",
                [_curve("alone", alone.without[:seconds]), _curve("cache", shared.without[:seconds], ours=True)],
            ),
        ],
    )


def outage(outcomes: Outcomes) -> str:
    alone, shared = outcomes[OUTAGE_OF_HOURS], outcomes[OUTAGE_OF_HOURS + SHARED]
    seconds = int(OUTAGE.end) + 600

    def minutes(name: str, values: Sequence[int], *, ours: bool = False) -> Curve:
        """The most of each ten seconds, by minutes from the beginning of the outage."""
        tens = [max(values[at : at + 10]) for at in range(0, seconds, 10)]
        return _curve(name, tens, ours=ours, step=1 / 6, begin=-BEFORE / 60)

    return chart(
        "Cognito is away for 30 minutes: token calls, and pods that are left without a token",
        [
            Curves(
                "Cognito away from minute 0 to 30: token calls",
                "calls a second",
                "minutes",
                [minutes("alone", alone.by_second), minutes("cache", shared.by_second, ours=True)],
                _LIMIT,
                powers=True,
            ),
            Curves(
                "Pods without a usable token",
                "pods",
                "minutes",
                [minutes("alone", alone.without), minutes("cache", shared.without, ours=True)],
            ),
        ],
    )


class Chart(NamedTuple):
    """How to draw one, and the cases that it takes."""

    draw: Callable[[Outcomes], str]
    cases: frozenset[str]


CHARTS: Final[Mapping[str, Chart]] = {
    "scaling-cost.svg": Chart(cost, frozenset(f"{MONTH}{pods}{way}" for pods in SIZES for way in ("", SHARED))),
    "scaling-start.svg": Chart(start, frozenset({f"{START}alone", f"{START}cache"})),
    "scaling-outage.svg": Chart(outage, frozenset({OUTAGE_OF_HOURS, OUTAGE_OF_HOURS + SHARED})),
}


def _curve(name: str, values: Sequence[int], *, ours: bool = False, step: float = 1.0, begin: float = 0.0) -> Curve:
    points = [(begin + step * place, float(value)) for place, value in enumerate(values)]
    return Curve(name, points, "ours" if ours else "other")
