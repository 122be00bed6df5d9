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
        by_length = sorted(upstreams, key=lambda upstream: len(upstream.prefix), reverse=True)
        self._by_prefix = {upstream.prefix: upstream for upstream in by_length}
        self._lengths = tuple(dict.fromkeys(map(len, self._by_prefix)))
        """Of the prefixes: there are few, however many upstreams there are."""
        self.names = tuple(upstream.name for upstream in by_length)
        self.only = by_length[0] if len(by_length) == 1 else None
        """The one upstream of a listener that has just one: what goes wrong here is counted as its."""
        self.all_hosts = frozenset[bytes]().union(*(upstream.hosts for upstream in by_length))
        """Where the route is not known, the hosts of any upstream will do."""
        self.all_peers = frozenset(upstream.peers for upstream in by_length)
        """And so will whoever may use any of them."""

    def find(self, path: bytes) -> Route | None:
        """The upstream for `path`, as written (without a query), or None."""
        for length in self._lengths:
            upstream = self._by_prefix.get(path[:length])
            if upstream is not None and (rest := below_prefix(path, upstream.prefix)) is not None:
                return Route(upstream, rest)
        return None
