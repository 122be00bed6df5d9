"""The engine's name is looked up beside the event loop, once at a time, and nobody is held up by it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.config.model import Duration, TokenCache, Value
from proxy.tokens.shared import lookup
from proxy.tokens.shared.lookup import addresses
from proxy.tokens.shared.store import RedisStore, StoreError
from tests.processes import free_port
from tests.tokens.shared.engines import redis_with_tls, tls_url


class Names:
    """A name server that says nothing until it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: list[str] | OSError | UnicodeError = ["192.0.2.1", "192.0.2.1", "2001:db8::1"]
        self.let = threading.Event()

    def look_up(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        assert self.let.wait(20)
        if isinstance(self.answers, Exception):
            raise self.answers
        return [(0, 0, 0, "", (address, port)) for address in self.answers]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    yield made
    made.let.set()


@pytest.mark.parametrize("number", ["192.0.2.7", "2001:db8::7"])
async def test_a_number_is_not_looked_up(names: Names, number: str) -> None:
    assert await addresses(number, 6379) == [number]
    assert not names.asked


async def test_a_name_has_its_addresses_once_each(names: Names) -> None:
    names.let.set()
    assert await addresses("cache.example", 6379) == ["192.0.2.1", "2001:db8::1"]
    names.answers = ["192.0.2.2"]
    assert await addresses("cache.example", 6379) == ["192.0.2.2"], "nothing is kept"


async def test_whoever_asks_meanwhile_is_told_the_same(names: Names) -> None:
    first, second = (asyncio.ensure_future(addresses("cache.example", 6379)) for _ in range(2))
    await asyncio.wait([first, second], timeout=0)
    first.cancel()
    await asyncio.wait([first])
    names.let.set()
    assert await second == ["192.0.2.1", "2001:db8::1"]
    assert names.asked == ["cache.example"]


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
async def test_a_name_that_is_not_found(names: Names, error: OSError | UnicodeError) -> None:
    names.answers = error
    names.let.set()
    with pytest.raises(OSError, match=r"unknown|no host name"):
        await addresses("cache.example", 6379)


async def test_no_thread_is_left(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="thread"):
            await addresses("cache.example", 6379)
    names.let.set()
    assert await addresses("cache.example", 6379)


def test_an_answer_after_the_end_of_the_event_loop_is_nobodys(names: Names) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(addresses("cache.example", 6379), 0.01)

    asyncio.run(give_up())
    (thread,) = (one for one in threading.enumerate() if one.name == "look up the token cache")
    assert thread.daemon, "no process waits for it at its end"
    names.let.set()
    thread.join(20)
    assert not thread.is_alive()
    assert not lookup._running


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache.example:6379",
        "rediss://cache.example:6379",
        "redis+cluster://cache.example:6379",
        "rediss+cluster://cache.example:6379",
        "redis+sentinel://cache.example:6379/main",
        "rediss+sentinel://cache.example:6379/main",
    ],
)
async def test_a_name_server_that_says_nothing_takes_up_one_thread_and_none_of_the_event_loops(
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
    assert names.asked == ["cache.example"]


@pytest.mark.parametrize("name", ["cache.example", "other.example"])
async def test_the_next_address_is_tried_and_its_certificate_has_to_be_of_the_name(
    names: Names, tmp_path: Path, name: str
) -> None:
    names.answers = ["127.0.0.2", "127.0.0.1"]
    names.let.set()
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
    names.answers = ["127.0.0.2", "127.0.0.1"]
    names.let.set()
    store = RedisStore(TokenCache(url=Value(f"redis://cache.example:{free_port()}"), timeout=Duration(5)))
    with pytest.raises(StoreError, match="connection"):
        await store.get("a")
    await store.close()
