"""A store in memory whose time is a test's, and which fails when the test says so."""

from __future__ import annotations

import asyncio

from proxy.clock import Clock
from proxy.tokens.shared.store import StoreError, Trouble


class MemoryStore:
    """As `proxy.tokens.shared.store.Store`, for any number of sidecars of one test."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[bytes, float]] = {}
        self.trouble: Trouble | None = None
        """What every operation fails with."""
        self.troubles: dict[str, Trouble] = {}
        """What operations of some kinds fail with."""
        self.held: dict[str, asyncio.Event] = {}
        """Operations of these kinds are carried out, and not answered until then."""
        self.asked: list[str] = []
        """The operations, in order."""

    def _now(self, operation: str) -> float:
        self.asked.append(operation)
        trouble = self.trouble or self.troubles.get(operation)
        if trouble is not None:
            raise StoreError(trouble)
        return self._clock.read().monotonic

    async def _answered(self, operation: str) -> None:
        if operation in self.held:
            await self.held[operation].wait()

    def _found(self, name: str, now: float) -> bytes | None:
        value, end = self._kept.get(name, (None, 0.0))
        return value if end > now else None

    async def get(self, name: str) -> bytes | None:
        found = self._found(name, self._now("get"))
        await self._answered("get")
        return found

    async def put(self, name: str, value: bytes, seconds: float) -> None:
        self._kept[name] = value, self._now("put") + seconds

    async def take(self, name: str, owner: bytes, seconds: float) -> bool:
        now = self._now("take")
        if self._found(name, now) is not None:
            return False
        self._kept[name] = owner, now + seconds
        await self._answered("take")
        return True

    async def remove(self, name: str, value: bytes, *, after: float = 0.0) -> bool:
        now = self._now("remove")
        if self._found(name, now) != value:
            return False
        self._kept[name] = value, now + after
        return True

    def rest(self) -> None:
        pass

    async def close(self) -> None:
        self.asked.append("close")

    @property
    def names(self) -> list[str]:
        """What is in it, locks left out."""
        now = self._clock.read().monotonic
        return [name for name, (_, end) in self._kept.items() if end > now and not name.startswith("lock:")]

    @property
    def locked(self) -> bool:
        now = self._clock.read().monotonic
        return any(name.startswith("lock:") and end > now for name, (_, end) in self._kept.items())

    def spoil(self, change: bytes) -> None:
        """Put something else in the place of every entry."""
        for name in self.names:
            self._kept[name] = change, self._kept[name][1]
