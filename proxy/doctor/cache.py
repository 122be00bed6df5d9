"""The token cache that sidecars share: as far as one gets to its engine, and whether an entry can be kept there.

What is put there is a few random bytes under a name of their own, for some seconds, and removed at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from proxy.clock import Clock, stopwatch
from proxy.config.model import Tls, TokenCache, Url
from proxy.config.walk import BROKEN, Unusable
from proxy.doctor.claims import look_at_unusable
from proxy.doctor.finding import Finding, Mark, fail, ok, skip
from proxy.doctor.reach import reach
from proxy.tls import TlsFileError, client_context

_STEP: Final = "token cache"
_PATIENCE: Final = 5.0
"""Seconds for finding the way, where the sidecar itself would have gone on alone long before."""
_PROBE_LIFE: Final = 10.0
_PLACE: Final = re.compile(r"rediss?(?:\+\w+)?://(?:\[([^\]]+)\]|([^:/,]+))(?::(\d+))?")


async def examine_cache(
    settings: TokenCache, clock: Clock, unusable: Sequence[Unusable] = ()
) -> AsyncIterator[Finding]:
    """Every step, each as soon as it is done. `unusable` are the values that it lacks, as for an upstream."""
    for finding in look_at_unusable(unusable):
        yield finding
    reached = settings.url is not BROKEN
    for finding in await _reached(settings, clock) if reached else ():
        reached = reached and finding.mark is not Mark.FAIL
        yield finding
    keeps = reached and not unusable
    yield await _keeps(settings) if keeps else skip(f"{_STEP}: entry", "because of what failed before")


async def _reached(settings: TokenCache, clock: Clock) -> list[Finding]:
    """To the engine, or to the first of the servers that know it."""
    url = settings.url.reveal()
    place = _PLACE.match(url)
    if place is None:
        return []  # A unix socket.
    files = Tls(ca_file=settings.ca_file, cert_file=settings.cert_file, key_file=settings.key_file)
    try:
        context = client_context(files, replace_trust=True) if url.startswith("rediss") else None
    except TlsFileError as error:
        return [fail(f"{_STEP}: TLS", str(error), "tls_failed")]
    port = int(place[3] or (26379 if "+sentinel" in url else 6379))
    return await reach(_STEP, Url("https", place[1] or place[2], port, ""), files, context, None, _PATIENCE, clock)


async def _keeps(settings: TokenCache) -> Finding:
    from proxy.tokens.shared.store import RedisStore, StoreError  # noqa: PLC0415  (the extra)

    step, name, value = f"{_STEP}: entry", f"probe:{os.urandom(8).hex()}", os.urandom(16)
    store, began = RedisStore(settings), stopwatch()
    try:
        await store.put(name, value, _PROBE_LIFE)
        kept = await store.get(name) == value
        kept = await store.remove(name, value) and kept
    except StoreError as error:
        limit = f" within {settings.timeout:g} s" if error.trouble == "timeout" else ""
        return fail(step, f"{error.trouble}{limit}", f"cache:{error.trouble}")
    finally:
        await store.close()
    if not kept:
        return fail(step, "what was stored is not there", "cache:error")
    return ok(step, f"stored, read and removed in {(stopwatch() - began) * 1000:.0f} ms")
