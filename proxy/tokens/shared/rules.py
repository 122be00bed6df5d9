"""When a token is needed and there is a shared cache: take what is there, renew it for all, or wait for who does. Pure.

    the cache has                        and the lock     then
    -----------------------------------  ---------------  --------------------------------------------------------
    a token that is better than ours     -                take it
    none                                 was not tried    try to get it
    none                                 is ours          call the token endpoint, store the token, free the lock
    none, but a note that a call failed  is another's     fail as that call did; without a usable token, take a turn
    none                                 is another's     wait and look again; in the end call without it

How long another is waited for depends on what there is to lose. Whoever holds a usable token waits as long as a
renewal may take at all; whoever holds none has requests waiting, and calls by itself after a share of what they
wait. So an engine that loses a lock, or a renewer that dies with it, costs a call and never a request.

The note is for an endpoint that is down: tokens that are shared end together, and without it all pods would lose
patience in the same second, ten thousand if there are so many. There are turns, several a second,
because a pod whose own way to the endpoint is broken must not keep those from their token whose way is good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from proxy.errors import Reason
from proxy.secret import Secret
from proxy.tokens.rules import margin

SKEW: Final = 30.0
"""Seconds by which another pod's clock may be ahead of ours."""
ROUNDING: Final = 1.0
"""Seconds by which a life may differ from that of the JWT, whose times are whole seconds."""
FIRST_LOOK: Final = 0.1
"""Seconds before the first look again while another renews; each wait is longer than the one before."""
LAST_LOOK: Final = 2.0
AFTER_FAILURE: Final = 1.0
"""Seconds for which a lock is held on after a call that failed: as long as its token is usable, a fleet asks no more
often than that. While calls fail, it is held no longer than that from the beginning of one."""
TURN: Final = 0.1
"""Seconds between two calls of a fleet that has no usable token, while calls fail: ten a second, of Cognito's 150."""


class Entry(NamedTuple):
    """A token as it is shared. Times are Unix time in seconds; `token` shows nothing of itself."""

    token: Secret[str]
    obtained: float
    """The moment before its request was sent, by the clock of who sent it."""
    life: float
    """Seconds."""
    scopes: tuple[str, ...]


class Note(NamedTuple):
    """That a call of the token endpoint failed, and when: Unix time in seconds, by the clock of who made it."""

    reason: Reason
    at: float


class Held(NamedTuple):
    """The token that this source has."""

    token: Secret[str]
    expires: float
    """Unix time, without a margin."""
    usable: bool
    refused: bool
    """The upstream does not take it any more, whatever the clocks say."""


class Verdict(Enum):
    """What an entry is good for."""

    BETTER = "better"
    NO_BETTER = "no better than ours"
    USELESS = "expired"
    FALSE = "false"
    """It cannot be what it says: nobody of ours wrote it, or a clock is wrong."""


def judge(
    entry: Entry, held: Held | None, now: float, claimed: float | None, claimed_end: float | None = None
) -> Verdict:
    """Whether `entry` is to be taken in the place of `held`.

    `claimed` is the JWT's own life, and `claimed_end` its end in Unix time, where the token is one.
    """
    expires = entry.obtained + entry.life
    if entry.obtained > now + SKEW or (claimed is not None and entry.life > claimed + ROUNDING):
        return Verdict.FALSE
    if claimed_end is not None and expires > claimed_end + SKEW:
        return Verdict.FALSE
    if now >= expires - margin(entry.life):
        return Verdict.USELESS
    if held is None:
        return Verdict.BETTER
    if held.token == entry.token:
        return Verdict.NO_BETTER
    # One that was refused is worse than any other, even one that ends sooner.
    return Verdict.BETTER if held.refused or expires > held.expires else Verdict.NO_BETTER


def is_news(note: Note, entry: Entry | None, now: float, lock_life: float) -> bool:
    """Whether a note tells how the endpoint is now. One that is put back later is old."""
    if entry is not None and entry.obtained >= note.at:
        return False
    return now - lock_life - SKEW < note.at <= now + SKEW


class Step(Enum):
    """What to do next."""

    TAKE = "take the entry"
    LOCK = "try to be the one who renews"
    CALL = "call the token endpoint"
    WAIT = "wait, and look again"
    TURN = "call if it is our turn, else fail as another's call did"
    FAIL = "fail as another's call did"


class Lock(Enum):
    """The lock on renewing, as far as this source knows."""

    UNTRIED = "untried"
    OURS = "ours"
    TAKEN = "another's"


def next_step(
    verdict: Verdict | None, lock: Lock, *, usable: bool, failing: bool, waited: float, patience: float
) -> Step:
    """The table at the top of this file, line by line.

    `verdict` is None where the cache has no entry; `usable`: the token that is held is; `failing`: there is a note
    that is news.
    """
    if verdict is Verdict.BETTER:
        return Step.TAKE
    if lock is Lock.UNTRIED:
        return Step.LOCK
    if lock is Lock.OURS:
        return Step.CALL
    if failing:
        return Step.FAIL if usable else Step.TURN
    return Step.CALL if waited >= patience else Step.WAIT


def patience(*, usable: bool, wait: float, lock_life: float) -> float:
    """How long, in seconds, another's renewal is waited for. `wait` is how long requests wait for a token."""
    return lock_life if usable else wait / 2


def lock_life(request_timeout: float, secrets: int) -> float:
    """Seconds after which a lock ends by itself: its owner cannot be calling any more."""
    return request_timeout * secrets + 5.0


def look_again_in(looks: int, drawn: float) -> float:
    """Seconds until the next look, after so many; `drawn` is a random number from 0 up to 1."""
    return min(FIRST_LOOK * 1.6 ** min(looks, 20), LAST_LOOK) * (0.5 + drawn / 2)


@dataclass(frozen=True)
class Breaker:
    """Whether the engine is asked at all. After some failures in a row it is left alone, each time for longer."""

    failures: int = 0
    closed_until: float = 0.0
    """The event loop's time, in seconds."""

    THRESHOLD = 3
    SHORTEST = 5.0
    LONGEST = 300.0

    def asks(self, now: float) -> bool:
        return now >= self.closed_until

    @property
    def open(self) -> bool:
        """It failed so often that it is left alone, or tried only now and then."""
        return self.failures >= self.THRESHOLD

    def failed(self, now: float, drawn: float) -> Breaker:
        if not self.asks(now):
            return self  # It was asked before that was known: several sources fail by one and the same freeze.
        failures = self.failures + 1
        if failures < self.THRESHOLD:
            return replace(self, failures=failures)
        pause = min(self.SHORTEST * 2.0 ** min(failures - self.THRESHOLD, 10), self.LONGEST)
        return Breaker(failures, now + pause * (0.5 + drawn / 2))

    def succeeded(self) -> Breaker:
        return self if self.failures == 0 else Breaker()
