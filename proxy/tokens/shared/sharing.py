"""One token source's way through a shared cache, by what `proxy.tokens.shared.rules` decides.

It must never keep a source from its token: whatever the engine does, or does not, the call of the token endpoint is
made in the end, and what the engine says is believed only as far as it opens with a secret of ours.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from proxy.clock import Clock, Reading, stopwatch
from proxy.config.model import LONGEST_TIMEOUT, Auth
from proxy.errors import TokenError
from proxy.log import logger
from proxy.stats import CacheOperation, CacheStats
from proxy.tasks import spawn
from proxy.tokens.endpoint import Grant, Obtained
from proxy.tokens.identity import lasting_identity
from proxy.tokens.life import jwt_end, jwt_life
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
from proxy.tokens.shared.sealing import NONCE, Seal, lock_name
from proxy.tokens.shared.store import Store, StoreError, Trouble

T = TypeVar("T")

MOST_OPERATIONS: Final = 10
"""In one attempt that goes wrong as late as it can; all others pass within the time that another is waited for."""
LEAST_LIMIT: Final = 0.05
"""Seconds for one operation, however short a time requests wait for a token."""

Call = Callable[[], Awaitable[Obtained]]
"""A call of the token endpoint. Raises TokenError."""


class Engine:
    """One store for all token sources of a process: it is left alone for all of them when it fails, and said once.

    It has worked when a source has got all that it wanted of it: one that is full still answers what it is asked.
    """

    def __init__(self, store: Store, clock: Clock, draw: Callable[[], float], stats: CacheStats) -> None:
        self.store = store
        self.clock = clock
        self.draw = draw
        self.stats = stats
        self._now_is(Breaker(), None)
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def share(self, auth: Auth) -> Sharing:
        """For the source of one client."""
        return Sharing(self, auth)

    async def close(self) -> None:
        """When the last one who uses it has finished; after a reload that may be a call of the token endpoint later."""
        await self._unused.wait()
        await self.store.close()

    @property
    def asks(self) -> bool:
        return self._breaker.asks(self.clock.read().monotonic)

    @contextmanager
    def used(self) -> Iterator[None]:
        self._begin()
        try:
            yield
        finally:
            self._end()

    def afterwards(self, work: Coroutine[Any, Any, None]) -> None:
        """Do that in the background: nobody waits for it but `close`."""
        self._begin()
        spawn(work, name="token-cache").add_done_callback(self._end)

    def _begin(self) -> None:
        self._users += 1
        self._unused.clear()

    def _end(self, _: object = None) -> None:
        self._users -= 1
        if not self._users:
            self._unused.set()
            self.store.rest()

    async def do(
        self, operation: CacheOperation, work: Awaitable[T], result: Callable[[T], str], limit: float | None = None
    ) -> T:
        """One operation, counted, within `limit` seconds and the store's own limit. Raises StoreError."""
        began = stopwatch()
        trouble: Trouble
        try:
            async with asyncio.timeout(limit):
                done = await work
        except StoreError as error:
            trouble = error.trouble
        except TimeoutError:
            trouble = "timeout"
        else:
            self.stats.count(operation, result(done), stopwatch() - began)
            return done
        self.stats.count(operation, trouble, stopwatch() - began)
        if not self._breaker.failures:
            logger("tokens").warning("token_cache_failed", operation=operation, trouble=trouble)
        self._now_is(self._breaker.failed(self.clock.read().monotonic, self.draw()), trouble)
        raise StoreError(trouble)

    def worked(self) -> None:
        if self._breaker.failures:
            logger("tokens").info("token_cache_used_again")
        self._now_is(self._breaker.succeeded(), None)

    def _now_is(self, breaker: Breaker, trouble: Trouble | None) -> None:
        self._breaker = breaker
        self.stats.consecutive_failures, self.stats.left_alone = breaker.failures, breaker.open
        self.stats.trouble = trouble


@dataclass
class _Attempt:
    """One time that a token is needed."""

    owner: bytes
    """Names it in the lock."""
    lock: Lock = Lock.UNTRIED
    tried: bool = False
    """The lock may be ours, even where the engine did not say so in time."""
    limit: float | None = None
    """Seconds for one operation, where requests wait for the token."""


class _Memory:
    """What is kept over a reload."""

    known: tuple[str, bytes] | None = None
    """Name and content of the entry that holds the source's token, as it is in the engine."""


