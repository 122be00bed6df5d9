"""A configuration with the secrets that it needs: loaded, asked what is lacking, and loaded again with that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from proxy import log
from proxy.aws.reader import Reader
from proxy.aws.store import SecretStore, settle
from proxy.clock import Clock
from proxy.config.model import Loaded, SecretRef
from proxy.config.secrets import Held, Secrets, SecretsNeeded, Unread
from proxy.errors import SecretsUnavailable
from proxy.tasks import spawn

T = TypeVar("T")

Load = Callable[[Secrets], Loaded]
"""Loads a configuration with the secrets that are held. Blocks for no longer than files do."""


def load_once(load: Callable[[Secrets], T]) -> T:
    """For commands that run to an end: each secret is read once, on this thread. Raises ConfigError."""
    held: dict[SecretRef, Held | Unread] = {}
    try:
        return load(held)
    except SecretsNeeded as needed:
        held |= Reader().read(dict.fromkeys(needed.refs))
    # Not in a loop: a file that changes under our hands might name other secrets each time.
    return load(held)


class Loader:
    """For the service: secrets are read by the store, on its thread."""

    def __init__(self, load: Load, store: SecretStore, clock: Clock) -> None:
        self._load = load
        self._store = store
        self._clock = clock
        self._log = log.logger("aws")
        self._wake: Callable[[], None] = lambda: None

    async def load(self) -> Loaded:
        """Load, with a first reading of secrets that are new. Raises ConfigError."""
        try:
            return self._load(self._store.held)
        except SecretsNeeded as needed:
            await self._store.read(needed.refs)
        return self._load(self._store.held)

    async def load_patiently(self, stop: asyncio.Event) -> Loaded | None:
        """The same at the start, where nothing is held yet and a network or a role may come a little late.

        Goes on trying for `secrets_manager.wait`, as long as nothing else is wrong. None when `stop` was set.
        """
        watch = spawn(self._when_stopped(stop), name="stop waiting for secrets")
        try:
            return await self._try_until_stopped(stop)
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def _try_until_stopped(self, stop: asyncio.Event) -> Loaded | None:
        refs: tuple[SecretRef, ...] = ()
        deadline = 0.0
        while not stop.is_set():
            try:
                return self._load(self._store.held)
            except SecretsNeeded as needed:
                if not refs:
                    deadline = self._clock.read().monotonic + needed.config.secrets_manager.wait
                    # What is said while it waits should look as everything that is said later.
                    log.configure(needed.config.log.format, needed.config.log.level)
                refs = needed.refs
            except SecretsUnavailable as error:
                pause = self._store.seconds_until_allowed(refs)
                if self._clock.read().monotonic + pause > deadline:
                    raise
                self._log.warning("waiting_for_secrets", problems=list(error.problems), seconds=round(pause, 1))
                await self._pause(pause)
            await self._store.read(self._store.lacking(refs))
        return None

    async def _pause(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wake = partial(settle, over, None)
        timer = self._clock.call_later(seconds, self._wake)
        try:
            await over
        finally:
            timer.cancel()

    async def _when_stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._store.close()
        self._wake()
