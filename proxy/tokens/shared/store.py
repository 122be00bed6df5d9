"""The engine: Redis, Valkey or what speaks their protocol, by redis-py. Four small operations, each with a time limit.

Whatever goes wrong is a StoreError with one word; redis-py's own errors may quote a command, which holds an entry, or
a password, so none of them leaves this file.

A connection is never used again after anything went wrong on it, not even when it was our own patience that ended: an
answer that still comes would be taken for that of the next command. And none is kept while there is nothing to ask:
what lies between would forget it in the hour until then, and ten thousand sidecars are more than an engine takes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, RedisError

from proxy.config.model import Tls, TokenCache
from proxy.egress import connected_socket
from proxy.tasks import spawn
from proxy.tls import client_context
from proxy.tokens.shared.sealing import LONGEST

T = TypeVar("T")

Trouble = Literal["timeout", "connection", "denied", "full", "error"]

# Remove only what is known: somebody else may have put something newer there.
_REMOVE: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_SHORTEN: Final = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
)


class StoreError(Exception):
    """The engine did not do what it was asked for."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble: Trouble = trouble
        super().__init__(trouble)


class Store(Protocol):
    """What sharing needs of an engine. Every operation raises StoreError."""

    async def get(self, name: str) -> bytes | None:
        """What is there, if anything; of a longer one no more than one byte over LONGEST."""

    async def put(self, name: str, value: bytes, seconds: float) -> None:
        """Keep `value` for so long, in the place of what was there."""

    async def take(self, name: str, owner: bytes, seconds: float) -> bool:
        """A lock that nobody has: it is `owner`'s for so long."""

    async def remove(self, name: str, value: bytes, *, after: float = 0.0) -> bool:
        """Remove what is there if it is `value`, now or after so many seconds."""

    def rest(self) -> None:
        """Nothing will be asked for a while."""

    async def close(self) -> None: ...


class RedisStore:
    """See Store. Connects when it is asked."""

    def __init__(self, settings: TokenCache) -> None:
        self._settings = settings
        self._prefix = f"{settings.key_prefix}:"
        self._seconds = float(settings.timeout)
        self._client: Any = client(settings)
        self._used = False
        self._ending: set[asyncio.Task[None]] = set()

    async def get(self, name: str) -> bytes | None:
        # Not GET: what somebody else has put there may be larger than all the memory that a sidecar may have.
        found: bytes = await self._do(lambda redis: redis.getrange(self._prefix + name, 0, LONGEST))
        return found or None

    async def put(self, name: str, value: bytes, seconds: float) -> None:
        await self._do(lambda redis: redis.set(self._prefix + name, value, px=_milliseconds(seconds)))

    async def take(self, name: str, owner: bytes, seconds: float) -> bool:
        done = await self._do(lambda redis: redis.set(self._prefix + name, owner, nx=True, px=_milliseconds(seconds)))
        return bool(done)

    async def remove(self, name: str, value: bytes, *, after: float = 0.0) -> bool:
        key = self._prefix + name
        if after:
            return bool(await self._do(lambda redis: redis.eval(_SHORTEN, 1, key, value, _milliseconds(after))))
        return bool(await self._do(lambda redis: redis.eval(_REMOVE, 1, key, value)))

    def rest(self) -> None:
        self._leave(self._client)

    async def close(self) -> None:
        self._leave(self._client)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _do(self, operation: Callable[[Any], Awaitable[T]]) -> T:
        redis, self._used = self._client, True
        try:
            async with asyncio.timeout(self._seconds):
                return await operation(redis)
        except asyncio.CancelledError:
            self._leave(redis)
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the sidecar goes on alone)
            self._leave(redis)
            trouble = trouble_of(error)
        # Outside of the handler, so that the library's error is not kept as this one's context.
        raise StoreError(trouble)

    def _leave(self, redis: Any) -> None:
        """End the connections of a client, in the background: who was let down by them waits no longer."""
        if redis is not self._client or not self._used:
            return
        self._client, self._used = client(self._settings), False
        ending = spawn(self._end(redis), name="leave the token cache")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _end(self, redis: Any) -> None:
        sentinels = getattr(getattr(redis, "connection_pool", None), "sentinel_manager", None)
        for part in (redis, sentinels):
            try:
                async with asyncio.timeout(self._seconds):
                    if part is not None:
                        await part.aclose()
            except (RedisError, OSError, TimeoutError):
                pass  # It is left alone in any case.


