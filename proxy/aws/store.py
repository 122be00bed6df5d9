"""What is held of Secrets Manager: the service asks when something is due, and a thread asks boto3.

It must never let the event loop wait for boto3, never read a secret more often than `schedule` allows, and never
forget a secret because it cannot be read again. It runs on one event loop; only `Reader.read` runs elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import random
from types import MappingProxyType
from typing import Final, TypeVar

from proxy import log
from proxy.aws.reader import Reader, unread
from proxy.aws.schedule import FLOOR, Times, after, is_due, may_read, pause, seconds_until_may
from proxy.aws.status import ReadError, SecretStats, SecretStatus
from proxy.clock import Clock, Reading
from proxy.config.model import SecretRef
from proxy.config.secrets import Held, Secrets, Unread

T = TypeVar("T")

LONGEST: Final = 30.0
"""Seconds for one reading of all secrets that are due. A credential process that hangs must not hold up the rest."""

_Found = dict[SecretRef, Held | Unread]
Read = Callable[[Mapping[SecretRef, Held | None]], _Found]
"""Reads secrets, with what is held of each; blocks. As `Reader.read`."""


class _Record:
    """What is known of one secret."""

    def __init__(self) -> None:
        self.times = Times()
        self.tried_at: Reading | None = None
        self.read_at: float | None = None
        self.changed_at: float | None = None
        self.last_error: ReadError | None = None


class SecretStore:
    """See the module's text."""

    def __init__(self, clock: Clock, *, draw: Callable[[], float] = random, read: Read | None = None) -> None:
        self.stats = SecretStats()
        self._clock = clock
        self._draw = draw
        self._read_all = read or Reader().read
        self._log = log.logger("aws")
        self._held: _Found = {}
        self._records: dict[SecretRef, _Record] = {}
        self._used: tuple[SecretRef, ...] = ()
        self._refresh = 0.0
        self._reading = asyncio.Lock()
        self._busy = False
        """A thread is reading, or hangs."""
        self._give_up: Callable[[], None] = lambda: None
        self._closed = False

    @property
    def held(self) -> Secrets:
        """What a configuration is loaded with. It shows later changes too."""
        return MappingProxyType(self._held)

    def use(self, refs: tuple[SecretRef, ...], refresh: float) -> None:
        """A configuration with these secrets is served from now on; each is read again after `refresh` seconds."""
        self._used, self._refresh = refs, refresh
        now = self._clock.read().monotonic
        for ref in [ref for ref in self._records if ref not in refs]:
            # Not before its time: it may be back a moment later, and must not be read again so soon.
            if may_read(self._records[ref].times, now):
                del self._records[ref]
                self._held.pop(ref, None)

    def ask(self) -> None:
        """There is reason to believe that a secret has changed: read all as soon as that is allowed."""
        for ref in self._used:
            self._ask(self._record(ref))

    def due(self) -> list[SecretRef]:
        """The secrets that should be read now. None while some are being read."""
        if self._reading.locked():
            return []
        now = self._clock.read().monotonic
        return [ref for ref, record in self._records.items() if is_due(record.times, now, self._refresh)]

    async def read(self, refs: Iterable[SecretRef]) -> list[SecretRef]:
        """Read these secrets, each as soon as it may be read: now, or when it is due for that reason.

        Gives those whose state is another one than before.
        """
        async with self._reading:
            began = self._clock.read()
            asked: dict[SecretRef, Held | None] = {}
            for ref in refs if not self._closed else ():
                record = self._record(ref)
                if may_read(record.times, began.monotonic):
                    asked[ref] = self._known(ref)
                else:
                    self._ask(record)
            found = await self._in_a_thread(asked) if asked else {}
            return [ref for ref, state in found.items() if self._took(ref, state, began)]

    def lacking(self, refs: Iterable[SecretRef]) -> list[SecretRef]:
        """Those of these secrets that are not held."""
        return [ref for ref in refs if self._known(ref) is None]

    def seconds_until_allowed(self, refs: Iterable[SecretRef]) -> float:
        """How long until each of these that is not held may be read."""
        now = self._clock.read().monotonic
        return max((seconds_until_may(self._record(ref).times, now) for ref in self.lacking(refs)), default=0.0)

    def close(self) -> None:
        """Nothing is read any more, and who waits for a reading waits no longer."""
        self._closed = True
        self._give_up()

    @staticmethod
    def _ask(record: _Record) -> None:
        record.times = record.times._replace(asked=True)

    def status(self) -> list[SecretStatus]:
        """Every secret of the configuration that is served, for people. Reads only."""
        return [self._status(ref, record) for ref, record in self._records.items() if ref in self._used]

    def _record(self, ref: SecretRef) -> _Record:
        return self._records.setdefault(ref, _Record())

    def _known(self, ref: SecretRef) -> Held | None:
        state = self._held.get(ref)
        return state if isinstance(state, Held) else None

    async def _in_a_thread(self, asked: Mapping[SecretRef, Held | None]) -> _Found:
        """What the reader finds, or that it does not come back."""
        late: _Found = dict.fromkeys(asked, unread("timeout"))
        if self._busy:
            return late
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Found] = loop.create_future()
        tell = partial(_tell, loop, partial(self._back, done))
        thread = threading.Thread(
            # A daemon, unlike an executor's: the process must not wait for it at its end.
            target=lambda: tell(self._read_all(asked)),
            name="secrets manager",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no thread for us just now
            return late
        self._busy = True  # until `_back`, which the event loop calls no sooner than we wait for it
        self._give_up = partial(settle, done, late)
        timer = self._clock.call_later(LONGEST, self._give_up)
        try:
            return await done
        finally:
            timer.cancel()

    def _back(self, done: asyncio.Future[_Found], found: _Found) -> None:
        """The thread has come back, late or not."""
        self._busy = False
        settle(done, found)

    def _took(self, ref: SecretRef, state: Held | Unread, began: Reading) -> bool:
        """Note one secret's reading. True when its text is another one."""
        record, before = self._record(ref), self._held.get(ref)
        now = self._clock.read().wall
        good = isinstance(state, Held)
        record.tried_at = began
        record.times = after(record.times, began.monotonic, good=good, draw=self._draw())
        self.stats.reads["success" if good else "failure"] += 1
        if isinstance(state, Unread):
            record.last_error = ReadError(state.reason, state.detail, now)
            kept = isinstance(before, Held)
            self._log.warning(
                "secret_read_failed",
                secret=ref.id,
                region=ref.region or None,
                reason=state.reason,
                detail=state.detail,
                kept=kept,
                failures=record.times.failures,
            )
            if not kept:
                self._held[ref] = state
            return not kept and before != state
        record.read_at = now
        self._held[ref] = state
        if before == state:
            return False
        record.changed_at = now
        self._log.info(
            "secret_changed" if isinstance(before, Held) else "secret_read",
            secret=ref.id,
            region=ref.region or None,
            version=state.version,
            has_previous=state.previous is not None,
        )
        return True

    def _status(self, ref: SecretRef, record: _Record) -> SecretStatus:
        state, times = self._known(ref), record.times
        wait = FLOOR if times.asked else pause(times, self._refresh)
        next_read = None if record.tried_at is None or wait is None else record.tried_at.wall + wait
        return SecretStatus(
            id=ref.id,
            region=ref.region,
            version=None if state is None else state.version,
            has_previous=state is not None and state.previous is not None,
            read_at=record.read_at,
            changed_at=record.changed_at,
            next_read_at=next_read,
            failing=times.failures > 0,
            last_error=record.last_error,
        )


def _tell(loop: asyncio.AbstractEventLoop, back: Callable[[_Found], None], found: _Found) -> None:
    """On the thread: tell the event loop, if there still is one."""
    try:
        loop.call_soon_threadsafe(back, found)
    except RuntimeError:
        pass  # the loop was closed meanwhile


def settle(done: asyncio.Future[T], value: T) -> None:
    """Give a future its result, where it has none yet."""
    if not done.done():
        done.set_result(value)
