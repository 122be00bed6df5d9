"""One sidecar, as far as its token goes: what `proxy.tokens.source` does with tasks and timers, done in virtual time.

It decides nothing. What to do is asked of `rules.decide`, when to renew of `renewal_age`, how long to pause of
`Backoff`; how a fetch goes is the way's, alone or by a shared cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from proxy.clock import Reading
from proxy.config.model import Auth
from proxy.errors import Reason
from proxy.tokens.backoff import Backoff
from proxy.tokens.interface import AccessToken
from proxy.tokens.rules import Event, Snapshot, Token, decide, later, make_token, reached, renewal_age
from trials.fleet.callers import Callers
from trials.fleet.ledger import Ledger
from trials.fleet.timeline import Timeline

_FIRST: Final = Backoff()


class Way(Protocol):
    """How a pod comes by a token."""

    @property
    def looks(self) -> bool:
        """A fetch may be less than a call, and is worth it while the pause after a failed call lasts."""

    def fetch(self, pod: Pod) -> None:
        """Begin a fetch. In the end, and not before this has returned, `pod.succeeded` or `pod.failed` is called, but

        not for a pod that has stopped."""

    def stopped(self) -> None:
        """The pod has stopped, perhaps while a fetch was running."""


class Pod:
    """A token source and its callers, from `start` to `stop`."""

    __slots__ = (
        "_auth",
        "_backoff",
        "_began",
        "_callers",
        "_draw",
        "_due",
        "_fetching",
        "_hearing",
        "_ledger",
        "_retry_at",
        "_timeline",
        "_way",
        "call_at",
        "stopped",
        "token",
    )

    def __init__(
        self, auth: Auth, callers: Callers, way: Way, timeline: Timeline, draw: Callable[[], float], ledger: Ledger
    ) -> None:
        self._auth = auth
        self._callers = callers
        self._way = way
        self._timeline = timeline
        self._draw = draw
        self._ledger = ledger
        self._began = timeline.now
        self._fetching = False
        self._retry_at: Reading | None = None
        self._backoff = self._hearing = _FIRST
        self._due = math.inf
        """When the timer is due that counts; others have been set before it and are let pass."""
        self.call_at = -math.inf
        """When the next call is due, after one that failed."""
        self.token: Token | None = None
        self.stopped = False

    def start(self) -> None:
        self._began = self._timeline.now
        self._look(Event.TICK)

    def stop(self) -> None:
        """The pod ends. A fetch that is running is cut, which Cognito does not notice."""
        now = self._timeline.now
        self.stopped = True
        self._way.stopped()
        self._ledger.gap(self._uncovered_since(), now, self._callers, 0.0)
        self._ledger.lived(self._began, now, self._callers)

    def succeeded(self, obtained: float, life: float, access: AccessToken) -> None:
        """A fetch has brought a token that was asked for at `obtained`."""
        now, auth = self._timeline.now, self._auth
        renew_after = renewal_age(life, auth.refresh_at, auth.refresh_jitter, self._draw())
        token = make_token(access, Reading(obtained, obtained), life, (), renew_after)
        if reached(token.usable_until, Reading(now, now)):
            self.failed("timeout", None)
            return
        if self.token is None:
            self._ledger.started(self._began, now)
        if (since := self._uncovered_since()) < now:
            self._ledger.gap(since, now, self._callers, self._auth.wait)
        self.token = token
        self._retry_at, self.call_at = None, -math.inf
        self._backoff = self._hearing = _FIRST
        self._fetching = False
        self._look(Event.TICK)

    def failed(self, reason: Reason, retry_after: float | None, *, heard: bool = False) -> None:
        """A fetch has brought none; `heard`: and no call was made for it."""
        now = self._timeline.now
        pause = math.inf
        if not heard:
            self._backoff = self._backoff.after(reason)
            pause = self._backoff.pause(self._draw(), retry_after)
            self.call_at = now + pause
        if self._way.looks:
            self._hearing = self._hearing.hearing()
            pause = min(pause, self._hearing.pause(self._draw(), None))
        self._retry_at = later(Reading(now, now), pause)
        self._fetching = False
        self._look(Event.TICK)

    def _look(self, event: Event) -> None:
        now = self._timeline.now
        asked = self._callers.last(now)
        reading = Reading(now, now)
        # Requests that wait are of the last seconds, and `asked` knows of them.
        last = reading if asked == now else Reading(max(asked, self._began), max(asked, self._began))
        decision = decide(
            Snapshot(self.token, self._fetching, self._retry_at, last, 0, self._auth.idle_after), reading, event
        )
        if decision.fetch:
            # No timer meanwhile: while a fetch is running nothing is begun, and its end asks again.
            self._fetching, self._due = True, math.inf
            self._way.fetch(self)
            return
        due = math.inf if decision.until is None else decision.until.monotonic
        if decision.at_rest:
            due = min(due, self._callers.next(now))
        self._due = due
        if due < math.inf:
            self._timeline.at(due, self._tick)

    def _tick(self) -> None:
        now = self._timeline.now
        if now < self._due or self.stopped or self._fetching:
            return
        self._look(Event.REQUEST if self._callers.last(now) == now else Event.TICK)

    def _uncovered_since(self) -> float:
        return self._began if self.token is None else self.token.usable_until.monotonic
