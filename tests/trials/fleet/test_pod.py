"""A pod of the simulation does what the sidecar's own token source does: the same calls at the same moments."""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.model import Auth, Value
from proxy.errors import Reason, TokenError
from proxy.secret import Secret
from proxy.tokens.endpoint import Grant
from proxy.tokens.source import TokenSource
from tests.fakes import FakeClock
from tests.tokens.helpers import make_auth
from trials.fleet.alone import ACCESS
from trials.fleet.callers import Callers, Daily, Seldom, Steady
from trials.fleet.ledger import Ledger
from trials.fleet.pod import Pod
from trials.fleet.timeline import Timeline

HOUR: Final = 3600.0
LATE: Final = 0.001
"""Seconds by which the source sets its timers late."""


class Outcome(NamedTuple):
    """What one call brings, and after how long. `reason` is None where it is a token of `life` seconds."""

    seconds: float
    life: float = HOUR
    reason: Reason | None = None
    retry_after: float | None = None


class Scripted:
    """A pod's way to a token, by a script; after its end every call brings a token of an hour."""

    looks = False

    def __init__(self, script: list[Outcome], timeline: Timeline) -> None:
        self._script = iter(script)
        self._timeline = timeline
        self.calls: list[float] = []

    def fetch(self, pod: Pod) -> None:
        now = self._timeline.now
        self.calls.append(now)
        outcome = next(self._script, Outcome(0.2))
        self._timeline.at(now + outcome.seconds, partial(self._ended, pod, now, outcome))

    def stopped(self) -> None:
        pass

    def _ended(self, pod: Pod, sent: float, outcome: Outcome) -> None:
        if outcome.reason is None:
            pod.succeeded(sent, outcome.life, ACCESS)
        else:
            pod.failed(outcome.reason, outcome.retry_after)


class Endpoint:
    """The same for a token source."""

    def __init__(self, script: list[Outcome], clock: FakeClock) -> None:
        self._script = iter(script)
        self._clock = clock
        self.calls: list[float] = []

    async def obtain(self, secret: Value) -> Grant:
        self.calls.append(self._clock.monotonic)
        outcome = next(self._script, Outcome(0.2))
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clock.call_later(outcome.seconds, partial(answered.set_result, None))
        await answered
        if outcome.reason is not None:
            raise TokenError(outcome.reason, "as the script says", retry_after=outcome.retry_after)
        return Grant(Secret("token"), outcome.life, ())


def of_the_pod(script: list[Outcome], auth: Auth, callers: Callers, seconds: float) -> list[float]:
    timeline = Timeline()
    way = Scripted(script, timeline)
    pod = Pod(auth, callers, way, timeline, Random(7).random, Ledger(0, seconds, by_second=False))
    pod.start()
    timeline.run(seconds)
    return way.calls


async def of_the_source(script: list[Outcome], auth: Auth, callers: Callers, seconds: float) -> list[float]:
    clock = FakeClock(0.0, 0.0)
    endpoint = Endpoint(script, clock)
    source = TokenSource(auth, ("orders",), clock=clock, draw=Random(7).random, connect=lambda *_: endpoint)
    source.start()
    step = seconds if callers == Steady() else 60.0
    while (now := clock.monotonic) < seconds:
        coming = callers.next(now)
        due = min(seconds, now + step, coming if coming > now else seconds)
        await clock.turn(due - now)
        if callers.last(due) == due:
            source.current()
    await source.close()
    return endpoint.calls


outcomes = st.builds(
    Outcome,
    seconds=st.floats(0.05, 10),
    life=st.sampled_from([30.0, 300.0, HOUR]),
    reason=st.none() | st.sampled_from(["throttled", "server_error", "timeout", "invalid_client"]),
    retry_after=st.none() | st.floats(1, 400),
)


@settings(deadline=None)  # An example is hours of virtual time.
@given(script=st.lists(outcomes, max_size=12))
async def test_it_calls_when_the_source_would(script: list[Outcome]) -> None:
    auth = make_auth(refresh_jitter=0.05)
    ours = of_the_pod(script, auth, Steady(), 3 * HOUR)
    theirs = await of_the_source(script, auth, Steady(), 3 * HOUR)
    assert ours == pytest.approx(theirs, abs=LATE * (len(theirs) + 2))


@pytest.mark.parametrize(
    "callers",
    [Seldom(1000.0, first=1000.0), Seldom(2 * HOUR, first=500.0), Daily(1 * HOUR, 1.25 * HOUR)],
    ids=["each quarter of an hour", "each second hour", "a quarter of an hour a day"],
)
async def test_it_rests_when_the_source_would(callers: Callers) -> None:
    auth = make_auth(refresh_jitter=0.05, idle_after=900.0)
    script = [Outcome(0.2), Outcome(0.2, reason="server_error"), Outcome(10, reason="timeout")]
    ours = of_the_pod(script, auth, callers, 10 * HOUR)
    theirs = await of_the_source(script, auth, callers, 10 * HOUR)
    assert ours == pytest.approx(theirs, abs=LATE * (len(theirs) + 2))
    assert len(ours) > 3
