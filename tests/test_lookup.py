"""Names are looked up beside the event loop, each once at a time, and nobody is held up by another's."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from proxy import lookup
from proxy.lookup import look_up
from tests.names import SILENT, Names, names_of_its_own


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    with names_of_its_own(monkeypatch) as made:
        yield made


async def numbers(host: str) -> list[str]:
    return [address[0] for *_, address in await look_up(host, 443)]


@pytest.mark.parametrize("number", ["192.0.2.7", "2001:db8::7"])
async def test_a_number_is_not_looked_up(names: Names, number: str) -> None:
    assert await numbers(number) == [number]
    assert not names.asked


async def test_a_name_is_looked_up_each_time(names: Names) -> None:
    assert await numbers("host.example") == ["192.0.2.1", "2001:db8::1"]
    names.answers = ["192.0.2.2"]
    assert await numbers("host.example") == ["192.0.2.2"]


async def test_whoever_asks_meanwhile_is_told_the_same(names: Names) -> None:
    first, second = (asyncio.ensure_future(numbers(SILENT)) for _ in range(2))
    await asyncio.wait([first, second], timeout=0)
    first.cancel()
    await asyncio.wait([first])
    names.let.set()
    assert await second == ["192.0.2.1", "2001:db8::1"]
    assert names.asked == [SILENT]


async def test_other_names_are_found_meanwhile(names: Names) -> None:
    silent = [asyncio.ensure_future(numbers(SILENT)) for _ in range(40)]
    await asyncio.wait(silent, timeout=0)
    assert await numbers("host.example")
    assert sum(thread.name == f"look up {SILENT}" for thread in threading.enumerate()) == 1
    names.let.set()
    assert all(await asyncio.gather(*silent))


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
async def test_a_name_that_is_not_found(names: Names, error: OSError | UnicodeError) -> None:
    names.answers = error
    with pytest.raises(socket.gaierror):
        await numbers("host.example")


async def test_the_system_has_no_descriptor_for_it(names: Names) -> None:
    names.answers = OSError(24, "too many open files")
    with pytest.raises(OSError, match="too many"):
        await numbers("host.example")


async def test_the_system_has_no_thread_for_it(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="thread"):
            await numbers("host.example")
    assert await numbers("host.example")


def test_an_answer_after_the_end_of_the_event_loop_is_nobodys(names: Names) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(numbers(SILENT), 0.01)

    asyncio.run(give_up())
    (thread,) = (one for one in threading.enumerate() if one.name == f"look up {SILENT}")
    assert thread.daemon, "no process waits for it at its end"
    names.let.set()
    thread.join(20)
    assert not thread.is_alive()
    assert not lookup._running
