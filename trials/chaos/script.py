"""From a seed to a list of timed faults. Pure: the same seed gives the same script, wherever it is played.

Faults that need the same thing (a process cannot be stopped and killed at once) come one after the other; all others
may overlap. The kinds are dealt like cards from a shuffled deck, so that a short script has each of them as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple


class Fault(NamedTuple):
    """Something that is done to the sidecar or around it."""

    at: float
    """Seconds after the load began."""
    kind: str
    lasts: float = 0.0
    """Seconds after which it is over; 0: it is over at once."""
    detail: Mapping[str, Any] = {}

    @property
    def ends(self) -> float:
        return self.at + self.lasts

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.detail.items())
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.kind}{lasts}" + (f" ({told})" if told else "")


class Kind(NamedTuple):
    """A kind of fault: what it needs for itself, how long it lasts, and what else is drawn."""

    needs: str
    lasts: tuple[float, float] = (0.0, 0.0)
    """Seconds, from and to."""
    long: float = 0.0
    """Seconds that it lasts now and then, which is longer than somebody's patience."""
    detail: Callable[[Random], dict[str, Any]] = lambda _: {}


GOOD_CONFIGS: Final = ("small pool", "other timeouts", "other header", "one upstream more", "other scopes", "no log")
_LONG: Final = 0.3
"""How often something lasts long."""
BAD_CONFIGS: Final = (
    *("broken YAML", "unknown key", "no upstreams", "empty", "half", "gone", "no secret", "port in use"),
)
ENDPOINT_FAULTS: Final[tuple[Mapping[str, Any], ...]] = (
    *({"fault": "error", "error": error} for error in ("invalid_client", "invalid_scope", "unauthorized_client")),
    *({"fault": "error", "error": error} for error in ("invalid_grant", "invalid_request", "unsupported_grant_type")),
    {"fault": "status", "status": 429, "retry_after": 1},
    {"fault": "status", "status": 500},
    {"fault": "status", "status": 503, "retry_after": 2},
    {"fault": "status", "status": 404},
    {"fault": "empty"},
    {"fault": "broken_json"},
    {"fault": "html"},
    {"fault": "delay", "seconds": 1.5},
    {"fault": "delay", "seconds": 4.0},
    {"fault": "drop"},
    {"fault": "cut"},
    {"fault": "answer", "status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
    {"fault": "answer", "body": '{"access_token": "", "expires_in": 60, "token_type": "Bearer"}'},
    {"fault": "answer", "body": '{"access_token": "a b", "expires_in": 60, "token_type": "Bearer"}'},
    {"fault": "answer", "body": '{"access_token": "a", "expires_in": 60}'},
)
PASSING: Final = tuple(fault for fault in ENDPOINT_FAULTS if fault["fault"] != "error" and fault.get("status") != 404)
"""Those after which the sidecar tries again within seconds."""


def _endpoint(random: Random) -> dict[str, Any]:
    """Mostly what passes: after the others, the sidecar waits half a minute and more."""
    kinds = ENDPOINT_FAULTS if random.random() < 0.25 else PASSING
    return {"faults": [{**random.choice(kinds), "count": random.randint(1, 3)} for _ in range(random.randint(1, 3))]}


def _link(name: str) -> dict[str, Kind]:
    """Of those that let nothing through, one at a time: the others would not be noticed."""
    return {
        f"{name} link reset": Kind("", detail=lambda random: {"share": random.choice((0.3, 0.6, 1.0))}),
        f"{name} link delayed": Kind(
            f"{name} link", (0.3, 1.5), detail=lambda random: {"seconds": random.choice((0.02, 0.1, 0.3))}
        ),
        f"{name} link cut": Kind(name, (0.2, 0.6)),
        f"{name} link stalled": Kind(name, (0.2, 0.8), long=4.0),
        f"{name} link shut": Kind(name, (0.2, 1.0)),
    }


KINDS: Final[Mapping[str, Kind]] = {
    "upstream killed": Kind("upstream", (0.1, 1.0)),
    "upstream stopped": Kind("upstream", (0.2, 0.8), long=4.5),
    **_link("upstream"),
    **_link("issuer"),
    "token endpoint": Kind("token endpoint", (1.0, 5.0), detail=_endpoint),
    "keys rotated": Kind("", detail=lambda random: {"keep_old": random.random() < 0.3}),
    "secret rotated": Kind(
        "secret", (0.0, 3.0), detail=lambda random: {"how": random.choice(("at once", "in two parts"))}
    ),
    "secret exchanged": Kind("secret", (5.0, 6.0)),
    "good configuration": Kind(
        "configuration",
        (0.3, 2.0),
        detail=lambda random: {"variant": random.choice(GOOD_CONFIGS), "hangup": random.random() < 0.7},
    ),
    "bad configuration": Kind(
        "configuration",
        (0.3, 2.0),
        detail=lambda random: {"variant": random.choice(BAD_CONFIGS), "hangup": random.random() < 0.7},
    ),
    "hangups": Kind("", (0.2, 1.0), detail=lambda random: {"count": random.choice((3, 20, 100))}),
    "sidecar frozen": Kind("sidecar", (0.5, 3.0), long=6.0),
    "log stalled": Kind("log", (1.0, 5.0)),
    "connections taken": Kind("connections", (0.5, 2.0), detail=lambda random: {"count": random.choice((50, 200))}),
}


def write_script(kinds: Sequence[str], seed: int, seconds: float, *, pause: float = 0.6) -> tuple[Fault, ...]:
    """Faults of these kinds that are all over after `seconds`, about one every `pause` seconds, sorted by time."""
    random = Random(f"script {seed}")
    script: list[Fault] = []
    deck: list[str] = []
    busy: dict[str, float] = {}
    at = random.uniform(0.1, pause)
    while at < seconds:
        if not deck:
            deck = [*kinds]
            random.shuffle(deck)
        # The next card that may be played now; the others wait for their turn.
        card = next((card for card in deck if busy.get(KINDS[card].needs, 0.0) <= at), None)
        if card is not None:
            deck.remove(card)
            kind = KINDS[card]
            lasts = kind.long if kind.long and random.random() < _LONG else random.uniform(*kind.lasts)
            lasts = min(lasts, seconds - at)
            script.append(Fault(round(at, 2), card, round(lasts, 2), kind.detail(random)))
            if kind.needs:
                busy[kind.needs] = at + lasts + 0.1
        at += random.expovariate(1 / pause)
    return tuple(script)
