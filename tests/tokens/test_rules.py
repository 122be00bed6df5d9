"""The table at the top of `proxy.tokens.rules`, row by row."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import Reading
from proxy.tokens.interface import AccessToken
from proxy.tokens.rules import (
    Decision,
    Event,
    Snapshot,
    State,
    Token,
    decide,
    later,
    make_token,
    margin,
    reached,
    renewal_age,
    seconds_until,
    state_of,
)

START: Final = Reading(1000.0, 50_000.0)
LIFE: Final = 1000.0  # renewed at an age of 750, taken for expired at 990
TOKEN: Final = make_token(AccessToken("text", 1), START, LIFE, ("a",), 750.0)


def at(age: float) -> Reading:
    return later(START, age)


def ask(
    age: float,
    event: Event = Event.TICK,
    *,
    token: Token | None = TOKEN,
    fetching: bool = False,
    retry_at: float | None = None,
    asked: float | None = None,
    waiters: int = 0,
    idle_after: float = 0.0,
) -> Decision:
    snapshot = Snapshot(
        token=token,
        fetching=fetching,
        retry_at=None if retry_at is None else at(retry_at),
        asked=at(age if asked is None else asked),
        waiters=waiters,
        idle_after=idle_after,
    )
    return decide(snapshot, at(age), event)


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (0, State.FRESH),
        (749.9, State.FRESH),
        (750, State.STALE),
        (989.9, State.STALE),
        (990, State.EXPIRED),
        (1e6, State.EXPIRED),
    ],
)
def test_states_by_age(age: float, state: State) -> None:
    assert state_of(TOKEN, at(age)) is state
    assert ask(age).state is state


def test_a_source_without_a_token_is_empty() -> None:
    assert state_of(None, START) is State.EMPTY
    assert TOKEN.expires_at == START.wall + LIFE


@pytest.mark.parametrize(
    ("monotonic_age", "wall_age", "state"),
    [
        (10, 10, State.FRESH),
        (10, 800, State.STALE),  # the machine slept
        (10, 2000, State.EXPIRED),
        (800, 10, State.STALE),  # the wall clock was set back: the monotonic one governs
        (2000, -90_000, State.EXPIRED),  # and it does not revive what is dead
        (10, -90_000, State.FRESH),  # nor kill what is alive
    ],
)
def test_either_clock_ends_a_life(monotonic_age: float, wall_age: float, state: State) -> None:
    now = Reading(START.monotonic + monotonic_age, START.wall + wall_age)
    assert state_of(TOKEN, now) is state


PAUSE: Final = 5000.0  # a next attempt that is far away
ROWS: Final = [
    # age, event, fetching, retry_at, usable, fetch, until: what each is for follows from the table
    ("fresh: nothing", 10, Event.TICK, False, None, True, False, 750),
    ("fresh: taken", 10, Event.REQUEST, False, None, True, False, 750),
    ("fresh: mended, nothing was wrong", 10, Event.MENDED, False, None, True, False, 750),
    ("fresh: refused", 10, Event.REFUSED, False, None, True, True, 750),
    ("fresh: refused while fetching", 10, Event.REFUSED, True, None, True, False, 750),
    ("fresh: refused in a pause", 10, Event.REFUSED, False, 20, True, False, 20),
    ("fresh: a failed renewal is due again", 20, Event.TICK, False, 20, True, True, 750),
    ("fresh: a pause longer than its life", 10, Event.TICK, False, PAUSE, True, False, 750),
    ("stale: renewed", 800, Event.TICK, False, None, True, True, 990),
    ("stale: renewed by a request too", 800, Event.REQUEST, False, None, True, True, 990),
    ("stale: one at a time", 800, Event.REQUEST, True, None, True, False, 990),
    ("stale: in a pause", 800, Event.REQUEST, False, 900, True, False, 900),
    ("stale: the pause is over", 900, Event.TICK, False, 900, True, True, 990),
    ("stale: mended in a pause", 800, Event.MENDED, False, 900, True, True, 990),
    ("expired: fetched", 995, Event.TICK, False, None, False, True, None),
    ("expired: waits for the fetch", 995, Event.REQUEST, True, None, False, False, None),
    ("expired: in a pause", 995, Event.REQUEST, False, 1100, False, False, 1100),
    ("expired: the pause is over", 1100, Event.REQUEST, False, 1100, False, True, None),
    ("expired: mended in a pause", 995, Event.MENDED, False, 1100, False, True, None),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row(row: tuple[str, float, Event, bool, float | None, bool, bool, float | None]) -> None:
    _, age, event, fetching, retry_at, usable, fetch, until = row
    decision = ask(age, event, fetching=fetching, retry_at=retry_at)
    assert (decision.usable, decision.fetch) == (usable, fetch)
    assert decision.until == (None if until is None else at(until))
    assert not decision.at_rest


@pytest.mark.parametrize(
    ("event", "fetching", "retry_at", "fetch", "until"),
    [
        (Event.TICK, False, None, True, None),
        (Event.REQUEST, True, None, False, None),
        (Event.REQUEST, False, 100, False, 100),
        (Event.TICK, False, 50, True, None),
        (Event.MENDED, False, 100, True, None),
    ],
)
def test_empty(event: Event, fetching: bool, retry_at: float | None, fetch: bool, until: float | None) -> None:
    decision = ask(50, event, token=None, fetching=fetching, retry_at=retry_at, asked=0, idle_after=1)
    assert decision == Decision(State.EMPTY, False, fetch, False, None if until is None else at(until))


@pytest.mark.parametrize(
    ("age", "asked", "waiters", "event", "retry_at", "at_rest", "fetch"),
    [
        (700, 0, 0, Event.TICK, None, False, False),  # fresh: nothing is due, so nothing rests
        (800, 0, 0, Event.TICK, None, True, False),
        (800, 0, 0, Event.TICK, 790, True, False),  # nor is a failed attempt repeated
        (800, 0, 0, Event.TICK, 900, True, False),
        (800, 0, 1, Event.TICK, None, False, True),  # a request that waits is not idleness
        (800, 500, 0, Event.TICK, None, False, True),
        (800, 800, 0, Event.REQUEST, None, False, True),  # the next request wakes it
        (2000, 0, 0, Event.TICK, None, True, False),  # it ran out at rest
        (2000, 0, 0, Event.MENDED, None, True, False),
        (2000, 0, 0, Event.MENDED, 2100, False, True),  # what failed is tried with what is new
    ],
)
def test_rest(
    age: float, asked: float, waiters: int, event: Event, retry_at: float | None, at_rest: bool, fetch: bool
) -> None:
    decision = ask(age, event, asked=asked, waiters=waiters, retry_at=retry_at, idle_after=600)
    assert (decision.at_rest, decision.fetch) == (at_rest, fetch)


def test_a_source_without_idle_after_never_rests() -> None:
    assert ask(1e6, asked=0, idle_after=0).fetch


@pytest.mark.parametrize(("life", "seconds"), [(3600, 10), (200, 10), (199, 9.95), (2, 0.1), (1, 0.05)])
def test_margin(life: float, seconds: float) -> None:
    assert margin(life) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("life", "refresh_at", "jitter", "drawn", "age"),
    [
        (3600, 0.75, 0.05, 0.5, 2700),
        (3600, 0.75, 0.05, 0.0, 2520),
        (3600, 0.75, 0.05, 1.0, 2880),
        (2, 0.75, 0.0, 0.5, 1.5),
        (3600, 1.0, 0.5, 1.0, 3590),  # never past the margin
        (3600, 0.02, 0.5, 0.0, 36),  # jitter does not take more than half
        (10, 0.01, 0.0, 0.5, 0.5),  # never sooner than half a second
        (1, 0.75, 0.0, 0.5, 0.75),
        (0.5, 0.75, 0.0, 0.5, 0.475),
    ],
)
def test_renewal_age(life: float, refresh_at: float, jitter: float, drawn: float, age: float) -> None:
    assert renewal_age(life, refresh_at, jitter, drawn) == pytest.approx(age)


moments = st.builds(Reading, st.floats(0, 1e9), st.floats(-1e9, 1e10))


@given(
    token=st.none() | st.just(TOKEN),
    fetching=st.booleans(),
    retry_at=st.none() | moments,
    asked=moments,
    waiters=st.integers(0, 3),
    idle_after=st.sampled_from([0.0, 1.0, 600.0]),
    now=moments,
    event=st.sampled_from(Event),
)
def test_what_holds_always(
    token: Token | None,
    fetching: bool,
    retry_at: Reading | None,
    asked: Reading,
    waiters: int,
    idle_after: float,
    now: Reading,
    event: Event,
) -> None:
    snapshot = Snapshot(token, fetching, retry_at, asked, waiters, idle_after)
    decision = decide(snapshot, now, event)
    assert not (decision.fetch and fetching), "one fetch at a time"
    assert decision.usable == (decision.state in (State.FRESH, State.STALE))
    if decision.until is not None:
        assert not reached(decision.until, now), "a timer that is due already would fire for ever"
    if not decision.usable and not fetching and not decision.fetch and not decision.at_rest:
        assert decision.until is not None, "without a token there is always a next attempt"


def test_time_until_the_first_of_two_clocks() -> None:
    assert seconds_until(Reading(10.0, 100.0), Reading(4.0, 97.0)) == 3.0
    assert seconds_until(Reading(10.0, 100.0), Reading(4.0, 197.0)) == 0.0
