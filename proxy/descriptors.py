"""File descriptors: as many as the configuration needs where the system gives them, and a fair share where not.

A process that has none left cannot renew a token, read its configuration or answer a probe. So callers never get the
last ones: their connections are limited to what is left when everything else has its share.
"""

from __future__ import annotations

import resource
from typing import Final, NamedTuple

OWN: Final = 64
"""For all that is neither a caller's connection nor an upstream's: files, name look-ups, token calls, probes."""
FEWEST: Final = 16
"""Callers' connections that each listener may have, whatever the system's limit is."""

SLACK: Final = 1.05
"""By how much a listener may exceed its limit for a moment, to tell those callers why they are turned away."""


class Share(NamedTuple):
    """How many connections there may be."""

    callers: int
    """To each listener."""
    cramped: bool
    """The system's limit leaves less than what was asked for."""


def share(available: int, *, callers: int, listeners: int, upstreams: int) -> Share:
    """What each listener may have of `available` descriptors.

    `callers` is what a listener should have, `upstreams` the most connections that all pools may hold. Pools have at
    most half, since an upstream's connection is of no use without a caller's.
    """
    free = max(0, available - OWN)
    left = free - min(upstreams, free // 2)
    fair = max(FEWEST, int(left / max(1, listeners) / SLACK))
    return Share(min(callers, fair), fair < callers)


def needed(*, callers: int, listeners: int, upstreams: int) -> int:
    """How many descriptors a configuration may come to use."""
    return OWN + upstreams + int(callers * listeners * SLACK)


def make_room(wanted: int) -> int:
    """Raise the soft limit to `wanted`, as far as the hard one allows. Returns the limit that holds from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    better = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if better > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (better, hard))
        except (OSError, ValueError):
            return soft  # Some systems have a lower limit of their own.
    return max(soft, better)
