"""The store on a real Valkey: what it does, and what it says when that cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster

from proxy.config.model import Duration, TokenCache, Value
from proxy.tokens.shared.store import RedisStore, StoreError, client, trouble_of
from tests.processes import free_port
from tests.tokens.shared.engines import Valkey, valkey

PATIENT = Duration(5)


def _settings(url: str, **changes: Any) -> TokenCache:
    return TokenCache(url=Value(url), **{"timeout": PATIENT, **changes})


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Valkey]:
    async with valkey(tmp_path) as server:
        yield server


@pytest.fixture
async def store(server: Valkey) -> AsyncIterator[RedisStore]:
    store = RedisStore(_settings(server.url, key_prefix="test"))
    yield store
    await store.close()


async def test_what_is_put_is_there_until_its_time(store: RedisStore, server: Valkey) -> None:
    assert await store.get("a") is None
    await store.put("a", b"one", 60)
    await store.put("a", b"two", 0.05)
    assert await store.get("a") == b"two"
    assert await server.keys() == ["test:a"]
    async with asyncio.timeout(5):
        while await store.get("a"):
            pass


async def test_a_lock_is_one_owners(store: RedisStore) -> None:
    assert await store.take("lock", b"me", 60)
    assert not await store.take("lock", b"you", 60)
    assert not await store.remove("lock", b"you")
    assert not await store.take("lock", b"you", 60)
    assert await store.remove("lock", b"me")
    assert await store.take("lock", b"you", 0.05)
    async with asyncio.timeout(5):
        while not await store.take("lock", b"me", 60):
            pass


async def test_a_lock_may_be_held_on_for_a_moment(store: RedisStore) -> None:
    assert await store.take("lock", b"me", 60)
    assert await store.remove("lock", b"me", after=0.05)
    async with asyncio.timeout(5):
        while not await store.take("lock", b"you", 60):
            pass
    assert not await store.remove("lock", b"me", after=1)


async def test_only_what_is_known_is_removed(store: RedisStore) -> None:
    await store.put("a", b"new", 60)
    assert not await store.remove("a", b"old")
    assert await store.get("a") == b"new"
    assert await store.remove("a", b"new")
    assert await store.get("a") is None


async def _trouble(store: RedisStore) -> str:
    with pytest.raises(StoreError) as caught:
        await store.get("a")
    assert caught.value.__context__ is None, "redis-py's errors may quote what was sent"
    await store.close()
    return caught.value.trouble


async def test_nobody_listens() -> None:
    assert await _trouble(RedisStore(_settings(f"redis://127.0.0.1:{free_port()}"))) == "connection"


async def test_it_is_frozen(server: Valkey) -> None:
    store = RedisStore(_settings(server.url, timeout=Duration(0.2)))
    server.freeze()
    assert await _trouble(store) == "timeout"
    server.thaw()


@pytest.mark.parametrize("password", [None, Value("wrong")])
async def test_a_password_that_it_does_not_take(tmp_path: Path, password: Value | None) -> None:
    async with valkey(tmp_path, "--requirepass", "right") as server:
        assert await _trouble(RedisStore(_settings(server.url, password=password))) == "denied"


async def test_a_password_that_it_takes(tmp_path: Path) -> None:
    async with valkey(tmp_path, "--requirepass", "right") as server:
        store = RedisStore(_settings(server.url, password=Value("right")))
        assert await store.get("a") is None
        await store.close()


async def _fill(store: RedisStore) -> None:
    for number in range(100):
        await store.put(str(number), bytes(60_000), 60)


async def test_it_is_full(tmp_path: Path) -> None:
    async with valkey(tmp_path, "--maxmemory", "1mb", "--maxmemory-policy", "noeviction") as server:
        store = RedisStore(_settings(server.url))
        with pytest.raises(StoreError, match="full"):
            await _fill(store)
        await store.close()


async def test_it_ends_and_comes_back(server: Valkey, store: RedisStore) -> None:
    await store.put("a", b"one", 60)
    await server.stop()
    with pytest.raises(StoreError):
        await store.get("a")
    await server.start()
    assert await store.get("a") is None


async def test_closing_one_that_is_gone_takes_no_time(server: Valkey) -> None:
    store = RedisStore(_settings(server.url))
    await store.put("a", b"one", 60)
    await server.stop()
    await store.close()


def test_any_other_error_is_one_word() -> None:
    assert trouble_of(ValueError("with a secret in it")) == "error"


async def test_urls_of_one_of_a_cluster_and_of_sentinels() -> None:
    one = client(_settings("rediss://cache.example:6380/2", ca_file="/ca.pem"))
    assert isinstance(one, Redis)
    options = one.connection_pool.connection_kwargs
    assert (options["host"], options["port"], options["db"], options["ssl_ca_certs"]) == (
        "cache.example",
        6380,
        2,
        "/ca.pem",
    )
    cluster = client(_settings("redis+cluster://cache.example:7000"))
    assert isinstance(cluster, RedisCluster)
    sentinels = client(_settings("redis+sentinel://a.example:26379,b.example/mymaster/1", password=Value("p")))
    manager = sentinels.connection_pool.sentinel_manager
    places = [one.connection_pool.connection_kwargs for one in manager.sentinels]
    assert [(place["host"], place["port"]) for place in places] == [("a.example", 26379), ("b.example", 26379)]
    assert sentinels.connection_pool.service_name == "mymaster"
    assert "p-secret" not in repr(_settings("redis://x", password=Value("p-secret")))
