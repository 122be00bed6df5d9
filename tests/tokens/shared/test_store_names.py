"""The engine by its name: one that nobody answers for, one of several addresses, and the certificate's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.config.model import Duration, TokenCache, Value
from proxy.tokens.shared.store import RedisStore, StoreError
from tests.names import SILENT, Names, names_of_its_own
from tests.processes import free_port
from tests.tokens.shared.engines import redis_with_tls, tls_url


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    with names_of_its_own(monkeypatch) as made:
        made.answers = ["127.0.0.2", "127.0.0.1"]
        yield made


@pytest.mark.parametrize(
    "url",
    [
        f"redis://{SILENT}:6379",
        f"rediss://{SILENT}:6379",
        f"redis+cluster://{SILENT}:6379",
        f"rediss+cluster://{SILENT}:6379",
        f"redis+sentinel://{SILENT}:6379/main",
        f"rediss+sentinel://{SILENT}:6379/main",
    ],
)
async def test_a_silent_name_server_takes_up_one_thread_and_none_of_the_event_loops(
    names: Names, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def of_the_loop(*_: Any, **__: Any) -> None:
        pytest.fail("the event loop has been asked")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", of_the_loop)
    store = RedisStore(TokenCache(url=Value(url), timeout=Duration(0.05)))
    for _ in range(3):
        with pytest.raises(StoreError, match="timeout"):
            await store.get("a")
    await store.close()
    assert names.asked == [SILENT]


@pytest.mark.parametrize("name", ["cache.example", "other.example"])
async def test_the_next_address_is_tried_and_its_certificate_has_to_be_of_the_name(
    names: Names, tmp_path: Path, name: str
) -> None:
    async with redis_with_tls(tmp_path, name="cache.example") as (server, authority):
        url = tls_url(server).replace("127.0.0.1", name)
        store = RedisStore(TokenCache(url=Value(url), ca_file=authority.ca_file, timeout=Duration(5)))
        if name == "cache.example":
            await store.put("a", b"one", 60)
            assert await store.get("a") == b"one"
        else:
            with pytest.raises(StoreError, match="connection"):
                await store.get("a")
        await store.close()


async def test_nobody_listens_at_any_of_its_addresses(names: Names) -> None:
    store = RedisStore(TokenCache(url=Value(f"redis://cache.example:{free_port()}"), timeout=Duration(5)))
    with pytest.raises(StoreError, match="connection"):
        await store.get("a")
    await store.close()
