"""The store on a real Valkey: what it does, and what it says when that cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster

from proxy.config.model import Duration, TokenCache, Value
from proxy.tokens.shared.sealing import LONGEST
from proxy.tokens.shared.store import RedisStore, StoreError, client, trouble_of
from tests.certificates import Authority
from tests.fakes import settle
from tests.processes import Program, free_port
from tests.tokens.shared.engines import Valkey, redis_with_tls, server_program, tls_url, valkey

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
    await store.put("a", b"two", 60)
    assert await store.get("a") == b"two"
    assert await server.keys() == ["test:a"]
    await store.put("a", b"three", 0.05)
    async with asyncio.timeout(5):
        while await store.get("a"):
            pass


async def test_of_what_is_far_too_long_no_more_is_read_than_shows_that(store: RedisStore, server: Valkey) -> None:
    """Somebody else's megabytes would be more than all the memory that a sidecar may have."""
    await server.ask("SETRANGE", "test:a", str(64 * LONGEST), "x")
    found = await store.get("a")
    assert found is not None
    assert len(found) == LONGEST + 1
    await store.put("a", b"x" * LONGEST, 60)
    assert await store.get("a") == b"x" * LONGEST


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


async def test_an_answer_that_comes_too_late_is_nobody_elses(tmp_path: Path) -> None:
    """A frozen engine answers each word when it wakes up: the login's answer is not that of the next command."""
    async with valkey(tmp_path, "--requirepass", "right") as server:
        writer = RedisStore(_settings(server.url, password=Value("right")))
        await writer.put("a", b"one", 60)
        store = RedisStore(_settings(server.url, password=Value("right"), timeout=Duration(0.2)))
        server.freeze()
        with pytest.raises(StoreError, match="timeout"):
            await store.get("a")
        asking = asyncio.ensure_future(store.get("a"))
        await settle()
        server.thaw()
        with suppress(StoreError):  # It may have woken up too late for this one as well.
            assert await asking == b"one"
        assert await writer.get("a") == b"one"
        await store.close()
        await writer.close()


async def test_at_rest_it_has_no_connection(store: RedisStore, server: Valkey) -> None:
    await store.put("a", b"one", 60)
    assert await server.clients() == 1
    store.rest()
    async with asyncio.timeout(5):
        while await server.clients():
            pass
    assert await store.get("a") == b"one"


async def test_a_user_of_its_own_with_few_rights(tmp_path: Path) -> None:
    user = ("sidecar", "on", ">right", "~test:*", "+get", "+getrange", "+set", "+eval", "+del", "+pexpire")
    async with redis_with_tls(tmp_path, "--user", *user) as (server, authority):
        settings = {"username": Value("sidecar"), "password": Value("right"), "ca_file": authority.ca_file}
        store = RedisStore(_settings(tls_url(server), key_prefix="test", **settings))
        await store.put("a", b"one", 60)
        assert await store.get("a") == b"one"
        assert await store.take("lock", b"me", 60)
        assert await store.remove("lock", b"me", after=60)
        assert await store.remove("lock", b"me")
        await store.close()
        elsewhere = RedisStore(_settings(tls_url(server), key_prefix="other", **settings))
        assert await _trouble(elsewhere) == "denied"
        wrong = RedisStore(_settings(tls_url(server), **settings | {"password": Value("wrong")}))
        assert await _trouble(wrong) == "denied"


async def test_tls_is_verified_and_its_keys_are_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with redis_with_tls(tmp_path) as (server, authority):
        trusted = tmp_path / "trusted"
        trusted.mkdir()
        other = Authority(trusted)
        keys = tmp_path / "keys"
        monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
        # The system trusts the server's authority; but a file says whom to trust instead.
        monkeypatch.setenv("SSL_CERT_FILE", authority.ca_file)
        assert await _trouble(RedisStore(_settings(tls_url(server), ca_file=other.ca_file))) == "connection"
        for ca_file in (authority.ca_file, None):
            store = RedisStore(_settings(tls_url(server), ca_file=ca_file))
            await store.put("a", b"one", 60)
            await store.close()
        named = RedisStore(_settings(tls_url(server).replace("127.0.0.1", "localhost"), ca_file=authority.ca_file))
        assert await _trouble(named) == "connection"
        assert not keys.exists()


async def test_a_client_certificate(tmp_path: Path) -> None:
    async with redis_with_tls(tmp_path, "--tls-auth-clients", "yes") as (server, authority):
        mine = authority.issue("sidecar")
        without = RedisStore(_settings(tls_url(server), ca_file=authority.ca_file))
        assert await _trouble(without) == "connection"
        files = {"ca_file": authority.ca_file, "cert_file": mine.cert, "key_file": mine.key}
        store = RedisStore(_settings(tls_url(server), **files))
        await store.put("a", b"one", 60)
        await store.close()


async def test_a_cluster(tmp_path: Path) -> None:
    user = (
        "sidecar",
        "on",
        ">right",
        "~test:*",
        "+get",
        "+getrange",
        "+set",
        "+eval",
        "+del",
        "+cluster|slots",
        "+command",
    )
    cluster = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--user", *user)
    async with redis_with_tls(tmp_path, *cluster) as (server, authority):
        await server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        async with asyncio.timeout(20):
            while b"cluster_state:ok" not in await server.ask("CLUSTER", "INFO"):
                pass
        url = tls_url(server).replace("rediss:", "rediss+cluster:")
        login = {"username": Value("sidecar"), "password": Value("right"), "key_prefix": "test"}
        store = RedisStore(_settings(url, ca_file=authority.ca_file, **login))
        for _ in range(2):
            await store.put("a", b"one", 60)
            assert await store.get("a") == b"one"
            assert await store.remove("a", b"one")
            store.rest()
        await store.close()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        assert await _trouble(RedisStore(_settings(url, ca_file=Authority(elsewhere).ca_file))) == "connection"


async def test_sentinels(tmp_path: Path, server: Valkey) -> None:
    port, file = free_port(), tmp_path / "sentinel.conf"
    file.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {server.port} 1\n")
    sentinel = await Program.start(server_program(), str(file), "--sentinel")
    await sentinel.printed("monitor master")
    store = RedisStore(_settings(f"redis+sentinel://127.0.0.1:{port}/mymaster"))
    await store.put("a", b"one", 60)
    assert await store.get("a") == b"one"
    await store.close()
    assert await _trouble(RedisStore(_settings(f"redis+sentinel://127.0.0.1:{port}/other"))) == "connection"
    await sentinel.stop()


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
