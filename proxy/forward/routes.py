"""Which of a listener's upstreams a path belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from proxy.forward.target import below_prefix
from proxy.forward.upstream import Upstream


class Route(NamedTuple):
    """An upstream, and the path of a request below its prefix."""

    upstream: Upstream
    path: bytes


class Routes:
    """The upstreams of one listener; the longest prefix on a path boundary wins."""

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        self._by_length = sorted(upstreams, key=lambda upstream: len(upstream.prefix), reverse=True)
        self.names = tuple(upstream.name for upstream in self._by_length)
        self.only = self._by_length[0] if len(self._by_length) == 1 else None
        """The one upstream of a listener that has just one: what goes wrong here is counted as its."""
        self.all_hosts = frozenset[bytes]().union(*(upstream.hosts for upstream in self._by_length))
        """Where the route is not known, the hosts of any upstream will do."""
        self.all_peers = tuple(upstream.peers for upstream in self._by_length)
        """And so will whoever may use any of them."""

    def find(self, path: bytes) -> Route | None:
        """The upstream for `path`, as written (without a query), or None."""
        for upstream in self._by_length:
            rest = below_prefix(path, upstream.prefix)
            if rest is not None:
                return Route(upstream, rest)
        return None
