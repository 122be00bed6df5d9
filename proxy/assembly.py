"""The parts that serve one configuration, and the change from one configuration to the next.

Unchanged upstreams keep their token sources, their connections and their counts; whatever may fail (binding a
listener) comes before anything that the running parts notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, TypedDict

import msgspec

from proxy import descriptors
from proxy.admin.view import UpstreamView
from proxy.clock import Clock
from proxy.config.model import Address, Auth, Config, Limits, Proxy, TokenCache
from proxy.config.model import Upstream as Settings
from proxy.errors import StartError
from proxy.forward.guard import make_guard
from proxy.forward.listener import Listener
from proxy.forward.routes import Routes
from proxy.forward.ticker import Ticker
from proxy.forward.upstream import Upstream
from proxy.log import logger
from proxy.stats import CacheStats, UpstreamStats
from proxy.tasks import spawn
from proxy.tokens import Identity, TokenSource, combined, heirs, identity

if TYPE_CHECKING:
    from proxy.tokens.shared.sharing import Engine, Sharing

REQUEST_TICK = 0.1
"""Seconds; how late a request's deadline may be noticed."""
CONNECTION_TICK = 1.0


class Assembly:
    """See the module's text."""

    def __init__(self, clock: Clock, random: Random, nobody: UpstreamStats) -> None:
        self._clock = clock
        self._random = random
        self._nobody = nobody
        self._loop = asyncio.get_running_loop()
        self._exchanges = Ticker(self._loop, REQUEST_TICK)
        self._connections = Ticker(self._loop, CONNECTION_TICK)
        self._cache_stats = CacheStats()
        self._cache: TokenCache | None = None
        self._engine: Engine | None = None
        """Of the token cache that sidecars share, where one is configured."""
        self._retired: set[asyncio.Task[None]] = set()
        """The closing of those that are no longer configured."""
        self._stats: dict[str, UpstreamStats] = {}
        self._sources: dict[str, TokenSource] = {}
        """By upstream; several may share one."""
        self._upstreams: dict[str, Upstream] = {}
        self._listeners: dict[Address, Listener] = {}
        """By the address as configured."""
        self._leaving: set[Listener] = set()
        """At addresses that are no longer configured, until their last request has ended."""
        self._cramped: tuple[int, descriptors.Share] | None = None
        """The limit of file descriptors and what comes of it, where that is less than was asked for."""

    @property
    def token_cache(self) -> CacheStats | None:
        """What was asked of the shared token cache; None where there is none."""
        return None if self._cache is None else self._cache_stats

    @property
    def listeners(self) -> Sequence[Listener]:
        """All that may have requests under way."""
        return [*self._listeners.values(), *self._leaving]

    def views(self) -> list[UpstreamView]:
        """What can be told of each upstream, in the order of the configuration."""
        return [self._view(name, upstream) for name, upstream in self._upstreams.items()]

    def alive(self) -> bool:
        return all(source.alive() for source in self._sources.values())

    def refused_secrets(self) -> int:
        """How often token endpoints have refused a secret so far, by the sources that there are."""
        return sum(source.stats.refused_secrets for source in {*self._sources.values()})

    def poll(self) -> None:
        """Let each source look at the clock: a sleeping machine's timers come late."""
        for source in {*self._sources.values()}:
            source.poll()

    @asynccontextmanager
    async def change_to(self, config: Config) -> AsyncIterator[None]:
        """Serve another configuration from the end of the `async with` block on.

        Its listeners are open within the block, which is for what else may fail. Where it fails, or StartError is
        raised, nothing has changed.
        """
        key = config.require_header
        key_name = key.name.lower().encode() if key is not None else b""
        engine = self._engine if config.token_cache == self._cache else self._new_engine(config.token_cache)
        sources = self._sources_for(config, engine)
        upstreams = {
            name: self._upstream(name, settings, sources[name], key_name, config.limits)
            for name, settings in config.upstreams.items()
        }
        sharing: dict[Address, list[Upstream]] = {}
        for upstream in upstreams.values():
            sharing.setdefault(upstream.settings.listen, []).append(upstream)
        routes = {address: Routes(served) for address, served in sharing.items()}
        limits = self._fitting(config)
        guards = {address: make_guard(address, config.allow_browsers, key) for address in routes}
        opened: dict[Address, Listener] = {}
        accesses = [(listener, listener.address.access) for listener in self._listeners.values()]
        try:
            for address in routes.keys() - self._listeners.keys():
                opened[address] = Listener(
                    address,
                    guard=guards[address],
                    routes=routes[address],
                    limits=limits,
                    access=config.log.access,
                    loop=self._loop,
                    exchanges=self._exchanges,
                    connections=self._connections,
                    nobody=self._nobody,
                )
                await opened[address].start()
            for address in routes:
                if address in self._listeners:
                    self._listeners[address].permit(address.access)
            yield
        except BaseException:
            for listener, access in accesses:
                with suppress(StartError):
                    listener.permit(access)
            for listener in opened.values():
                await listener.close()
            raise
        # From here on nothing fails.
        listeners = self._listeners | opened
        for address in [address for address in listeners if address not in routes]:
            self._leaving.add(listeners[address])
            _ = spawn(self._leave(listeners.pop(address)), name="leave an address")
        for address, listener in listeners.items():
            listener.configure(guards[address], routes[address], limits, access=config.log.access)
        kept_pools = {upstream.pool for upstream in upstreams.values()}
        for old in self._upstreams.values():
            if old.pool not in kept_pools:
                old.pool.retire()
        before, self._sources = {*self._sources.values()}, sources
        self._upstreams = upstreams
        self._listeners = {address: listeners[address] for address in routes}
        if engine is not self._engine and self._engine is not None:
            self._retire(self._engine)
        self._engine, self._cache = engine, config.token_cache
        self._hand_over(before, config)

    def _fitting(self, config: Config) -> Limits:
        """The limits, with no more connections than there are file descriptors for."""
        wanted = {
            "callers": config.limits.connections,
            "listeners": len({settings.listen for settings in config.upstreams.values()}),
            "upstreams": sum(settings.pool.max_connections for settings in config.upstreams.values()),
        }
        available = descriptors.make_room(descriptors.needed(**wanted))
        share = descriptors.share(available, **wanted)
        told, self._cramped = self._cramped, (available, share) if share.cramped else None
        if self._cramped not in (None, told):  # Once, and not at each of a storm of reloads.
            logger("assembly").warning(
                "few_file_descriptors", limit=available, needed=descriptors.needed(**wanted), connections=share.callers
            )
        return msgspec.structs.replace(config.limits, connections=share.callers)

    def _hand_over(self, before: set[TokenSource], config: Config) -> None:
        """Start the new sources, tell the old ones of their secrets and settings, close those that nobody uses."""
        for source, names in self._names().items():
            if source in before:
                terms = _terms([config.upstreams[name] for name in names], self._engine)
                source.update(names=tuple(names), **terms)
            else:
                source.start()
        for source in before - {*self._sources.values()}:
            _ = spawn(source.close(), name="close a token source")

    def _sources_for(self, config: Config, engine: Engine | None) -> dict[str, TokenSource]:
        """A source for each upstream, shared where the token is the same, the present one wherever that is possible."""
        present = {name: identity(upstream.settings.auth) for name, upstream in self._upstreams.items()}
        by_identity = {key: self._sources[name] for name, key in present.items()}
        wanted: dict[Identity, list[str]] = {}
        for name, settings in config.upstreams.items():
            wanted.setdefault(identity(settings.auth), []).append(name)
        inherited = heirs(wanted, present)
        sources: dict[str, TokenSource] = {}
        for key, names in wanted.items():
            before = inherited.get(key)
            source = by_identity[before] if before else self._source(config, tuple(names), engine)
            sources |= dict.fromkeys(names, source)
        return sources

    def _new_engine(self, settings: TokenCache | None) -> Engine | None:
        if settings is None:
            return None
        from proxy.tokens.shared.sharing import Engine  # noqa: PLC0415  (nothing of it is needed otherwise)
        from proxy.tokens.shared.store import RedisStore  # noqa: PLC0415  (the same)

        return Engine(RedisStore(settings), self._clock, self._random.random, self._cache_stats)

    def _source(self, config: Config, names: tuple[str, ...], engine: Engine | None) -> TokenSource:
        terms = _terms([config.upstreams[name] for name in names], engine)
        return TokenSource(names=names, clock=self._clock, draw=self._random.random, **terms)

    def _names(self) -> dict[TokenSource, list[str]]:
        """By source, the upstreams that share it, in the order of the configuration."""
        names: dict[TokenSource, list[str]] = {}
        for name in self._upstreams:
            names.setdefault(self._sources[name], []).append(name)
        return names

    def _upstream(
        self, name: str, settings: Settings, source: TokenSource, key_name: bytes, limits: Limits
    ) -> Upstream:
        old = self._upstreams.get(name)
        return Upstream(
            name,
            settings,
            provider=source,
            stats=self._stats.setdefault(name, UpstreamStats()),
            key_name=key_name,
            loop=self._loop,
            ticker=self._exchanges,
            limits=limits,
            pool=old.pool if old is not None and old.shares_pool_with(settings) else None,
        )

    def _view(self, name: str, upstream: Upstream) -> UpstreamView:
        source, settings = self._sources[name], upstream.settings
        address = self._listeners[settings.listen].address
        prefix = settings.prefix if settings.prefix != "/" else ""
        return UpstreamView(
            name=name,
            listen=str(settings.listen),
            local_url=f"{address}{prefix}" if address.unix else f"http://{address}{prefix or '/'}",
            url=str(settings.url),
            required=settings.required,
            token=source.status(),
            token_stats=source.stats,
            stats=upstream.stats,
            connections_idle=upstream.pool.idle,
            connections_busy=upstream.pool.busy,
        )

    async def close(self) -> None:
        """Cut everything."""
        for listener in self.listeners:
            await listener.close()
        for upstream in self._upstreams.values():
            upstream.pool.retire()
        for source in {*self._sources.values()}:
            await source.close()
        if self._engine is not None:
            self._retire(self._engine)
        if self._retired:
            await asyncio.wait(self._retired)
        self._exchanges.close()
        self._connections.close()

    def _retire(self, engine: Engine) -> None:
        closing = spawn(engine.close(), name="close the token cache")
        self._retired.add(closing)
        closing.add_done_callback(self._retired.discard)

    async def _leave(self, listener: Listener) -> None:
        """An address that is no longer configured: finish what is under way there."""
        await listener.stop_accepting()
        await listener.drained()
        await listener.close()
        self._leaving.discard(listener)


class _Terms(TypedDict):
    """What a token source is told of the upstreams that share it."""

    auth: Auth
    extra_ca_file: str | None
    proxy: Proxy | None
    sharing: Sharing | None


def _terms(shared: Sequence[Settings], engine: Engine | None) -> _Terms:
    """Those of upstreams whose token is the same. How the endpoint is reached, the first says that says anything."""
    auth = combined([settings.auth for settings in shared])
    proxies = (settings.egress_proxy.token for settings in shared if settings.egress_proxy is not None)
    return {
        "auth": auth,
        "extra_ca_file": next((file for settings in shared if (file := settings.tls.ca_file)), None),
        "proxy": next((proxy for proxy in proxies if proxy is not None), None),
        "sharing": None if engine is None else engine.share(auth),
    }