class Sharing:
    """What one token source shares with those of other sidecars."""

    def __init__(self, engine: Engine, auth: Auth) -> None:
        self._engine = engine
        self._clock = engine.clock
        identity = lasting_identity(auth)
        self._secrets = auth.client_secret
        self._seals = [Seal(identity, secret) for secret in auth.client_secret]
        self._lock = "lock:" + lock_name(identity)
        self._lock_life = lock_life(float(auth.request_timeout), len(auth.client_secret))
        self._wait = float(auth.wait)
        self._memory = _Memory()

    def follow(self, before: Sharing) -> None:
        """Take the place of another one after a reload: the source keeps its token, and a fetch may be running."""
        self._memory = before._memory

    @property
    def longest(self) -> float:
        """Seconds that `obtain` may take besides its calls."""
        return self._lock_life + self._wait + MOST_OPERATIONS * LONGEST_TIMEOUT

    async def obtain(
        self, call: Call, held: Callable[[], Held | None], too_early: TokenError | None = None
    ) -> Obtained:
        """A token: from the cache, or by `call`. Raises what `call` raises. `held` tells what the source has, now.

        `too_early` to call again, since the last call failed: it is raised where the cache has none.
        """
        if too_early is not None:
            return await self._only_look(held, too_early)
        if not self._engine.asks:
            self._memory.known = None
            return await call()
        attempt = _Attempt(os.urandom(16))
        with self._engine.used():
            try:
                taken = await self._find(attempt, held)
            except StoreError:
                return await self._alone(attempt, call)
            except asyncio.CancelledError:
                self._let_go(attempt)
                raise
            return taken or await self._call(attempt, call)

    async def _only_look(self, held: Callable[[], Held | None], too_early: TokenError) -> Obtained:
        if self._engine.asks:
            with self._engine.used():
                try:
                    entry, verdict = await self._look(_Attempt(b""), held())
                except StoreError:
                    raise too_early from None
                self._engine.worked()
                if entry is not None and verdict is Verdict.BETTER:
                    return self._taken(entry)
        raise too_early

    async def _find(self, attempt: _Attempt, held: Callable[[], Held | None]) -> Obtained | None:
        """What the cache has, perhaps after waiting; None where the endpoint is to be called. Raises StoreError."""
        began, looks = self._clock.read().monotonic, 0
        while True:
            ours = held()
            usable = ours is not None and ours.usable and not ours.refused
            attempt.limit = None if usable else max(self._wait / 4, LEAST_LIMIT)
            if ours is not None and ours.refused:
                await self._forget(attempt)
            entry, verdict = await self._look(attempt, ours)
            note = None if verdict is Verdict.BETTER else await self._note(attempt, entry)
            most = patience(usable=usable, wait=self._wait, lock_life=self._lock_life)
            decide = partial(next_step, verdict, usable=usable, failing=note is not None, patience=most)
            step = decide(attempt.lock, waited=self._clock.read().monotonic - began)
            if step is Step.WAIT:
                await self._pause(look_again_in(looks, self._engine.draw()))
                looks += 1
            if step in (Step.LOCK, Step.WAIT):
                # The owner of a lock that was another's may have failed, or have died: then this one is next.
                await self._try_lock(attempt, self._lock_life if note is None else AFTER_FAILURE)
                if note is None or attempt.lock is Lock.OURS:
                    continue
                step = decide(attempt.lock, waited=0.0)
            if step is Step.TAKE and entry is not None:
                if attempt.lock is Lock.OURS:  # Somebody was quicker, between our look and our lock.
                    await self._unlock(attempt)
                self._engine.worked()
                return self._taken(entry)
            if note is not None and (step is Step.FAIL or (step is Step.TURN and not await self._turn(attempt))):
                self._engine.worked()
                raise TokenError(note.reason, "another sidecar has just tried", heard=True)
            return None

    async def _look(self, attempt: _Attempt, held: Held | None) -> tuple[Entry | None, Verdict | None]:
        """The first entry that one of our secrets opens and that is better than what is held."""
        verdict: Verdict | None = None
        for seal in self._seals:
            entry, verdict = await self._read(attempt, seal, held)
            if verdict is Verdict.BETTER:
                return entry, verdict
        return None, verdict

    async def _read(self, attempt: _Attempt, seal: Seal, held: Held | None) -> tuple[Entry | None, Verdict | None]:
        entry: Entry | None = None
        verdict: Verdict | None = None

        def weigh(sealed: bytes | None) -> str:
            nonlocal entry, verdict
            if sealed is None:
                return "miss"
            entry = seal.open(sealed)
            if entry is None:
                return "rejected"
            token = entry.token.reveal()
            claimed, end = jwt_life(token, entry.obtained), jwt_end(token)
            verdict = judge(entry, held, self._clock.read().wall, claimed, end)
            if verdict is Verdict.BETTER:
                self._memory.known = seal.name, sealed
            return {Verdict.FALSE: "rejected", Verdict.USELESS: "miss"}.get(verdict, "hit")

        await self._engine.do("get", self._engine.store.get(seal.name), weigh, attempt.limit)
        return entry, verdict

    async def _note(self, attempt: _Attempt, entry: Entry | None) -> Note | None:
        """That calls fail at the moment, where there is a note of that for each of our secrets."""
        note: Note | None = None

        def weigh(sealed: bytes | None) -> str:
            nonlocal note
            note = None if sealed is None else seal.open_note(sealed)
            if note is not None and not is_news(note, entry, self._clock.read().wall, self._lock_life):
                note = None
            return "hit" if note is not None else "miss" if sealed is None else "rejected"

        for seal in self._seals:
            await self._engine.do("note", self._engine.store.get(seal.note_name), weigh, attempt.limit)
            if note is None:
                return None
        return note

    def _taken(self, entry: Entry) -> Obtained:
        now = self._clock.read()
        age = max(0.0, now.wall - entry.obtained)  # Another pod's clock may be a little ahead.
        sent = Reading(now.monotonic - age, now.wall - age)
        return Obtained(Grant(entry.token, entry.life, entry.scopes), sent, None)

    async def _call(self, attempt: _Attempt, call: Call) -> Obtained:
        try:
            obtained = await call()
        except asyncio.CancelledError:
            self._let_go(attempt)
            raise
        except TokenError as error:
            self._engine.afterwards(self._tell(attempt, Note(error.reason, self._clock.read().wall)))
            raise
        except Exception:
            self._let_go(attempt, after=AFTER_FAILURE)
            raise
        if await self._share(obtained):
            self._engine.worked()
        self._let_go(attempt)
        return obtained

    async def _alone(self, attempt: _Attempt, call: Call) -> Obtained:
        """The engine has failed: whoever waits for the token gets it first, and the others may get it after that."""
        self._memory.known = None
        try:
            obtained = await call()
        except BaseException:
            self._let_go(attempt)
            raise
        self._engine.afterwards(self._share_late(attempt, obtained))
        return obtained

    async def _tell(self, attempt: _Attempt, note: Note) -> None:
        """Leave a note that our call failed, and only then let go of the lock."""
        for seal in self._seals:
            sealed = seal.close_note(note, os.urandom(NONCE))
            if not await self._quietly("put", self._engine.store.put(seal.note_name, sealed, self._lock_life)):
                return
        if attempt.tried:
            await self._unlock(attempt, after=AFTER_FAILURE)

    async def _share_late(self, attempt: _Attempt, obtained: Obtained) -> None:
        if self._engine.asks and await self._share(obtained):
            self._engine.worked()
            if attempt.tried:
                await self._unlock(attempt)

    async def _share(self, obtained: Obtained) -> bool:
        """Store a token that has just come. A failure of that is the engine's affair, not the token's."""
        self._memory.known = None
        if obtained.secret not in self._secrets:
            return False
        seal, grant = self._seals[self._secrets.index(obtained.secret)], obtained.grant
        entry = Entry(grant.token, obtained.sent.wall, grant.life, grant.scopes)
        sealed = seal.close(entry, os.urandom(NONCE))
        self._memory.known = seal.name, sealed
        return await self._quietly("put", self._engine.store.put(seal.name, sealed, grant.life))

    async def _forget(self, attempt: _Attempt) -> None:
        """The upstream refused the token: remove its entry, unless somebody has put a newer one there."""
        if self._memory.known is None:
            return
        (name, sealed), self._memory.known = self._memory.known, None
        removed = self._engine.store.remove(name, sealed)
        await self._engine.do("remove", removed, lambda done: "success" if done else "miss", attempt.limit)

    async def _try_lock(self, attempt: _Attempt, seconds: float) -> None:
        taken = self._engine.store.take(self._lock, attempt.owner, seconds)
        attempt.tried = True
        got = await self._engine.do("lock", taken, lambda done: "success" if done else "busy", attempt.limit)
        attempt.lock = Lock.OURS if got else Lock.TAKEN
        attempt.tried = got

    def _let_go(self, attempt: _Attempt, *, after: float = 0.0) -> None:
        """Free the lock if it is ours. It would end by itself, but others need not wait for that."""
        if attempt.tried and self._engine.asks:
            self._engine.afterwards(self._unlock(attempt, after=after))

    async def _turn(self, attempt: _Attempt) -> bool:
        taken = self._engine.store.take(f"turn:{self._lock}", attempt.owner, TURN)
        return await self._engine.do("lock", taken, lambda done: "success" if done else "busy", attempt.limit)

    async def _unlock(self, attempt: _Attempt, *, after: float = 0.0) -> None:
        await self._quietly("unlock", self._engine.store.remove(self._lock, attempt.owner, after=after))

    async def _quietly(self, operation: CacheOperation, work: Awaitable[object]) -> bool:
        try:
            await self._engine.do(operation, work, lambda _: "success")
        except StoreError:
            return False
        return True

    async def _pause(self, seconds: float) -> None:
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(seconds, lambda: None if passed.done() else passed.set_result(None))
        try:
            await passed
        finally:
            timer.cancel()
