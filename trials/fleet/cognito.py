"""The token endpoint, seen from outside: how long a call takes, and what is answered.

Cognito serves so many calls a second for an account and region, whoever makes them, and answers 429 to the others
(docs: quotas, category ClientAuthentication). Here a second is one of the clock's: its first calls are served. How
Cognito measures it is not published; a bucket that fills evenly would serve less of a burst and the same in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from proxy.errors import Reason
from trials.fleet.ledger import Ledger

QUOTA: Final = 150
"""Calls a second that are served."""
QUICKEST: Final = 0.08
SLOWER: Final = 0.12
"""Seconds. A call takes the first, and from nothing to twice the second more, evenly; nobody waits in a line."""
REFUSED_IN: Final = 0.05
"""Seconds until an endpoint that is out of order says so, where it says anything."""


class Span(NamedTuple):
    """From when to when, in seconds."""

    begin: float
    end: float

    def has(self, moment: float) -> bool:
        return self.begin <= moment < self.end

    def later(self, seconds: float) -> Span:
        return Span(self.begin + seconds, self.end + seconds)


class Outage(NamedTuple):
    """When no token can be had. A silent endpoint answers nothing, so that each call runs into its time limit."""

    span: Span
    silent: bool = False


class Neighbour(NamedTuple):
    """Another client of the same account, which leaves only so many calls of each second."""

    span: Span
    leaves: int


class Trouble(NamedTuple):
    """What goes wrong at the endpoint."""

    outages: Sequence[Outage] = ()
    neighbours: Sequence[Neighbour] = ()
    retry_after: float | None = None
    """Seconds that a 429 asks for; Cognito's has none."""

    def later(self, seconds: float) -> Trouble:
        """The same, so many seconds later."""
        outages = [Outage(one.span.later(seconds), one.silent) for one in self.outages]
        return Trouble(
            outages, [Neighbour(one.span.later(seconds), one.leaves) for one in self.neighbours], self.retry_after
        )


class Answer(NamedTuple):
    """What a call brings, and after how many seconds. `reason` is None where it is a token."""

    seconds: float
    reason: Reason | None = None
    retry_after: float | None = None


class Endpoint(Protocol):
    """What a pod may ask."""

    def call(self, now: float) -> Answer:
        """A call that begins now. Calls have to come in the order of their times."""


class Cognito:
    """An Endpoint with a quota. It counts what it is asked in the ledger."""

    def __init__(self, trouble: Trouble, timeout: float, draw: Callable[[], float], ledger: Ledger) -> None:
        """`timeout` is the callers' own limit for one call; `draw` gives random numbers from 0 up to 1."""
        self._trouble = trouble
        self._timeout = timeout
        self._draw = draw
        self._ledger = ledger
        self._second = -1
        self._served = 0

    def call(self, now: float) -> Answer:
        """See Endpoint."""
        self._ledger.call(now)
        for outage in self._trouble.outages:
            if outage.span.has(now):
                return Answer(self._timeout, "timeout") if outage.silent else Answer(REFUSED_IN, "server_error")
        second = int(now)
        if second != self._second:
            self._second, self._served = second, 0
        seconds = QUICKEST + SLOWER * 2.0 * self._draw()
        if self._served >= self._quota(now):
            self._ledger.throttled(now)
            return Answer(seconds, "throttled", self._trouble.retry_after)
        self._served += 1
        self._ledger.granted(now)
        return Answer(seconds)

    def _quota(self, now: float) -> int:
        neighbours = self._trouble.neighbours
        return min([QUOTA, *(one.leaves for one in neighbours if one.span.has(now))]) if neighbours else QUOTA
