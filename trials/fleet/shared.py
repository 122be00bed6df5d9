"""The way of a pod that shares its tokens: what `proxy.tokens.shared.sharing` does by redis-py, done in virtual time.

As there, `next_step`, `judge`, `patience`, `look_again_in` and `Breaker` decide; tests/trials/fleet/test_shared.py
holds both against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from proxy.clock import Reading
from proxy.config.model import Auth, TokenCache, Value
from proxy.secret import Secret
from proxy.tokens.interface import AccessToken
from proxy.tokens.rules import State, state_of
from proxy.tokens.shared.rules import (
    AFTER_FAILURE,
    TURN,
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
from trials.fleet.cognito import Answer, Endpoint, Span
from trials.fleet.ledger import Ledger
from trials.fleet.pod import Pod
from trials.fleet.timeline import Timeline

ROUND_TRIP: Final = 0.001
"""Seconds that an operation of the engine takes."""
TIMEOUT: Final = TokenCache(Value("redis://cache")).timeout
"""Seconds after which an engine that does not answer is given up."""


class Engine:
    """A Redis or Valkey that all pods use, and that may be away. It comes back empty."""

    def __init__(self, outages: Sequence[Span], ledger: Ledger) -> None:
        self._outages = outages
        self._ledger = ledger
        self._entry: Entry | None = None
        self._note: tuple[Note, float] | None = None
        """And when it is dropped."""
        self._owner: object = None
        self._locked_until = 0.0
        self._next_turn = 0.0

    def answers(self, now: float) -> bool:
        """Whether an operation that begins now comes to its end; it is counted."""
        self._ledger.operation(now)
        for span in self._outages:
            if span.has(now):
                self._entry, self._note, self._locked_until = None, None, 0.0
                return False
        return True

    def get(self, now: float) -> Entry | None:
        entry = self._entry
        return entry if entry is not None and now < entry.obtained + entry.life else None

    def put(self, entry: Entry) -> None:
        self._entry = entry

    def note(self, now: float) -> Note | None:
        return self._note[0] if self._note is not None and now < self._note[1] else None

    def put_note(self, note: Note, now: float, seconds: float) -> None:
        self._note = note, now + seconds

    def take(self, owner: object, now: float, seconds: float) -> bool:
        if now < self._locked_until:
            return False
        self._owner, self._locked_until = owner, now + seconds
        return True

    def take_turn(self, now: float) -> bool:
        if now < self._next_turn:
            return False
        self._next_turn = now + TURN
        return True

    def remove(self, owner: object, now: float, after: float) -> None:
        if owner is self._owner and now < self._locked_until:
            self._locked_until = now + after


class Commons(NamedTuple):
    """What the pods of a fleet have in common."""

    engine: Engine
    endpoint: Endpoint
    life: float
    """Of the tokens, in seconds."""
    auth: Auth
    timeline: Timeline
    draw: Callable[[], float]
    numbers: Iterator[int]
    """Of the tokens."""


class Shared:
    """One pod's way."""

    looks = True

    __slots__ = ("_began", "_breaker", "_commons", "_lock", "_looks", "_owner")

    def __init__(self, commons: Commons) -> None:
        self._commons = commons
        self._breaker = Breaker()
        self._began = 0.0
        self._lock = Lock.UNTRIED
        self._looks = 0
        self._owner = object()
        """Who this pod is to the lock, another one for each fetch."""

    def fetch(self, pod: Pod) -> None:
        now = self._commons.timeline.now
        if now < pod.call_at:
            self._only_look(pod)
            return
        self._began, self._lock, self._looks, self._owner = now, Lock.UNTRIED, 0, object()
        if self._breaker.asks(now):
            self._ask(self._look, self._call_alone, pod)
        else:
            self._call_alone(pod)

    def _only_look(self, pod: Pod) -> None:
        if self._breaker.asks(self._commons.timeline.now):
            self._ask(self._looked, _too_early, pod)
        else:
            self._later(0.0, _too_early, pod)

    def _looked(self, pod: Pod) -> None:
        now = self._commons.timeline.now
        self._breaker = self._breaker.succeeded()
        entry = self._commons.engine.get(now)
        if entry is not None and judge(entry, held_by(pod, now), now, None) is Verdict.BETTER:
            _take(entry, pod)
        else:
            _too_early(pod)

    def stopped(self) -> None:
        """The pod ended. Its lock would end by itself, but others need not wait for that."""
        if self._lock is Lock.OURS:
            self._commons.engine.remove(self._owner, self._commons.timeline.now, 0.0)

    def _later(self, seconds: float, act: Callable[[Pod], None], pod: Pod) -> None:
        timeline = self._commons.timeline
        timeline.at(timeline.now + seconds, partial(self._go_on, act, pod))

    def _go_on(self, act: Callable[[Pod], None], pod: Pod) -> None:
        if not pod.stopped:
            act(pod)

    def _ask(self, answered: Callable[[Pod], None], otherwise: Callable[[Pod], None], pod: Pod) -> None:
        """One operation of the engine, and what comes after it, or when it does not answer."""
        if self._commons.engine.answers(self._commons.timeline.now):
            self._later(ROUND_TRIP, answered, pod)
        else:
            self._later(TIMEOUT, partial(self._given_up, otherwise), pod)

    def _given_up(self, otherwise: Callable[[Pod], None], pod: Pod) -> None:
        self._breaker = self._breaker.failed(self._commons.timeline.now, self._commons.draw())
        otherwise(pod)

    def _look(self, pod: Pod) -> None:
        common, now = self._commons, self._commons.timeline.now
        entry, held = common.engine.get(now), held_by(pod, now)
        verdict = None if entry is None else judge(entry, held, now, None)
        if verdict is Verdict.BETTER and entry is not None:
            self._let_go(pod)
            self._breaker = self._breaker.succeeded()
            _take(entry, pod)
        else:
            self._ask(partial(self._decide, entry, verdict, held), self._call_alone, pod)

    def _decide(self, entry: Entry | None, verdict: Verdict | None, held: Held | None, pod: Pod) -> None:
        common, now = self._commons, self._commons.timeline.now
        note = common.engine.note(now)
        if note is not None and not is_news(note, entry, now, self._lock_life()):
            note = None
        usable = held is not None and held.usable
        most = patience(usable=usable, wait=common.auth.wait, lock_life=self._lock_life())
        decide = partial(next_step, verdict, usable=usable, failing=note is not None, patience=most)
        match decide(self._lock, waited=now - self._began):
            case Step.CALL:
                self._call(self._answered, pod)
            case Step.WAIT:
                self._later(look_again_in(self._looks, common.draw()), partial(self._try, note, decide), pod)
                self._looks += 1
            case _:
                self._try(note, decide, pod)

    def _try(self, note: Note | None, decide: Callable[..., Step], pod: Pod) -> None:
        self._ask(partial(self._tried, note, decide), self._call_alone, pod)

    def _tried(self, note: Note | None, decide: Callable[..., Step], pod: Pod) -> None:
        seconds = self._lock_life() if note is None else AFTER_FAILURE
        got = self._commons.engine.take(self._owner, self._commons.timeline.now, seconds)
        self._lock = Lock.OURS if got else Lock.TAKEN
        if note is None or got:
            self._ask(self._look, self._call_alone, pod)
        elif decide(self._lock, waited=0.0) is Step.TURN:
            self._ask(partial(self._turn, note), self._call_alone, pod)
        else:
            self._fail(note, pod)

    def _turn(self, note: Note, pod: Pod) -> None:
        if self._commons.engine.take_turn(self._commons.timeline.now):
            self._call(self._answered, pod)
        else:
            self._fail(note, pod)

    def _fail(self, note: Note, pod: Pod) -> None:
        self._breaker = self._breaker.succeeded()
        pod.failed(note.reason, None, heard=True)

    def _call(self, then: Callable[[float, Answer, Pod], None], pod: Pod) -> None:
        now = self._commons.timeline.now
        answer = self._commons.endpoint.call(now)
        self._later(answer.seconds, partial(then, now, answer), pod)

    def _answered(self, sent: float, answer: Answer, pod: Pod) -> None:
        if answer.reason is None:
            entry = self._entry(sent)
            self._ask(partial(self._stored, entry), partial(_take, entry), pod)
        else:
            note = Note(answer.reason, self._commons.timeline.now)
            self._ask(partial(self._told, note, self._owner, self._lock), self._ignore, pod)
            pod.failed(answer.reason, answer.retry_after)

    def _told(self, note: Note, owner: object, lock: Lock, pod: Pod) -> None:
        now = self._commons.timeline.now
        self._commons.engine.put_note(note, now, self._lock_life())
        if lock is Lock.OURS:
            self._ask(partial(self._free, owner, AFTER_FAILURE), self._ignore, pod)

    def _stored(self, entry: Entry, pod: Pod) -> None:
        self._commons.engine.put(entry)
        self._breaker = self._breaker.succeeded()
        self._let_go(pod)
        _take(entry, pod)

    def _let_go(self, pod: Pod, *, after: float = 0.0) -> None:
        """Free the lock, where it is ours. Nobody waits for that."""
        if self._lock is Lock.OURS:
            self._ask(partial(self._free, self._owner, after), self._ignore, pod)

    def _free(self, owner: object, after: float, pod: Pod) -> None:
        self._commons.engine.remove(owner, self._commons.timeline.now, after)

    def _ignore(self, pod: Pod) -> None:
        """The engine did not answer, and nothing depends on it."""

    def _call_alone(self, pod: Pod) -> None:
        self._call(self._answered_alone, pod)

    def _answered_alone(self, sent: float, answer: Answer, pod: Pod) -> None:
        asks = self._breaker.asks(self._commons.timeline.now)
        if answer.reason is not None:
            if asks:
                self._let_go(pod)
            pod.failed(answer.reason, answer.retry_after)
            return
        entry = self._entry(sent)
        if asks:
            self._ask(partial(self._stored_late, entry), self._ignore, pod)
        _take(entry, pod)

    def _stored_late(self, entry: Entry, pod: Pod) -> None:
        self._commons.engine.put(entry)
        self._let_go(pod)

    def _lock_life(self) -> float:
        return lock_life(self._commons.auth.request_timeout, len(self._commons.auth.client_secret))

    def _entry(self, sent: float) -> Entry:
        number = next(self._commons.numbers)
        return Entry(Secret(str(number)), sent, self._commons.life, ())


def held_by(pod: Pod, now: float) -> Held | None:
    """The token that a pod has, as `TokenSource` tells it."""
    token = pod.token
    if token is None:
        return None
    usable = state_of(token, Reading(now, now)) is not State.EXPIRED
    return Held(token.access, token.expires_at, usable=usable, refused=False)


def _take(entry: Entry, pod: Pod) -> None:
    pod.succeeded(entry.obtained, entry.life, AccessToken(entry.token.reveal(), 1))


def _too_early(pod: Pod) -> None:
    """The pause after its own failed call lasts. What that failed with makes no difference here."""
    pod.failed("connection", None, heard=True)
