"""Pods of the simulation that share tokens call when real token sources would that share a store."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count
from typing import Final, NamedTuple

import pytest

from proxy.config.model import Value
from proxy.errors import TokenError
from proxy.secret import Secret
from proxy.stats import CacheStats
from proxy.tokens.endpoint import Grant
from proxy.tokens.shared.sharing import Engine as RealEngine
from proxy.tokens.source import TokenSource
from tests.fakes import FakeClock
from tests.tokens.helpers import make_auth
from tests.tokens.shared.stores import MemoryStore
from trials.fleet.callers import Steady
from trials.fleet.cognito import Answer, Outage, Span
from trials.fleet.ledger import Ledger
from trials.fleet.pod import Pod
from trials.fleet.shared import Commons, Engine, Shared
from trials.fleet.timeline import Timeline

PODS: Final = 6
AUTH: Final = make_auth(refresh_jitter=0.05)


class Story(NamedTuple):
    """What both go through. Pods start 10 ms apart; each draws one and the same number all the time."""

    life: float
    seconds: float
    outage: Outage | None = None
    engine_away: Span | None = None

    def answer(self, now: float) -> Answer:
        if self.outage is not None and self.outage.span.has(now):
            return Answer(10.0, "timeout") if self.outage.silent else Answer(0.05, "server_error")
        return Answer(0.2)


def drawn(place: int) -> float:
    return (place + 0.5) / PODS


class ToldEndpoint:
    """The token endpoint of the simulation, as the story has it."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.calls: list[float] = []

    def call(self, now: float) -> Answer:
        self.calls.append(now)
        return self._story.answer(now)


def of_the_simulation(story: Story) -> list[float]:
    timeline, ledger = Timeline(), Ledger(0, story.seconds, by_second=False)
    cognito = ToldEndpoint(story)
    engine = Engine([story.engine_away] if story.engine_away else [], ledger)
    for place in range(PODS):
        draw = partial(drawn, place)
        commons = Commons(engine, cognito, story.life, AUTH, timeline, draw, count(1 + place * 1_000_000))
        pod = Pod(AUTH, Steady(), Shared(commons), timeline, draw, ledger)
        timeline.at(place * 0.01, pod.start)
    timeline.run(story.seconds)
    return cognito.calls


class RealEndpoint:
    """The same for token sources."""

    def __init__(self, story: Story, clock: FakeClock, calls: list[float]) -> None:
        self._story = story
        self._clock = clock
        self._calls = calls

    async def obtain(self, secret: Value) -> Grant:
        now = self._clock.monotonic
        self._calls.append(now)
        answer = self._story.answer(now)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clock.call_later(answer.seconds, partial(answered.set_result, None))
        await answered
        if answer.reason is not None:
            raise TokenError(answer.reason, "as the story says")
        return Grant(Secret(f"token-{now}"), self._story.life, ())


async def of_the_sources(story: Story) -> list[float]:
    clock, calls = FakeClock(0.0, 0.0), list[float]()
    store = MemoryStore(clock)
    endpoint = RealEndpoint(story, clock, calls)
    sources = []
    for place in range(PODS):
        draw = partial(drawn, place)
        sharing = RealEngine(store, clock, draw, CacheStats()).share(AUTH)
        source = TokenSource(
            AUTH, (f"pod {place}",), clock=clock, draw=draw, connect=lambda *_: endpoint, sharing=sharing
        )
        sources.append(source)
        source.start()
        await clock.turn(0.01)
    for begin, end in [story.engine_away] if story.engine_away else []:
        await clock.turn(begin - clock.monotonic)
        store.trouble = "connection"
        await clock.turn(end - clock.monotonic)
        store.trouble = None
    await clock.turn(story.seconds - clock.monotonic)
    for source in sources:
        await source.close()
    return calls


CALM: Final = Story(3600, 5 * 3600)
REFUSES: Final = Story(300, 3600, outage=Outage(Span(1000, 2000)))
SILENT: Final = Story(300, 3600, outage=Outage(Span(1000, 2000), silent=True))
ENGINE_AWAY: Final = Story(300, 3600, engine_away=Span(1000, 2500))


@pytest.mark.parametrize(
    ("story", "differ"),
    [
        pytest.param(CALM, 0, id="calm"),
        pytest.param(REFUSES, 0.1, id="the endpoint refuses"),
        pytest.param(SILENT, 0.1, id="the endpoint is silent"),
        pytest.param(ENGINE_AWAY, 0.1, id="the engine is away"),
    ],
)
async def test_they_call_when_sources_would(story: Story, differ: float) -> None:
    """An operation takes a thousandth of a second here and nothing there, so who is first may differ."""
    ours, theirs = of_the_simulation(story), await of_the_sources(story)
    for share in (0.25, 0.5, 0.75, 1.0):
        done, wanted = (sum(call < share * story.seconds for call in calls) for calls in (ours, theirs))
        assert done == pytest.approx(wanted, rel=differ, abs=differ * 10), f"{share:.0%} of the time"
