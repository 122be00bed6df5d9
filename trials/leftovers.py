"""What a sidecar still has when everybody has gone. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from trials.readings import Readings


class Allowance(NamedTuple):
    """How much more memory may be in use when everybody has gone: the allocator's, and Python's own."""

    share: float
    """Of what was used at the peak beyond what was used before."""
    slack: int
    """Bytes besides."""


FIRST: Final = Allowance(0.25, 8 * 2**20)
"""After the first rush: what is made once, and what lies between pieces that are still used, stays."""
AGAIN: Final = Allowance(0.05, 4 * 2**20)
"""After another one that is the same, compared with the one before."""


def is_as_before(after: Readings, before: Readings) -> bool:
    """Whether it is at rest with no more than it had. A token that is being renewed takes a descriptor and a task."""
    return after.at_rest and after.open_fds <= before.open_fds and after.tasks <= before.tasks


def unfreed(before: Readings, peak: Readings, after: Readings, allowance: Allowance) -> list[str]:
    """What was still there `after` everybody had gone, compared with `before` they came."""
    found = []
    if not after.at_rest:
        found.append(
            f"connections and requests are left: {after.caller_connections} of callers, {after.idle + after.busy} to "
            f"upstreams, {after.in_flight} requests, {after.waiters} that wait"
        )
    if after.open_fds > before.open_fds:
        found.append(f"{after.open_fds - before.open_fds} descriptors are left")
    if after.tasks > before.tasks:
        found.append(f"{after.tasks - before.tasks} tasks are left")
    allowed = allowance.slack + int(allowance.share * max(0, peak.resident_bytes - before.resident_bytes))
    left = after.resident_bytes - before.resident_bytes
    if left > allowed:
        found.append(f"{left / 2**20:.1f} MiB are left, {allowed / 2**20:.1f} are allowed")
    return found
