"""Memory that callers took up goes back to the system once they have gone. Where the C library is glibc.

What a rush took is free when it is over, but glibc's allocator keeps it for the next one: a sidecar that once had a
thousand slow readers would stay that large, in a container that is not. `malloc_trim(3)` gives it back. That takes
some milliseconds, so it is done once after a rush, and never in one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

RUSH: Final = 200
"""Connections that have to have gone: fewer leave too little behind."""


def is_over(connections: int, most: int) -> bool:
    """Whether a rush has ended: `most` connections there have been, and `connections` are left."""
    return most - connections >= RUSH and connections <= most // 2


class Heap:
    """Knows how many callers there have been."""

    def __init__(self, trim: Callable[[], object] | None = None) -> None:
        self._trim = trim or _trim()
        self._most = 0

    def look(self, connections: int) -> None:
        """To be called every now and then, with the connections of callers that there are."""
        self._most = max(self._most, connections)
        if is_over(connections, self._most):
            self._most = connections
            self._trim()


def _trim() -> Callable[[], object]:
    """glibc's malloc_trim; nothing where there is none (musl, macOS)."""
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return lambda: None
    return lambda: function(0)
