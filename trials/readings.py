"""What a running sidecar uses, read from outside: `/status` and `/metrics` of its admin listener, and /proc.

    async with aiohttp.ClientSession() as session:
        before = await read(session, sidecar.admin)
        …
        after = await read_until(session, sidecar.admin, lambda one: one.at_rest, seconds=10)
        print(after.resident_bytes - before.resident_bytes, after.open_fds - before.open_fds)

`resident_bytes(pid)` asks the system, and needs no answer of the sidecar's. It reads only.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PAUSE = 0.1
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class Readings(NamedTuple):
    """One moment of a sidecar. Connections and requests are summed over its upstreams."""

    at: float
    """Unix time."""
    tasks: int
    open_fds: int
    resident_bytes: int
    caller_connections: int
    idle: int
    """Connections to upstreams that wait for a request."""
    busy: int
    in_flight: int
    """Requests."""
    waiters: int
    """Requests that wait for a token."""
    fetching: int = 0
    """Calls of the token endpoint that are under way, each with a task and a connection; those shared count twice."""

    @property
    def at_rest(self) -> bool:
        """No caller is connected, nothing is left of those that were, and no token is being fetched."""
        busy = (self.caller_connections, self.idle, self.busy, self.in_flight, self.waiters, self.fetching)
        return not any(busy)


def readings_of(status: dict[str, Any], at: float) -> Readings:
    """From the JSON of `/status`."""
    process, upstreams = status["process"], status["upstreams"].values()
    return Readings(
        at=at,
        tasks=process["tasks"],
        open_fds=process["open_fds"],
        resident_bytes=process["resident_bytes"],
        caller_connections=process["caller_connections"],
        idle=sum(each["connections"]["idle"] for each in upstreams),
        busy=sum(each["connections"]["busy"] for each in upstreams),
        in_flight=sum(each["requests"]["in_flight"] for each in upstreams),
        waiters=sum(each["waiters"] for each in upstreams),
        fetching=sum(each["fetching"] for each in upstreams),
    )


async def status(session: aiohttp.ClientSession, admin: str) -> dict[str, Any]:
    """`/status`. Raises aiohttp.ClientError, and TimeoutError after 5 s."""
    async with session.get(admin + "/status", timeout=_TIMEOUT) as response:
        told: dict[str, Any] = await response.json()
    return told


async def read(session: aiohttp.ClientSession, admin: str) -> Readings:
    """What it uses now. Raises as `status` does."""
    return readings_of(await status(session, admin), time.time())


async def read_until(
    session: aiohttp.ClientSession, admin: str, good: Callable[[Readings], bool], *, seconds: float
) -> Readings:
    """The first readings that are good; the last ones, where none are within so many seconds.

    Raises as `status` does when even then there is no answer.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            found = await read(session, admin)
            if good(found):
                return found
        except (aiohttp.ClientError, TimeoutError):
            if time.monotonic() > until:
                raise
        else:
            if time.monotonic() > until:
                return found
        await asyncio.sleep(_PAUSE)


async def metrics(session: aiohttp.ClientSession, admin: str) -> dict[str, float]:
    """Every sample of `/metrics` by its name with labels, as it is written there: `name{label="value"}`."""
    async with session.get(admin + "/metrics", timeout=_TIMEOUT) as response:
        text = await response.text()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {_written(sample.name, sample.labels): sample.value for sample in samples}


def _written(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}" if inner else name


def resident_bytes(pid: int) -> int:
    """Resident memory of one process. Everybody may read this file, even of a process that nobody may trace."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
