"""One token source's way through a shared cache, by what `proxy.tokens.shared.rules` decides.

It must never keep a source from its token: whatever the engine does, or does not, the call of the token endpoint is
made in the end, and what the engine says is believed only as far as it opens with a secret of ours.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.clock import Clock, Reading, stopwatch
from proxy.config.model import Auth
from proxy.log import logger
from proxy.stats import CacheStats
from proxy.tasks import spawn
from proxy.tokens.endpoint import Grant, Obtained
from proxy.tokens.identity import lasting_identity
from proxy.tokens.life import jwt_life
from proxy.tokens.shared.rules import (
    AFTER_FAILURE,
    Breaker,
    Entry,
    Held,
    Lock,
    Step,
    Verdict,
    judge,
    lock_life,
    look_again_in,
    next_step,
    patience,
)
from proxy.tokens.shared.sealing import NONCE, Seal, lock_name
from proxy.tokens.shared.store import Store, StoreError

T = TypeVar("T")


Call = Callable[[], Awaitable[Obtained]]
"""A call of the token endpoint. Raises TokenError."""


class Engine:
    """One store for all token sources of a process: it is left alone for all of them when it fails, and said once."""

    def __init__(self, store: Store, clock: Clock, draw: Callable[[], float], stats: CacheStats) -> None:
        self.store = store
        self.clock = clock
        self.draw = draw
        self.stats = stats
        self._breaker = Breaker()

    def share(self, auth: Auth) -> Sharing:
        """For the source of one client."""
        return Sharing(self, auth)

    async def close(self) -> None:
        await self.store.close()

    @property
    def asks(self) -> bool:
        return self._breaker.asks(self.clock.read().monotonic)

    async def do(self, operation: str, work: Awaitable[T], result: Callable[[T], str]) -> T:
        """One operation, counted. Raises StoreError."""
        began = stopwatch()
        try:
            done = await work
        except StoreError as error:
            self.stats.count(operation, error.trouble, stopwatch() - began)
            was_open = self._breaker.open
            self._breaker = self._breaker.failed(self.clock.read().monotonic, self.draw())
            if self._breaker.open and not was_open:
                logger("tokens").warning("token_cache_left_alone", trouble=error.trouble)
            raise
        self.stats.count(operation, result(done), stopwatch() - began)
        if self._breaker.open:
            logger("tokens").info("token_cache_used_again")
        self._breaker = self._breaker.succeeded()
        return done


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
        self._known: tuple[str, bytes] | None = None
        """Name and content of the entry that holds the source's token, as it is in the engine."""

    def follow(self, before: Sharing) -> None:
        """Take the place of another one after a reload: the source keeps its token."""
        self._known = before._known

    @property
    def longest(self) -> float:
        """Seconds that `obtain` may take besides its calls."""
        return self._lock_life + self._wait

    async def obtain(self, call: Call, held: Callable[[], Held | None]) -> Obtained:
        """A token: from the cache, or by `call`. Raises what `call` raises. `held` tells what the source has, now."""
        if not self._engine.asks:
            return await call()
        owner = os.urandom(16)
        try:
            taken, lock = await self._find(owner, held)
        except StoreError:
            return await call()
        return taken or await self._call(call, owner, lock)

    async def _find(self, owner: bytes, held: Callable[[], Held | None]) -> tuple[Obtained | None, Lock]:
        """What the cache has, perhaps after waiting; else None, and whose the lock is. Raises StoreError."""
        began, lock, looks = self._clock.read().monotonic, Lock.UNTRIED, 0
        while True:
            ours = held()
            if ours is not None and ours.refused:
                await self._forget()
            entry, verdict = await self._look(ours)
            usable = ours is not None and ours.usable and not ours.refused
            most = patience(usable=usable, wait=self._wait, lock_life=self._lock_life)
            match next_step(verdict, lock, waited=self._clock.read().monotonic - began, patience=most):
                case Step.TAKE if entry is not None:
                    if lock is Lock.OURS:  # Somebody was quicker, between our look and our lock.
                        await self._unlock(owner)
                    return self._taken(entry), lock
                case Step.CALL:
                    return None, lock
                case Step.WAIT:
                    await self._pause(look_again_in(looks, self._engine.draw()))
                    looks += 1
            # The owner of a lock that was another's may have failed, or have died: then this one is next.
            lock = await self._try_lock(owner)

    async def _look(self, held: Held | None) -> tuple[Entry | None, Verdict | None]:
        """The first entry that one of our secrets opens and that is better than what is held."""
        verdict: Verdict | None = None
        for seal in self._seals:
            entry, verdict = await self._read(seal, held)
            if verdict is Verdict.BETTER:
                return entry, verdict
        return None, verdict

    async def _read(self, seal: Seal, held: Held | None) -> tuple[Entry | None, Verdict | None]:
        entry: Entry | None = None
        verdict: Verdict | None = None

        def weigh(sealed: bytes | None) -> str:
            nonlocal entry, verdict
            if sealed is None:
                return "miss"
            entry = seal.open(sealed)
            if entry is None:
                return "rejected"
            verdict = judge(entry, held, self._clock.read().wall, jwt_life(entry.token.reveal(), entry.obtained))
            if verdict is Verdict.BETTER:
                self._known = seal.name, sealed
            return {Verdict.FALSE: "rejected", Verdict.USELESS: "miss"}.get(verdict, "hit")

        await self._engine.do("get", self._engine.store.get(seal.name), weigh)
        return entry, verdict

    def _taken(self, entry: Entry) -> Obtained:
        now = self._clock.read()
        age = max(0.0, now.wall - entry.obtained)  # Another pod's clock may be a little ahead.
        sent = Reading(now.monotonic - age, now.wall - age)
        return Obtained(Grant(entry.token, entry.life, entry.scopes), sent, None)

    async def _call(self, call: Call, owner: bytes, lock: Lock) -> Obtained:
        try:
            obtained = await call()
        except asyncio.CancelledError:
            if lock is Lock.OURS:  # It would end by itself, but others need not wait for that.
                _ = spawn(self._unlock(owner), name="free a lock of the token cache")
            raise
        except Exception:
            if lock is Lock.OURS:
                await self._unlock(owner, after=AFTER_FAILURE)
            raise
        await self._share(obtained)
        if lock is Lock.OURS:
            await self._unlock(owner)
        return obtained

    async def _share(self, obtained: Obtained) -> None:
        """Store a token that has just come. A failure of that is the engine's affair, not the token's."""
        if obtained.secret not in self._secrets:
            return
        seal, grant = self._seals[self._secrets.index(obtained.secret)], obtained.grant
        entry = Entry(grant.token, obtained.sent.wall, grant.life, grant.scopes)
        sealed = seal.close(entry, os.urandom(NONCE))
        self._known = seal.name, sealed
        await self._quietly("put", self._engine.store.put(seal.name, sealed, grant.life))

    async def _forget(self) -> None:
        """The upstream refused the token: remove its entry, unless somebody has put a newer one there."""
        if self._known is None:
            return
        (name, sealed), self._known = self._known, None
        removed = self._engine.store.remove(name, sealed)
        await self._engine.do("remove", removed, lambda done: "success" if done else "miss")

    async def _try_lock(self, owner: bytes) -> Lock:
        taken = self._engine.store.take(self._lock, owner, self._lock_life)
        got = await self._engine.do("lock", taken, lambda done: "success" if done else "busy")
        return Lock.OURS if got else Lock.TAKEN

    async def _unlock(self, owner: bytes, *, after: float = 0.0) -> None:
        await self._quietly("unlock", self._engine.store.remove(self._lock, owner, after=after))

    async def _quietly(self, operation: str, work: Awaitable[object]) -> None:
        try:
            await self._engine.do(operation, work, lambda _: "success")
        except StoreError:
            pass

    async def _pause(self, seconds: float) -> None:
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(seconds, lambda: None if passed.done() else passed.set_result(None))
        try:
            await passed
        finally:
            timer.cancel()
