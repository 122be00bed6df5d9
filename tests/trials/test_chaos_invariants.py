"""Each invariant on records made by hand: silent about a good round, and clear about what breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from trials.caller import Outcome
from trials.chaos.invariants import INVARIANTS, MEMORY, Breach, Invariant, judge
from trials.chaos.records import Arrival, Beat, Body, Ending, Passage, Probe, Records
from trials.readings import Readings

READINGS = Readings(1.0, 4, 20, 50_000_000, 0, 0, 0, 0, 0)
GOOD = Outcome("a.1", "orders", "GET", "sized", True, 1.0, 2.0, "whole", 200, bearer="a.1", length=5, expected=5)
REFUSED = GOOD._replace(bearer="", error="overloaded", status=503, length=200, expected=0)
SENT = Passage("a.1", "GET", 10.0, nth=2, returned=50, status=200)
GOT = Arrival("a.1", "GET", 10.0, "valid", "k1", 100.0)
ROUND = Records(
    outcomes=(GOOD,),
    passages=(SENT,),
    arrivals=(GOT,),
    bodies=(Body("a.1", True, 7),),
    kids=frozenset(("k1", "k2")),
    probes=(Probe("GET", 0.1, 10.0),),
    beats=(Beat(0.5, 0.01, True, False), Beat(1.0, 8.0, True, True)),
    before=READINGS,
    after=READINGS,
    ending=Ending(False, 0, 0.1),
    log=('{"event": "drained"}',),
    secrets=frozenset(("s3cret-s3cret",)),
)


def _breaches(name: str, **changes: Any) -> list[str]:
    """What one invariant says of the good round with these changes."""
    [invariant] = [one for one in INVARIANTS if one.__name__ == name]
    return [str(breach) for breach in invariant(ROUND._replace(**changes))]


def test_a_good_round_breaks_nothing() -> None:
    assert [*judge(ROUND).values()] == [[] for _ in INVARIANTS]


def test_every_invariant_says_what_it_means() -> None:
    assert all(invariant.__doc__ for invariant in INVARIANTS)


@pytest.mark.parametrize(
    ("changes", "breach"),
    [
        ({"outcomes": (GOOD._replace(bearer="b.9"),)}, "a.1: got the answer to b.9"),
        ({"outcomes": (GOOD._replace(differs_at=3),)}, "a.1: byte 3 of the answer is not its own"),
        ({"outcomes": (GOOD._replace(extra=7),)}, "a.1: 7 bytes came after its answer"),
        ({"mixed": ("a.1",)}, "a.1: arrived with the id of another request in its head"),
        (
            {"bodies": (Body("a.1", False, 3),)},
            "a.1: arrived with a body of 3 bytes that was not sent, or not all of it",
        ),
    ],
)
def test_bytes_are_the_callers_own(changes: dict[str, Any], breach: str) -> None:
    assert _breaches("own_bytes", **changes) == [breach]


@pytest.mark.parametrize(
    ("arrival", "breach"),
    [
        (GOT._replace(verdict="no token"), "a.1: arrived with: no token"),
        (GOT._replace(verdict="forged: InvalidSignatureError"), "a.1: arrived with: forged: InvalidSignatureError"),
        (GOT._replace(verdict="unknown key", kid="k9"), "a.1: arrived with: unknown key"),
        (
            GOT._replace(verdict="expired", expires=7.5, at=60.0),
            "a.1: left with a token that had run out 2.5 s before",
        ),
        (GOT._replace(verdict="revoked key", expires=7.5), "a.1: left with a token that had run out 2.5 s before"),
        (GOT._replace(id="a.2"), "a.2: arrived without having been sent"),
    ],
)
def test_nobody_arrives_without_a_token(arrival: Arrival, breach: str) -> None:
    assert _breaches("valid_tokens", arrivals=(arrival,)) == [breach]


@pytest.mark.parametrize(
    "arrival",
    [
        GOT._replace(verdict="revoked key"),
        GOT._replace(verdict="unknown key", kid="k2"),
        GOT._replace(verdict="expired", expires=12.0, at=60.0),  # Good when it left; the way was long.
    ],
)
def test_a_token_that_was_good_when_it_left_is_good(arrival: Arrival) -> None:
    assert _breaches("valid_tokens", arrivals=(arrival,)) == []


def test_a_second_arrival_is_held_against_the_second_departure() -> None:
    late = SENT._replace(at=20.0)
    expired = GOT._replace(verdict="expired", expires=15.0)
    assert _breaches("valid_tokens", passages=(SENT, late), arrivals=(GOT, expired)) == [
        "a.1: left with a token that had run out 5.0 s before"
    ]
    assert _breaches("valid_tokens", arrivals=(GOT, GOT)) == ["a.1: arrived without having been sent"]


@pytest.mark.parametrize(
    ("outcomes", "breach"),
    [
        ((GOOD, GOOD), "a.1: has 2 outcomes"),
        ((GOOD._replace(end="late", ended=46.0),), "a.1: no answer, and no end either, in 45 s"),
        ((GOOD._replace(length=3),), "a.1: an answer of 5 bytes ended after 3 as if it were whole"),
        ((GOOD._replace(improper="no HTTP"),), "a.1: got no HTTP"),
    ],
)
def test_one_answer_or_a_cut_that_shows(outcomes: tuple[Outcome, ...], breach: str) -> None:
    assert _breaches("one_answer", outcomes=outcomes) == [breach]


@pytest.mark.parametrize("end", ["cut", "nothing", "left", "unconnected"])
def test_a_cut_that_shows_is_no_breach(end: Any) -> None:
    assert _breaches("one_answer", outcomes=(GOOD._replace(end=end, length=3),)) == []


@pytest.mark.parametrize(
    ("outcome", "breach"),
    [
        (REFUSED, "a.1: GET sized by orders: whole 503 overloaded"),
        (GOOD._replace(end="nothing", status=0), "a.1: GET sized by orders: nothing 0"),
        (GOOD._replace(status=401), "a.1: GET sized by orders: whole 401"),
        (GOOD._replace(kind="socket"), "a.1: GET socket by orders: whole 200"),
    ],
)
def test_harmless_faults_lose_nothing(outcome: Outcome, breach: str) -> None:
    assert _breaches("nothing_lost", outcomes=(outcome,), harmless=True) == [breach]
    assert _breaches("nothing_lost", outcomes=(outcome,), harmless=False) == []
    assert _breaches("nothing_lost", outcomes=(outcome._replace(fair=False),), harmless=True) == []


@pytest.mark.parametrize(
    "outcome",
    [
        GOOD._replace(kind="cut", end="cut"),
        GOOD._replace(kind="once401", status=401),
        GOOD._replace(kind="socket", status=101),
    ],
)
def test_what_was_asked_for_is_not_lost(outcome: Outcome) -> None:
    assert _breaches("nothing_lost", outcomes=(outcome,), harmless=True) == []


@pytest.mark.parametrize(
    ("outcome", "lost"),
    [
        (REFUSED._replace(error="shutting_down", began=9.9, ended=10.1), False),
        (GOOD._replace(end="unconnected", status=0, began=11.0, ended=11.0), False),
        (GOOD._replace(end="nothing", status=0, began=9.8, ended=10.1), False),  # On a connection that just closed.
        (GOOD._replace(kind="events", end="cut", began=5.0, ended=10.5), False),
        (GOOD._replace(end="cut", began=9.9, ended=10.5), True),
        (GOOD._replace(end="nothing", status=0, began=9.0, ended=10.1), True),
        (REFUSED._replace(error="shutting_down", began=9.0, ended=10.1), True),
        (REFUSED._replace(error="shutting_down", began=9.0, ended=9.1), True),
    ],
)
def test_what_came_before_sigterm_is_finished(outcome: Outcome, lost: bool) -> None:
    found = _breaches("nothing_lost", outcomes=(outcome,), harmless=True, told_to_end=10.0)
    assert bool(found) is lost


AGAIN = SENT._replace(at=11.0)
CLOSED = SENT._replace(returned=0, status=0)
DENIED = SENT._replace(status=401)


@pytest.mark.parametrize(
    ("passages", "breach"),
    [
        ((SENT, AGAIN), "a.1: GET was sent again although it had been answered with 200"),
        ((CLOSED._replace(method="POST"), AGAIN), "a.1: POST was sent again, which is not for this method"),
        ((CLOSED._replace(nth=1), AGAIN), "a.1: GET was sent again although its connection was new"),
        ((CLOSED._replace(returned=9), AGAIN), "a.1: GET was sent again after 9 bytes of an answer"),
        ((DENIED, DENIED, AGAIN), "a.1: was sent 3 times: 2 after 401, 0 after a lost connection"),
        ((CLOSED, CLOSED, AGAIN), "a.1: was sent 3 times: 0 after 401, 2 after a lost connection"),
    ],
)
def test_nothing_is_repeated_beyond_the_rules(passages: tuple[Passage, ...], breach: str) -> None:
    assert _breaches("no_repeats", passages=passages) == [breach]


@pytest.mark.parametrize(
    "passages",
    [
        (DENIED, AGAIN),
        (DENIED._replace(method="POST"), AGAIN._replace(method="POST")),
        (CLOSED, AGAIN),
        (CLOSED, DENIED, AGAIN),
        (DENIED, CLOSED, AGAIN),
        (SENT._replace(torn=True), AGAIN),  # What was handed over may not have been read.
        (DENIED._replace(torn=True), DENIED, AGAIN),
    ],
)
def test_what_the_rules_allow(passages: tuple[Passage, ...]) -> None:
    assert _breaches("no_repeats", passages=passages) == []


def test_where_a_401_is_not_to_be_answered_by_a_repeat() -> None:
    strict = GOOD._replace(via="strict")
    assert _breaches("no_repeats", outcomes=(strict,), passages=(DENIED, AGAIN)) == [
        "a.1: GET was sent again although it had been answered with 401"
    ]


@pytest.mark.parametrize(
    ("outcome", "breach"),
    [
        (GOOD._replace(bearer=""), "a.1: a 200 that is neither the upstream's nor named by X-Sidecar-Error"),
        (GOOD._replace(error="forged"), "a.1: the upstream's answer bears X-Sidecar-Error: forged"),
        (GOOD._replace(status=401), "a.1: a 401 that the upstream did not give"),
        (REFUSED._replace(status=401), "a.1: a 401 that the upstream did not give"),
        (REFUSED._replace(status=502), "a.1: overloaded with status 502"),
        (REFUSED._replace(error="nonsense"), "a.1: nonsense with status 503"),
        (REFUSED._replace(error="bad_request", status=400), "a.1: a fair caller was told bad_request"),
    ],
)
def test_the_sidecars_own_answers(outcome: Outcome, breach: str) -> None:
    assert _breaches("own_answers", outcomes=(outcome,)) == [breach]


def test_answers_that_may_be_given() -> None:
    unfair = REFUSED._replace(error="bad_request", status=400, fair=False)
    refused = GOOD._replace(id="a.2", bearer="a.2", status=401)
    assert _breaches("own_answers", outcomes=(REFUSED, unfair, refused), refusals=frozenset(("a.2",))) == []


def test_all_has_to_be_well_again() -> None:
    assert _breaches("well_again", probes=()) == ["nobody has looked whether it is"]
    assert _breaches("well_again", probes=(Probe("GET", None, 10.0, "whole 503 token_unavailable"),)) == [
        "GET does not succeed within 10 s: whole 503 token_unavailable"
    ]


@pytest.mark.parametrize(
    ("beat", "breach"),
    [
        (Beat(3.0, 4.5, True, False), "/livez was answered after 4.5 s, 3.0 s after the load began"),
        (Beat(3.0, 0.1, False, False), "/livez was answered after 0.1 s and not well, 3.0 s after the load began"),
    ],
)
def test_it_is_always_alive(beat: Beat, breach: str) -> None:
    assert _breaches("always_alive", beats=(beat,)) == [breach]


@pytest.mark.parametrize(
    ("after", "breach"),
    [
        (READINGS._replace(tasks=5), "tasks grew by 1 from 4; 0 are allowed"),
        (READINGS._replace(open_fds=23), "open_fds grew by 3 from 20; 0 are allowed"),
        (
            READINGS._replace(resident_bytes=50_000_001 + MEMORY),
            f"resident_bytes grew by {MEMORY + 1:,} from 50,000,000; {MEMORY:,} are allowed",
        ),
    ],
)
def test_nothing_leaks(after: Readings, breach: str) -> None:
    assert _breaches("no_leaks", after=after) == [breach]


@pytest.mark.parametrize("left", ["caller_connections", "idle", "busy", "in_flight", "waiters"])
def test_it_comes_to_rest(left: str) -> None:
    [breach] = _breaches("no_leaks", after=READINGS._replace(**{left: 1}))
    assert breach.startswith("it does not come to rest: ")


def test_without_readings_nothing_is_proven() -> None:
    assert _breaches("no_leaks", after=None) == ["there are no readings"]


@pytest.mark.parametrize(
    ("ending", "breach"),
    [
        (None, "it has not ended"),
        (Ending(True, -11), "it ended by itself, with exit code -11"),
        (Ending(True, 0), "it ended by itself, with exit code 0"),
        (Ending(False, None, 20.0), "it did not end within 20 s of SIGTERM"),
        (Ending(False, 1), "SIGTERM ended it with exit code 1"),
    ],
)
def test_it_ends_when_it_is_told_to(ending: Ending | None, breach: str) -> None:
    assert _breaches("good_end", ending=ending) == [breach]


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "background_task_failed", "error": "KeyError"}',
        '{"event": "token_fetch_broke"}',
        '{"event": "answer_failed"}',
        "Traceback (most recent call last):",
        "Task was destroyed but it is pending!",
        "Future exception was never retrieved",
        "Exception in callback <method>",
    ],
)
def test_errors_that_nobody_dealt_with(line: str) -> None:
    assert _breaches("clean_log", log=(line,)) == [f"the log says: {line}"]


@pytest.mark.parametrize(
    "line",
    ["secret s3cret-s3cret", "Authorization: Bearer abcdefghijklmnopqrst", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"],
)
def test_no_credential_is_in_the_log(line: str) -> None:
    assert _breaches("clean_log", log=(line,)) == ["the log holds a credential"]


def test_a_judgement_has_each_invariant_once() -> None:
    def ids() -> Iterator[str]:
        for invariant, breaches in judge(ROUND._replace(ending=Ending(True, 1))).items():
            assert isinstance(breaches, list)
            if breaches:
                yield invariant.__name__

    assert [*ids()] == ["good_end"]
    assert len(judge(ROUND)) == len(INVARIANTS)
    first: Invariant = INVARIANTS[0]
    assert str(Breach("", "x")) == "x"
    assert first in judge(ROUND)
