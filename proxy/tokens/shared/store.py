"""The engine: Redis, Valkey or what speaks their protocol, by redis-py. Four small operations, each with a time limit.

Whatever goes wrong is a StoreError with one word; redis-py's own errors may quote a command, which holds an entry, or
a password, so none of them leaves this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, RedisError

from proxy.config.model import TokenCache

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

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes, seconds: float) -> None:
        """Keep `value` for so long, in the place of what was there."""

    async def take(self, name: str, owner: bytes, seconds: float) -> bool:
        """A lock that nobody has: it is `owner`'s for so long."""

    async def remove(self, name: str, value: bytes, *, after: float = 0.0) -> bool:
        """Remove what is there if it is `value`, now or after so many seconds."""

    async def close(self) -> None: ...


class RedisStore:
    """See Store. Connects when it is first asked; one connection is enough for a call an hour."""

    def __init__(self, settings: TokenCache) -> None:
        self._prefix = f"{settings.key_prefix}:"
        self._seconds = float(settings.timeout)
        self._client: Any = client(settings)

    async def get(self, name: str) -> bytes | None:
        found: bytes | None = await self._do(lambda: self._client.get(self._prefix + name))
        return found

    async def put(self, name: str, value: bytes, seconds: float) -> None:
        await self._do(lambda: self._client.set(self._prefix + name, value, px=_milliseconds(seconds)))

    async def take(self, name: str, owner: bytes, seconds: float) -> bool:
        done = await self._do(lambda: self._client.set(self._prefix + name, owner, nx=True, px=_milliseconds(seconds)))
        return bool(done)

    async def remove(self, name: str, value: bytes, *, after: float = 0.0) -> bool:
        key = self._prefix + name
        if after:
            return bool(await self._do(lambda: self._client.eval(_SHORTEN, 1, key, value, _milliseconds(after))))
        return bool(await self._do(lambda: self._client.eval(_REMOVE, 1, key, value)))

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._client.aclose()
        except (RedisError, OSError, TimeoutError):
            pass  # It is left alone in any case.

    async def _do(self, operation: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                return await operation()
        except Exception as error:  # noqa: BLE001  (whatever it is, the sidecar goes on alone)
            trouble = trouble_of(error)
        # Outside of the handler, so that the library's error is not kept as this one's context.
        raise StoreError(trouble)


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
        "username": settings.username.reveal() if settings.username else None,
        "password": settings.password.reveal() if settings.password else None,
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        # One attempt: whoever asks has a token to get, and a way to get it without this.
        "retry": Retry(NoBackoff(), 0),
    }
    if secure:
        options |= {
            "ssl_ca_certs": settings.ca_file,
            "ssl_certfile": settings.cert_file,
            "ssl_keyfile": settings.key_file,
        }
    if scheme.endswith("+cluster"):
        return RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options)
    if scheme.endswith("+sentinel"):
        return _by_sentinels(rest, secure, options)
    return Redis.from_url(url, max_connections=4, **options)


def _by_sentinels(rest: str, secure: bool, options: dict[str, Any]) -> Any:
    hosts, _, path = rest.partition("/")
    service, _, database = path.partition("/")
    places = [urlsplit(f"//{host}") for host in hosts.split(",")]
    sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
        [(place.hostname, place.port or 26379) for place in places],
        sentinel_kwargs={"socket_timeout": options["socket_timeout"], "ssl": secure},
        ssl=secure,
        db=int(database or 0),
        **options,
    )
    return sentinel.master_for(service)
