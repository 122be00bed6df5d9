"""What to do about a 401 from the upstream. No clock is read here and nothing waits.

A 401 may mean that the token was revoked, and then a new one helps; or that the upstream does not want this
client at all, and then it does not. One renewal tells which. An upstream that answers 401 to everything must
not make us call the token endpoint for each request: calls are billed, and Cognito allows an account 150 a second.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from proxy.clock import Reading
from proxy.tokens.interface import AccessToken
from proxy.tokens.rules import later, reached

COOL_DOWN = 30.0
"""Seconds for which 401s pass through after a renewal that did not help."""
MOST_RENEWALS = 10
MOST_RENEWALS_WITHIN = 300.0
"""No more than so many renewals because of 401s in so many seconds. This holds where one route of an upstream
accepts each new token and another route refuses it: every renewal then seems to have helped."""


class Verdict(Enum):
    """What becomes of one 401."""

    TAKE = "another token is there already, or is on its way: take that"
    RENEW = "ask for a new token, or join the fetch that is running"
    COOL_DOWN = "the last renewal did not help: begin to let 401s pass"
    COOLING_DOWN = "let it pass"
    FAIL = "the token endpoint is failing and its next attempt is not due: let it pass"


class Refusals:
    """What is remembered of the 401s of one upstream's tokens, and the judgement of the next one.

        token refused    proven  cool-down  pausing   verdict
        ---------------  ------  ---------  -------   -----------------------------------------
        not the current  any     any        any       TAKE
        the current      any     running    any       COOLING_DOWN
        the current      no      none       any       COOL_DOWN
        the current      any     over       no        RENEW
        the current      yes     none       no        RENEW, or COOL_DOWN where there were too many
        the current      any     over       yes       FAIL
        the current      yes     none       yes       FAIL

    A token is proven unless it was fetched because of a 401 and no upstream has accepted it yet. `pausing`
    means that the source waits out the pause after a failure.
    """

    def __init__(self) -> None:
        self.on_trial = False
        """The token that comes next is fetched because of a 401."""
        self._cooling_until: Reading | None = None
        """The end of the last cool-down, even when it is over, until a token comes after it."""
        self._renewals: deque[Reading] = deque(maxlen=MOST_RENEWALS)

    def judge(self, number: int, current: AccessToken | None, now: Reading, *, pausing: bool) -> Verdict:
        """Judge a 401 to token `number`; a cool-down begins with the verdict."""
        if current is None or number != current.number:
            return Verdict.TAKE
        cooling = self._cooling_until
        if cooling is not None and not reached(cooling, now):
            return Verdict.COOLING_DOWN
        if (cooling is None and not current.proven) or self._too_many(now):
            self._cooling_until = later(now, COOL_DOWN)
            return Verdict.COOL_DOWN
        return Verdict.FAIL if pausing else Verdict.RENEW

    def renewing(self, now: Reading) -> None:
        """A renewal because of a 401 begins."""
        self._renewals.append(now)

    def obtained(self, now: Reading) -> bool:
        """A token came. True when it is on trial."""
        on_trial, self.on_trial = self.on_trial, False
        if self._cooling_until is not None and reached(self._cooling_until, now):
            self._cooling_until = None
        return on_trial

    def _too_many(self, now: Reading) -> bool:
        if len(self._renewals) < MOST_RENEWALS:
            return False
        return not reached(later(self._renewals[0], MOST_RENEWALS_WITHIN), now)
