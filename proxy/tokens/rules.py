"""The life of a token as one pure function of (what is there, the clocks, what happened).

Nothing in this file waits, calls or remembers: `proxy.tokens.source` keeps the few facts of a `Snapshot`, asks
`decide` whenever something happens, and does what it says. The states are computed, never stored, so they
cannot disagree with the token and the clocks they are computed from.

    state    is                          a request             in the background
    -------  --------------------------  --------------------  ----------------------------------------------
    EMPTY    no token was ever had       waits                 fetch
    FRESH    before its renewal time     takes the token       nothing, unless a fetch failed or was asked for
    STALE    past it, not yet expired    takes the token       fetch
    EXPIRED  past expiry less a margin   waits                 fetch

Four things turn "fetch" into "not now", in this order:

    a fetch is running      one at a time; whoever wants a token shares it
    a failure's pause       the next attempt has its time; only new credentials bring it forward
    rest                    no request came for `idle_after`; never while EMPTY, or nobody would learn that
                            the first token cannot be had
    nothing is wanted       FRESH, and nothing went wrong

A fetch that failed is wanted again in every state until one succeeds: a token that the upstream refused may
be FRESH by its clocks and dead all the same.

Every span is measured on two clocks, and has passed when either of them says so. The monotonic clock cannot
be set, but stands still while a machine sleeps; the wall clock runs on, but can be set back. A wall clock set
back therefore changes nothing, and one set forward (or a machine that slept) ends the token's life early,
which costs one call of the token endpoint; the opposite mistake would send a dead token.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple

from proxy.clock import Reading
from proxy.tokens.interface import AccessToken

MARGIN_SECONDS = 10.0
MARGIN_SHARE = 0.05
SHORTEST_RENEWAL = 0.5
"""Seconds. No token is renewed earlier than this after it was asked for, however short its life is said to be."""


class State(StrEnum):
    """Where a token is in its life."""

    EMPTY = "EMPTY"
    FRESH = "FRESH"
    STALE = "STALE"
    EXPIRED = "EXPIRED"


class Event(Enum):
    """Why a decision is asked for."""

    TICK = "time passed, or a fetch ended"
    REQUEST = "a request wants a token"
    REFUSED = "the upstream refused the token"
    MENDED = "credentials or settings of the endpoint changed"


def later(moment: Reading, seconds: float) -> Reading:
    """`seconds` after `moment`, on both clocks."""
    return Reading(moment.monotonic + seconds, moment.wall + seconds)


def reached(moment: Reading, now: Reading) -> bool:
    """True when either clock has come to `moment`."""
    return now.monotonic >= moment.monotonic or now.wall >= moment.wall


def seconds_until(moment: Reading, now: Reading) -> float:
    """How long until the first of the two clocks comes to `moment`; 0 when one has."""
    return max(0.0, min(moment.monotonic - now.monotonic, moment.wall - now.wall))


def _sooner(one: Reading, other: Reading) -> Reading:
    return Reading(min(one.monotonic, other.monotonic), min(one.wall, other.wall))


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its times, which are settled once, when it is obtained."""

    access: AccessToken
    obtained: Reading
    """The moment before its request was sent: its life may have begun then, but no earlier."""
    life: float
    """Seconds."""
    renew_at: Reading
    usable_until: Reading
    """The expiry less the margin for the flight of a request."""
    scopes: tuple[str, ...] = ()
    """As granted."""

    @property
    def expires_at(self) -> float:
        """The end of its life, without a margin, in Unix time."""
        return self.obtained.wall + self.life


def margin(life: float) -> float:
    """How long before its end a token is no longer sent, in seconds: a request takes time to arrive."""
    return min(MARGIN_SECONDS, life * MARGIN_SHARE)


def renewal_age(life: float, refresh_at: float, jitter: float, drawn: float) -> float:
    """The age, in seconds, at which a token is renewed. `drawn` is a random number from 0 up to 1.

    The jitter takes away at most half of `refresh_at`, whatever it is set to: calls are billed one by one.
    """
    share = max(refresh_at / 2, refresh_at + jitter * (2.0 * drawn - 1.0))
    return min(max(share * life, SHORTEST_RENEWAL), life - margin(life))


def make_token(
    access: AccessToken, obtained: Reading, life: float, scopes: tuple[str, ...], renew_after: float
) -> Token:
    """Settle the times of a token that has just come. `renew_after` is from `renewal_age`."""
    return Token(access, obtained, life, later(obtained, renew_after), later(obtained, life - margin(life)), scopes)


def state_of(token: Token | None, now: Reading) -> State:
    if token is None:
        return State.EMPTY
    if reached(token.usable_until, now):
        return State.EXPIRED
    return State.STALE if reached(token.renew_at, now) else State.FRESH


class Snapshot(NamedTuple):
    """All that a decision depends on, besides the clocks and the event."""

    token: Token | None
    fetching: bool
    retry_at: Reading | None
    """After a failed fetch, until one succeeds: when the next attempt is due."""
    asked: Reading
    """When a request last wanted a token; before the first one, when the source was started."""
    waiters: int
    """How many requests are waiting for a token."""
    idle_after: float
    """Seconds; 0: never at rest."""


class Decision(NamedTuple):
    """What to do now, and when to ask again."""

    state: State
    usable: bool
    """A request takes the token; where it is False, a request waits."""
    fetch: bool
    """Start a fetch now."""
    at_rest: bool
    """A fetch is due but nobody has asked for a token for a while: the next request starts it."""
    until: Reading | None
    """The first moment at which time alone may change this decision, or None: only an event can."""


def decide(snapshot: Snapshot, now: Reading, event: Event) -> Decision:
    """What a token source should do. The table at the top of this file, line by line."""
    token, retry_at = snapshot.token, snapshot.retry_at
    state = state_of(token, now)
    pausing = retry_at is not None and event is not Event.MENDED and not reached(retry_at, now)
    wanted = state is not State.FRESH or retry_at is not None or event is Event.REFUSED
    mending = event is Event.MENDED and retry_at is not None
    at_rest = wanted and not snapshot.fetching and not mending and state is not State.EMPTY and _idle(snapshot, now)
    fetch = wanted and not snapshot.fetching and not pausing and not at_rest

    until: Reading | None = None
    if token is not None and state is State.FRESH:
        until = token.renew_at
    elif token is not None and state is State.STALE:
        until = token.usable_until
    if retry_at is not None and pausing and not snapshot.fetching and not at_rest:
        until = retry_at if until is None else _sooner(until, retry_at)
    return Decision(state, state in (State.FRESH, State.STALE), fetch, at_rest, until)


def _idle(snapshot: Snapshot, now: Reading) -> bool:
    """True when no request came for `idle_after`. One that still waits is a request of this moment."""
    idle_after = snapshot.idle_after
    return idle_after > 0 and snapshot.waiters == 0 and reached(later(snapshot.asked, idle_after), now)