def trouble_of(error: Exception) -> Trouble:
    """What went wrong, in a word."""
    match error:
        case AuthenticationError() | NoPermissionError():
            return "denied"
        case OutOfMemoryError():
            return "full"
        case TimeoutError():
            return "timeout"
        case _ if isinstance(error, OSError) or type(error).__name__ in _UNREACHABLE:
            return "connection"
        case _:
            return "error"


_UNREACHABLE: Final = {"ConnectionError", "ClusterDownError", "RedisClusterException", "MasterNotFoundError"}


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def client(settings: TokenCache) -> Any:
    """redis-py's client for a URL: of one server, of a cluster (`redis+cluster://`), or of the master that sentinels
    name (`redis+sentinel://HOST:PORT,HOST:PORT/SERVICE`). Nothing is connected yet."""
    url = settings.url.reveal()
    scheme, _, rest = url.partition("://")
    secure = scheme.startswith("rediss")
    seconds = float(settings.timeout)
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        # One attempt: whoever asks has a token to get, and a way to get it without this.
        "retry": Retry(NoBackoff(), 0),
        # Nothing is said to the engine but what is needed: each word is a round trip within the time limit, and a
        # permission that its users would have to be given.
        "protocol": 2,
        "driver_info": None,
    }
    if secure:
        options |= {
            "ssl_ca_certs": settings.ca_file,
            "ssl_certfile": settings.cert_file,
            "ssl_keyfile": settings.key_file,
        }
    login: dict[str, Any] = {
        "username": settings.username.reveal() if settings.username else None,
        "password": settings.password.reveal() if settings.password else None,
    }
    if scheme.endswith("+cluster"):
        cluster: Any = RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options, **login)
        cluster.connection_kwargs["connection_class"] = _Tls if secure else _Tcp
        for node in cluster.nodes_manager.startup_nodes.values():
            node.connection_class = _Tls if secure else _Tcp
        return cluster
    if scheme.endswith("+sentinel"):
        return _by_sentinels(rest, secure, options, login)
    redis = Redis.from_url(url, max_connections=4, **options, **login)
    if scheme != "unix":
        redis.connection_pool.connection_class = _Tls if secure else _Tcp
    return redis


def _by_sentinels(rest: str, secure: bool, options: dict[str, Any], login: dict[str, Any]) -> Any:
    hosts, _, path = rest.partition("/")
    service, _, database = path.partition("/")
    places = [urlsplit(f"//{host}") for host in hosts.split(",")]
    sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
        [(place.hostname, place.port or 26379) for place in places],
        # The sentinels hold nothing, and have users of their own, if any: the engine's password is not for them.
        sentinel_kwargs={**options, "ssl": secure},
        ssl=secure,
        db=int(database or 0),
        **options,
        **login,
    )
    redis = sentinel.master_for(service)
    redis.connection_pool.connection_class = _ManagedTls if secure else _ManagedTcp
    for one in sentinel.sentinels:
        one.connection_pool.connection_class = _Tls if secure else _Tcp
    return redis


class _Tcp(Connection):
    """Connects as everything here does, by name and address: the event loop would do both its own way."""

    _socket: socket.socket

    async def _connect(self) -> None:
        self._socket = await connected_socket(self.host, self.port)
        await super()._connect()  # type: ignore[no-untyped-call]

    def _connection_arguments(self) -> dict[str, Any]:
        arguments = {**super()._connection_arguments(), "sock": self._socket}
        host = arguments.pop("host")
        del arguments["port"]
        return arguments | {"server_hostname": host} if "ssl" in arguments else arguments


class _Tls(_Tcp, SSLConnection):
    """TLS as all our connections have it: redis-py's own context trusts the system's authorities beside `ca_file`, and
    writes session keys where SSLKEYLOGFILE says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        files = (options.get(f"ssl_{name}") for name in ("ca_certs", "certfile", "keyfile"))
        context = client_context(Tls(*files), replace_trust=True)
        context.set_alpn_protocols([])
        self.ssl_context.context = context


class _ManagedTcp(SentinelManagedConnection, _Tcp):
    """To the master that sentinels name."""


class _ManagedTls(SentinelManagedConnection, _Tls):
    """The same by TLS."""
