"""From a seed to what callers ask and how they behave. Pure: one stream of draws for each caller."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple, TypeVar

from trials.asks import Ask, Kind
from trials.caller import Manner

T = TypeVar("T")

VIAS: Final = {"orders": 6, "strict": 2, "local": 2}
"""The sidecar's upstreams, by how often they are called: with a replay after 401, without, and on a unix socket."""
_METHODS: Final = {"GET": 45, "POST": 25, "PUT": 10, "DELETE": 6, "HEAD": 6, "PATCH": 4, "OPTIONS": 4}
_KINDS: Final[dict[Kind, float]] = {
    "sized": 52,
    "chunked": 16,
    "late": 6,
    "early": 5,
    "close": 5,
    "slow": 4,
    "events": 4,
    "socket": 3,
    "cut": 3,
    "eof": 2,
    "once401": 0.3,
}
_SIZES: Final = {0: 20, 10: 20, 1_000: 30, 20_000: 15, 100_000: 5, 1_000_000: 1}
_BODIES: Final = {0: 10, 10: 25, 1_000: 35, 10_000: 15, 30_000: 8, 300_000: 3}


class Call(NamedTuple):
    """What one caller does next."""

    via: str
    asks: tuple[Ask, ...]
    manner: Manner
    pause: float
    """Seconds before it."""


def calls(seed: int, caller: int) -> Iterator[Call]:
    """What one caller does, without end."""
    random = Random(f"caller {seed} {caller}")
    number = 0
    while True:
        via, manner = _draw(random, VIAS), _manner(random)
        count = random.randint(2, 4) if random.random() < 0.05 and manner == Manner(keep=manner.keep) else 1
        asks = []
        for _ in range(count):
            number += 1
            asks.append(_ask(random, f"{seed}.{caller}.{number}", alone=count == 1))
        yield Call(via, tuple(asks), manner, random.expovariate(1 / 0.03))


def _ask(random: Random, id: str, *, alone: bool) -> Ask:
    kind: Kind = _draw(random, _KINDS)
    if not alone and kind in ("events", "socket", "early", "eof", "cut", "close"):
        kind = "sized"
    method = _draw(random, _METHODS)
    size = _draw(random, _SIZES)
    if kind == "events":
        return Ask(id, "GET", kind, size=random.randint(1, 10), seconds=random.uniform(0.1, 1.0))
    if kind == "socket":
        return Ask(id, "GET", kind, body=_draw(random, _BODIES))
    seconds = random.uniform(0.05, 1.0) if kind in ("slow", "late") else 0.0
    body = _draw(random, _BODIES) if method in ("POST", "PUT", "PATCH") else 0
    return Ask(id, method, kind, size, seconds, body, chunked=body > 0 and random.random() < 0.4)


def _manner(random: Random) -> Manner:
    drawn = random.random()
    keep = random.random() < 0.85
    if drawn < 0.06:
        return Manner(keep=False, leaves_after=random.choice((0.2, 0.7, 1.0)), resets=random.random() < 0.5)
    if drawn < 0.09:
        return Manner(keep, pace=random.uniform(0.05, 0.8))
    if drawn < 0.12:
        return Manner(keep, reads_slowly=random.uniform(0.005, 0.05))
    return Manner(keep, waits_for_100=drawn < 0.2)


def _draw(random: Random, weights: dict[T, float] | dict[T, int]) -> T:
    drawn: T = random.choices([*weights], [*weights.values()])[0]
    return drawn
