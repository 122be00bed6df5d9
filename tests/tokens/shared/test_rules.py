"""What a token source does when it needs a token and there is a shared cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.secret import Secret
from proxy.tokens.shared.rules import (
    LAST_LOOK,
    Breaker,
    Entry,
    Held,
    Lock,
    Note,
    Step,
    Verdict,
    is_news,
    judge,
    lock_life,
    look_again_in,
    next_step,
    patience,
)

NOW = 1_800_000_000.0
OURS = Held(Secret("ours"), expires=NOW + 900, usable=True, refused=False)


def _entry(token: str = "theirs", *, age: float = 0, life: float = 3600) -> Entry:
    return Entry(Secret(token), NOW - age, life, ())


@pytest.mark.parametrize(
    ("entry", "held", "claimed", "verdict"),
    [
        pytest.param(_entry(), None, None, Verdict.BETTER, id="any is better than none"),
        pytest.param(_entry(age=3000), None, None, Verdict.BETTER, id="an old one as well"),
        pytest.param(_entry(age=3595), None, None, Verdict.USELESS, id="not in the margin before its end"),
        pytest.param(_entry(age=5000), None, None, Verdict.USELESS, id="nor after it"),
        pytest.param(_entry(), OURS, None, Verdict.BETTER, id="one that lives longer"),
        pytest.param(_entry("ours"), OURS, None, Verdict.NO_BETTER, id="the one that we have"),
        pytest.param(_entry(age=3000), OURS, None, Verdict.NO_BETTER, id="one that ends sooner"),
        pytest.param(_entry(age=3000), OURS._replace(refused=True), None, Verdict.BETTER, id="unless ours is refused"),
        pytest.param(_entry("ours"), OURS._replace(refused=True), None, Verdict.NO_BETTER, id="and it is another one"),
        pytest.param(_entry(age=-20), None, None, Verdict.BETTER, id="another clock may be a little ahead"),
        pytest.param(_entry(age=-31), None, None, Verdict.FALSE, id="but not much"),
        pytest.param(_entry(life=3600), None, 3599.5, Verdict.BETTER, id="a JWT that says about the same"),
        pytest.param(_entry(life=3600), None, 300.0, Verdict.FALSE, id="a JWT that says less"),
    ],
)
def test_an_entry_is_judged(entry: Entry, held: Held | None, claimed: float | None, verdict: Verdict) -> None:
    assert judge(entry, held, NOW, claimed) is verdict


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        pytest.param(NOW + 3600, Verdict.BETTER, id="when it says"),
        pytest.param(NOW + 3575, Verdict.BETTER, id="clocks may differ a little"),
        pytest.param(NOW + 60, Verdict.FALSE, id="an old token, as if it were new"),
        pytest.param(NOW - 60, Verdict.FALSE, id="a dead one"),
        pytest.param(float("inf"), Verdict.BETTER, id="it does not say when"),
    ],
)
def test_the_end_that_the_token_itself_tells_counts(ends: float, verdict: Verdict) -> None:
    assert judge(_entry(), None, NOW, 3600.0, ends) is verdict


@pytest.mark.parametrize(
    ("usable", "failing", "instead"),
    [(True, False, None), (False, False, None), (True, True, Step.FAIL), (False, True, Step.TURN)],
)
@pytest.mark.parametrize(
    ("verdict", "lock", "waited", "step"),
    [
        (Verdict.BETTER, Lock.UNTRIED, 0, Step.TAKE),
        (Verdict.BETTER, Lock.OURS, 0, Step.TAKE),
        (Verdict.BETTER, Lock.TAKEN, 9, Step.TAKE),
        (None, Lock.UNTRIED, 0, Step.LOCK),
        (Verdict.NO_BETTER, Lock.UNTRIED, 0, Step.LOCK),
        (Verdict.FALSE, Lock.UNTRIED, 0, Step.LOCK),
        (None, Lock.OURS, 0, Step.CALL),
        (Verdict.USELESS, Lock.OURS, 0, Step.CALL),
        (None, Lock.TAKEN, 2.4, Step.WAIT),
        (None, Lock.TAKEN, 2.5, Step.CALL),
    ],
)
def test_what_is_next(
    verdict: Verdict | None, lock: Lock, waited: float, step: Step, usable: bool, failing: bool, instead: Step | None
) -> None:
    if lock is Lock.TAKEN and step is not Step.TAKE:
        step = instead or step
    assert next_step(verdict, lock, usable=usable, failing=failing, waited=waited, patience=2.5) is step


@pytest.mark.parametrize(
    ("at", "entry", "news"),
    [
        pytest.param(NOW - 1, None, True, id="a moment ago"),
        pytest.param(NOW - 1, _entry(age=100), True, id="after the last token"),
        pytest.param(NOW - 1, _entry(), False, id="before a token came"),
        pytest.param(NOW - 54, None, True, id="by a clock that is behind"),
        pytest.param(NOW + 29, None, True, id="or ahead"),
        pytest.param(NOW - 56, None, False, id="put back by somebody"),
        pytest.param(NOW + 31, None, False, id="out of a future that is none"),
        pytest.param(float("nan"), None, False, id="no time"),
    ],
)
def test_what_a_note_is_worth(at: float, entry: Entry | None, news: bool) -> None:
    assert is_news(Note("timeout", at), entry, NOW, 25) is news


def test_who_has_nothing_to_lose_is_the_more_patient() -> None:
    assert patience(usable=True, wait=5, lock_life=25) == 25
    assert patience(usable=False, wait=5, lock_life=25) == 2.5


def test_a_lock_outlives_every_call_of_its_owner() -> None:
    assert lock_life(10, 2) > 20


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_looks_are_further_and_further_apart(looks: int, drawn: float) -> None:
    assert 0.05 <= look_again_in(looks, drawn) <= LAST_LOOK
    assert look_again_in(looks, 0.5) <= look_again_in(looks + 1, 0.5)


def test_the_engine_is_left_alone_for_longer_and_longer() -> None:
    breaker, now, pauses = Breaker(), 0.0, []
    for _ in range(14):
        breaker = breaker.failed(now, 1.0)
        if breaker.open:
            assert breaker.failed(now, 1.0) == breaker, "what was asked before that was known"
        pauses.append(breaker.closed_until - now if breaker.open else 0.0)
        assert breaker.asks(now) is not breaker.open
        now = max(now, breaker.closed_until)
        assert breaker.asks(now)
    assert pauses[:5] == [0, 0, 5, 10, 20]
    assert max(pauses) == pauses[-1] == Breaker.LONGEST
    assert breaker.succeeded() == Breaker()
    assert Breaker().failed(0, 0).succeeded() == Breaker()
    whole = Breaker()
    assert whole.succeeded() is whole
