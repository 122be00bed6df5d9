"""What one request came to, for the counters and the access log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import Name
from proxy.log import logger
from proxy.stats import UpstreamStats

if TYPE_CHECKING:
    from proxy.forward.upstream import Upstream

METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
}
"""The methods that metrics name; all others count as OTHER, so that callers cannot make labels."""

CALLER_GONE: Final = 499
"""Counted for a caller that closed before there was a status to send, as nginx does."""


class Record:
    """Counts a request from its beginning to its end, once."""

    __slots__ = ("_began", "_method", "_path", "_stats", "name")

    def __init__(
        self, now: float, method: bytes, target: bytes, upstream: Upstream | None, nobody: UpstreamStats
    ) -> None:
        self._began = now
        self._method = METHODS.get(method, "OTHER")
        self._path = target
        self.name = upstream.name if upstream is not None else None
        self._stats = upstream.stats if upstream is not None else nobody
        self._stats.in_flight += 1

    def error(self, name: Name) -> None:
        """The sidecar answered, or cut, in its own name."""
        self._stats.errors[name] += 1

    def end(self, now: float, status: int, *, access: bool) -> None:
        """The last step of a request."""
        stats = self._stats
        stats.in_flight -= 1
        stats.requests[self._method, status] += 1
        stats.duration.observe(now - self._began)
        if access:
            logger("access").info(
                "request",
                upstream=self.name,
                method=self._method,
                # A query may hold what is nobody's business; bytes that are no ASCII may move a terminal's cursor.
                path=self._path.partition(b"?")[0].decode("ascii", "backslashreplace"),
                status=status,
                milliseconds=round((now - self._began) * 1000, 1),
            )
