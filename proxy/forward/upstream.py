"""One upstream as requests meet it: its rules as prepared bytes, its token source, its connections, its counts."""

from __future__ import annotations

import asyncio
from math import inf

from proxy.config.model import Limits, Proxy
from proxy.config.model import Upstream as Settings
from proxy.forward.connector import Connector
from proxy.forward.fields import Locations, make_rules
from proxy.forward.guard import compile_rules
from proxy.forward.pool import Pool
from proxy.forward.ticker import Ticker
from proxy.secret import Secret
from proxy.stats import UpstreamStats
from proxy.tokens.interface import AccessToken, TokenProvider

METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
"""The methods that metrics name; all others count as OTHER."""


class Upstream:
    """One upstream of the present configuration; a reload makes a new one and may hand on the pool."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        provider: TokenProvider,
        stats: UpstreamStats,
        key_name: bytes,
        loop: asyncio.AbstractEventLoop,
        ticker: Ticker,
        limits: Limits = Limits(),  # noqa: B008  (it cannot change)
        pool: Pool | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.provider = provider
        self.stats = stats
        self.prefix = b"" if settings.prefix == "/" else settings.prefix.encode()
        self.request_rules = make_rules(settings, key_name)
        self.allow = compile_rules(settings.allow)
        self.hosts = frozenset(host.lower().encode() for host in settings.hosts)
        self.peers = settings.allow_peers
        # Spelling matters only where something is decided by the path.
        self.strict_paths = bool(self.prefix or self.allow or settings.url.path)
        self.idle_seconds = float(settings.timeouts.idle) or inf
        proxy = _proxy(settings)
        self.by_way = f" by way of the egress proxy {proxy}" if proxy is not None else ""
        """For people, where a connection is late: no part of it has failed yet."""
        self.response_seconds = float(settings.timeouts.response) or inf
        self.body_seconds = float(limits.body_time) or inf
        """For each KiB of a request body."""
        self.most_waiting = limits.waiting
        self.token_waiters = 0
        """Requests that wait for a token."""
        self.pool = pool or self._make_pool(loop, ticker)
        self._auth_token: AccessToken | None = None
        self._head_end = Secret(b"")

    def __repr__(self) -> str:
        return f"<upstream {self.name}>"

    def head_end(self, token: AccessToken) -> Secret[bytes]:
        """The end of a request's head: the credential's line with this token, made once for each token."""
        if token is not self._auth_token:
            line = self.request_rules.auth_begins + token.reveal().encode("latin-1")
            self._head_end = Secret(line + b"\r\n\r\n")
            self._auth_token = token
        return self._head_end

    def token_wait_ended(self, _: object) -> None:
        """The task of a request that waited for a token has ended, however."""
        self.token_waiters -= 1

    def to_local(self, location: bytes, authority: bytes) -> bytes:
        """A Location of this upstream's as a caller has to ask for it who reached the listener as `authority`."""
        rules = self.request_rules
        return Locations(rules.origin, rules.base_path, self.prefix, b"http://" + authority).to_local(location)

    def shares_pool_with(self, other: Settings) -> bool:
        """Whether connections made for this upstream are good for one with other settings."""
        return _pool_settings(self.settings) == _pool_settings(other)

    def _make_pool(self, loop: asyncio.AbstractEventLoop, ticker: Ticker) -> Pool:
        return Pool(
            Connector(self.settings, loop).connect,
            limit=self.settings.pool.max_connections,
            keepalive=self.settings.pool.keepalive,
            # Half of what a request waits, so that it gets a connection that is given up.
            patience=self.settings.timeouts.connect / 2,
            stats=self.stats,
            loop=loop,
            ticker=ticker,
        )


def _pool_settings(settings: Settings) -> tuple[object, ...]:
    """What a connection, once made, cannot change any more."""
    return settings.url, settings.tls, settings.pool, settings.timeouts.connect, _proxy(settings)


def _proxy(settings: Settings) -> Proxy | None:
    return settings.egress_proxy.upstream if settings.egress_proxy is not None else None
