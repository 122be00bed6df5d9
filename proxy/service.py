"""The whole sidecar: builds all rooms from a configuration, and takes them through start, reload and drain.

The lifecycle goes one way: starting, serving, stopping. A reload loads, validates and only then swaps; what
fails on the way leaves everything as it was. Nothing here knows how a request or a token is dealt with.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from proxy import log
from proxy.admin import AdminServer
from proxy.admin.view import UpstreamView
from proxy.assembly import Assembly
from proxy.aws import Load, Loader, SecretStatus, SecretStore
from proxy.aws.store import Read
from proxy.clock import Cancellable, Clock, Reading, SystemClock
from proxy.config.model import Address, Loaded, SecretRef
from proxy.config.watch import changed, fingerprint
from proxy.errors import ConfigError, SidecarError
from proxy.heap import Heap
from proxy.outflow import dropped
from proxy.stats import CacheStats, UpstreamStats
from proxy.tasks import spawn
from proxy.version import __version__

TICK_SECONDS: Final = 1.0
"""How often token sources are looked after; a machine that slept is noticed within this time."""
WATCH_TICKS: Final = 3
"""Every so many ticks the files are compared: a change is noticed within 5 s."""
_NOT_TURNING_SECONDS: Final = 30.0
"""Without a tick the event loop, or what turns on it, is stuck."""


class Service:
    """See the module's text. Also what the admin room reads (`proxy.admin.view.View`)."""

    def __init__(
        self, load: Load, *, clock: Clock | None = None, random: Random | None = None, read_secrets: Read | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._log = log.logger("service")
        self.version = __version__
        self.python = platform.python_version()
        self.started_at: Reading = self._clock.read()
        self.started = False
        self.draining = False
        self.reloads: Counter[str] = Counter()
        self.last_reload_error: str | None = None
        self.unrouted = UpstreamStats()
        self._loaded: Loaded
        random = random or Random()
        self._assembly = Assembly(self._clock, random, self.unrouted)
        self._secrets = SecretStore(self._clock, draw=random.random, read=read_secrets)
        self._loader = Loader(load, self._secrets, self._clock)
        self._refused_secrets = 0
        self._admin: AdminServer | None = None
        self._admin_address: Address
        self._files: dict[str, str] = {}
        """Fingerprints of what the present configuration was made from."""
        self._tick: Cancellable | None = None
        self._ticks = 0
        self._ticked_at = self.started_at.monotonic
        self._reloading = asyncio.Lock()
        self._reloads_waiting = 0
        self._hurry = asyncio.Event()
        self._heap = Heap()

    # Starting.

    async def start(self, stop: asyncio.Event | None = None) -> bool:
        """Load, listen, fetch tokens in the background. Raises ConfigError and StartError; then nothing is open.

        Until secrets in Secrets Manager can be read this may take a while. False when `stop` was set meanwhile.
        """
        loaded = await self._loader.load_patiently(stop or asyncio.Event())
        if loaded is None:
            await self.close()
            return False
        log.configure(loaded.config.log.format, loaded.config.log.level)
        try:
            await self._serve(loaded, {})
        except BaseException:
            await self.close()
            raise
        self.started = True
        self._next_tick()
        self._log.info("started", version=self.version, config_hash=loaded.hash, upstreams=len(loaded.config.upstreams))
        return True

    async def _serve(self, loaded: Loaded, seen: dict[str, str]) -> None:
        """Change over to a configuration, or raise StartError and leave everything as it was.

        `seen` are fingerprints from before it was loaded: what changed since then is noticed at the next look.
        """
        async with self._assembly.change_to(loaded.config):
            # Last, so that whoever waits for an answer of /livez finds the listeners open.
            admin, admin_address = await self._open_admin(loaded)
        if admin is not self._admin and self._admin is not None:
            await self._admin.close()
        self._admin, self._admin_address = admin, admin_address
        self._loaded = loaded
        self._secrets.use(loaded.secrets, float(loaded.config.secrets_manager.refresh))
        self._files = fingerprint(loaded.files) | {path: seen[path] for path in loaded.files if path in seen}

    async def _open_admin(self, loaded: Loaded) -> tuple[AdminServer, Address]:
        """The admin listener for a configuration, and its real address: the present one where its address stays."""
        wanted = loaded.config.admin.listen
        if self._admin is not None and self._loaded.config.admin.listen == wanted:
            self._admin.permit(wanted.access)
            return self._admin, replace(self._admin_address, access=wanted.access)
        admin = AdminServer(self, self._clock)
        return admin, await admin.start(wanted)

    # Serving.

    @property
    def addresses(self) -> list[tuple[str, str, str]]:
        """(name, local URL, upstream URL) of each upstream, as callers use them."""
        return [(view.name, view.local_url, view.url) for view in self.upstreams()]

    @property
    def admin_address(self) -> str:
        return str(self._admin_address)

    @property
    def config_hash(self) -> str:
        return self._loaded.hash if self.started else ""

    @property
    def log_lines_dropped(self) -> int:
        return dropped(sys.stderr)

    @property
    def admin_hosts(self) -> Sequence[str]:
        return self._loaded.config.admin.hosts if self.started else ()

    @property
    def token_cache(self) -> CacheStats | None:
        """What was asked of the shared token cache; None where there is none."""
        return self._assembly.token_cache

    @property
    def secret_reads(self) -> Mapping[str, int]:
        """How often a secret in Secrets Manager was read, by result."""
        return self._secrets.stats.reads

    def secrets(self) -> Sequence[SecretStatus]:
        """What the admin room shows of each secret in Secrets Manager."""
        return self._secrets.status()

    def upstreams(self) -> Sequence[UpstreamView]:
        """What the admin room shows of each upstream."""
        return self._assembly.views()

    @property
    def tasks(self) -> int:
        return len(asyncio.all_tasks())

    @property
    def caller_connections(self) -> int:
        return sum(listener.connections for listener in self._assembly.listeners)

    def alive(self) -> bool:
        """The ticks come and every renewal is under way or scheduled."""
        behind = self._clock.read().monotonic - self._ticked_at
        return behind < _NOT_TURNING_SECONDS and self._assembly.alive()

    async def reload(self, cause: str) -> bool:
        """Read the configuration again and change over to it; False, with the old one kept, where that fails.

        Ignored while stopping. A storm of calls comes to one reload after the present one.
        """
        if self._reloads_waiting or self.draining:
            return False
        if cause == "SIGHUP":
            # Not waited for: what came of it is another reload, if it is another secret.
            self._secrets.ask()
        self._reloads_waiting += 1
        async with self._reloading:
            self._reloads_waiting -= 1
            return await self._reload(cause)

    async def _reload(self, cause: str) -> bool:
        if self.draining:
            return False
        before = self.last_reload_error
        seen = fingerprint(self._loaded.files)
        try:
            loaded = await self._loader.load()
            await self._serve(loaded, seen)
        except SidecarError as error:
            # Files that were looked for in vain are watched as well: when they come, it is tried again.
            looked_for = error.files if isinstance(error, ConfigError) else ()
            self._files = seen | fingerprint(path for path in looked_for if path not in seen)
            self.last_reload_error = str(error)
            # A broken file is tried again and again, but said once.
            if self.last_reload_error != before or cause == "SIGHUP":
                self.reloads["failure"] += 1
                problems = error.problems if isinstance(error, ConfigError) else (str(error),)
                self._log.error("reload_failed", cause=cause, problems=list(problems), kept=self._loaded.hash)
            return False
        log.configure(loaded.config.log.format, loaded.config.log.level)
        self.last_reload_error = None
        self.reloads["success"] += 1
        self._log.info("reloaded", cause=cause, config_hash=loaded.hash)
        return True

    def _next_tick(self) -> None:
        self._tick = self._clock.call_later(TICK_SECONDS, self._on_tick)

    def _on_tick(self) -> None:
        self._next_tick()
        self._ticks += 1
        self._ticked_at = self._clock.read().monotonic
        self._assembly.poll()
        self._look_after_secrets()
        self._heap.look(self.caller_connections)
        if self._ticks % WATCH_TICKS or self.draining:
            return
        names = changed(self._files, fingerprint(self._files))
        if names:
            _ = spawn(self.reload(f"changed: {', '.join(names)}"), name="reload")
        elif self.last_reload_error is not None:
            # What stood in the way may be gone: another program's port, say.
            _ = spawn(self.reload("again"), name="reload")

    def _look_after_secrets(self) -> None:
        """Read what is due in Secrets Manager; all of it where a token endpoint has refused a secret."""
        refused = self._assembly.refused_secrets()
        if refused > self._refused_secrets:
            self._secrets.ask()
        self._refused_secrets = refused
        if not self.draining and (due := self._secrets.due()):
            _ = spawn(self._read_secrets(due), name="read secrets")

    async def _read_secrets(self, due: Sequence[SecretRef]) -> None:
        if changed := await self._secrets.read(due):
            await self.reload(f"changed: {', '.join(map(str, changed))}")

    # Stopping.

    async def drain(self) -> None:
        """Go unready, accept for `shutdown.delay`, then let requests finish for `shutdown.grace`, and cut the rest."""
        shutdown = self._loaded.config.shutdown
        self.draining = True
        self._secrets.close()
        self._log.info("draining", delay=float(shutdown.delay), grace=float(shutdown.grace))
        for listener in self._assembly.listeners:
            listener.wind_down()
        await self._unless_hurried(float(shutdown.delay))
        await self._send_away()
        cut = 0
        if not await self._unless_hurried(float(shutdown.grace), self._finish()):
            cut = sum(listener.abort() for listener in self._assembly.listeners)
        if cut:
            self._log.warning("requests_cut", count=cut)
        self._log.info("drained")

    async def _send_away(self) -> None:
        """Accept nobody any more, and tell those to go who can be told."""
        for listener in self._assembly.listeners:
            await listener.stop_accepting()
            listener.send_away()

    async def _finish(self) -> None:
        """Wait until nothing is under way any more."""
        async with self._reloading:  # One that is under way may still have opened an address.
            await self._send_away()
        for listener in self._assembly.listeners:
            await listener.drained()

    async def _unless_hurried(self, seconds: float, work: Coroutine[Any, Any, None] | None = None) -> bool:
        """Wait for the work, if it is done within so long and nobody is in a hurry; whether it is done."""
        waits = [spawn(self._hurry.wait(), name="hurry")]
        if work is not None:
            waits.append(spawn(work, name="finish"))
        done, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return work is not None and waits[1] in done

    def abort(self) -> None:
        """Stop waiting: what is still under way is cut."""
        self._hurry.set()

    async def close(self) -> None:
        """Close everything at once. May be called more than once."""
        self.draining = True
        self._secrets.close()
        if self._tick is not None:
            self._tick.cancel()
        async with self._reloading:  # What one that is under way opens is closed as well.
            await self._assembly.close()
            admin, self._admin = self._admin, None
            if admin is not None:
                await admin.close()
