"""Who takes part: one file each, with a configuration and a command, as a careful user would write them.

All keep connections to the upstream open, verify its certificate, fetch a token with the client's credentials (but
for nginx with a fixed header, which is told it and is the limit of what a proxy can do), and run on one core.
"""

from __future__ import annotations

from bench.contenders import aiohttp_client, envoy, golang, nginx, sidecar
from bench.contenders.contender import Contender

ALL: tuple[Contender, ...] = (
    sidecar.SIDECAR,
    envoy.ENVOY,
    golang.GO,
    nginx.FIXED,
    nginx.LUA,
    aiohttp_client.AIOHTTP,
)
"""In the order of the tables."""

__all__ = ["ALL", "Contender"]
