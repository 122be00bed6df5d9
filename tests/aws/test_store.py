"""What is held of Secrets Manager, on a clock that the test turns and with a reader that it holds back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from proxy import log
from proxy.aws.store import LONGEST, SecretStore
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, Unread
from tests.fakes import FakeClock
from tests.forward.rig import until

ONE, TWO = SecretRef("one", ""), SecretRef("two", "eu-central-1")
SECRET = "s3cr3t-that-nobody-may-see"


def version(number: int) -> Held:
    return Held(Value(f"{SECRET}-{number}"), None, f"v{number}")


FAILED = Unread("timeout", "it did not answer", passing=True)


class Bench:
    """A store, its clock, and what its reader finds."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.found: dict[SecretRef, Held | Unread] = {ONE: version(1), TWO: version(1)}
        self.asked: list[dict[SecretRef, Held | None]] = []
        self.threads: set[str] = set()
        self.open = threading.Event()
        self.open.set()
        self.store = SecretStore(self.clock, draw=lambda: 0.5, read=self._read)

    def _read(self, asked: Mapping[SecretRef, Held | None]) -> dict[SecretRef, Held | Unread]:
        self.asked.append(dict(asked))
        self.threads.add(threading.current_thread().name)
        self.open.wait(20)
        return {ref: self.found[ref] for ref in asked}

    async def read(self, *refs: SecretRef) -> list[SecretRef]:
        return await self.store.read(refs or (ONE,))


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    running = Bench()
    try:
        yield running
    finally:
        running.open.set()
        running.store.close()


async def test_a_secret_is_read_elsewhere_than_on_the_event_loop() -> None:
    async with bench() as b:
        b.open.clear()
        reading = asyncio.ensure_future(b.read(ONE, TWO))
        await until(lambda: bool(b.asked))
        # The event loop turns, though the reader does not come back.
        assert not reading.done()
        assert b.threads == {"secrets manager"}
        b.open.set()
        assert await reading == [ONE, TWO]
        assert b.asked == [{ONE: None, TWO: None}], "in one go"
        assert dict(b.store.held) == {ONE: version(1), TWO: version(1)}
        assert b.store.stats.reads == {"success": 2}


async def test_only_a_change_is_a_change() -> None:
    async with bench() as b:
        await b.read(ONE, TWO)
        b.clock.advance(10)
        b.found[TWO] = version(2)
        assert await b.read(ONE, TWO) == [TWO]
        assert b.asked[1] == {ONE: version(1), TWO: version(1)}, "the reader is told what is held"
        assert b.store.held[TWO] == version(2)


async def test_never_more_often_than_every_ten_seconds() -> None:
    async with bench() as b:
        await b.read()
        b.store.use((ONE,), 300)
        for _ in range(9):
            b.clock.advance(1)
            assert await b.read() == []
            b.store.ask()
            assert b.store.due() == []
        assert len(b.asked) == 1
        # Who asked in vain is served as soon as it is allowed.
        b.clock.advance(1)
        assert b.store.due() == [ONE]
        await b.read()
        assert len(b.asked) == 2
        assert b.store.due() == []
        b.clock.advance(20)
        assert b.store.due() == []


async def test_by_the_clock() -> None:
    async with bench() as b:
        await b.read(ONE, TWO)
        b.store.use((ONE, TWO), 300)
        b.clock.advance(299)
        assert b.store.due() == []
        b.clock.advance(1)
        assert b.store.due() == [ONE, TWO]
        b.store.use((ONE, TWO), 0)
        assert b.store.due() == []


async def test_one_reading_at_a_time() -> None:
    async with bench() as b:
        b.store.use((ONE,), 300)
        b.open.clear()
        first, second = (asyncio.ensure_future(b.read()) for _ in range(2))
        await until(lambda: bool(b.asked))
        b.clock.advance(400)
        assert b.store.due() == [], "while it is being read"
        b.clock.monotonic -= 395
        b.open.set()
        assert await first == [ONE]
        assert await second == []
        assert len(b.asked) == 1


async def test_what_cannot_be_read_again_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info")
    try:
        async with bench() as b:
            await b.read()
            b.store.use((ONE,), 300)
            b.found[ONE] = FAILED
            b.clock.advance(300)
            assert await b.read() == [], "nothing has changed"
            assert b.store.held[ONE] == version(1)
            [status] = b.store.status()
            assert (status.failing, status.version) == (True, "v1")
            assert status.last_error is not None
            assert status.last_error[:2] == ("timeout", "it did not answer")
            assert status.next_read_at == b.clock.wall + 15
            assert b.store.stats.reads == {"success": 1, "failure": 1}
            # It is tried again sooner than by the interval, and then all is well.
            b.found[ONE] = version(2)
            b.clock.advance(15)
            assert b.store.due() == [ONE]
            assert await b.read() == [ONE]
            [status] = b.store.status()
            assert (status.failing, status.version) == (False, "v2")
            assert status.last_error is not None, "somebody will ask what it was"
    finally:
        log.configure()
    said = capsys.readouterr().err
    assert [word in said for word in ("secret_read_failed", "it did not answer", '"kept": true')] == [True] * 3
    assert SECRET not in said


async def test_what_never_could_be_read_is_an_error_for_the_configuration() -> None:
    async with bench() as b:
        b.found[ONE] = FAILED
        assert await b.read() == [ONE]
        assert b.store.held[ONE] == FAILED
        assert b.store.lacking((ONE, TWO)) == [ONE, TWO]
        b.clock.advance(4)
        assert b.store.seconds_until_allowed((ONE, TWO)) == 6
        b.clock.advance(6)
        assert await b.read() == [], "the same error again"
        b.found[ONE] = version(1)
        b.clock.advance(60)
        assert await b.read() == [ONE]
        assert b.store.lacking((ONE, TWO)) == [TWO]


async def test_a_reader_that_hangs_holds_up_nobody() -> None:
    async with bench() as b:
        await b.read()
        b.store.use((ONE,), 300)
        b.clock.advance(20)
        b.open.clear()
        reading = asyncio.ensure_future(b.read())
        await until(lambda: len(b.asked) == 2)
        await b.clock.turn(LONGEST)
        assert await reading == []
        assert b.store.held[ONE] == version(1)
        # Another thread for the next one would hang as well.
        b.clock.advance(300)
        assert await b.read() == []
        assert len(b.asked) == 2
        assert b.store.status()[0].failing
        b.open.set()
        await until(lambda: not b.store._busy)
        b.clock.advance(300)
        b.found[ONE] = version(2)
        assert await b.read() == [ONE]


async def test_without_a_thread_nothing_is_read_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as b:
        await b.read()
        b.store.use((ONE,), 300)
        b.clock.advance(300)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start")))
            assert await b.read() == []
        assert b.store.status()[0].failing
        b.clock.advance(300)
        b.found[ONE] = version(2)
        assert await b.read() == [ONE]


async def test_closing_lets_go_of_who_waits() -> None:
    async with bench() as b:
        b.open.clear()
        reading = asyncio.ensure_future(b.read())
        await until(lambda: bool(b.asked))
        b.store.close()
        await reading
        b.clock.advance(60)
        assert await b.read() == []
        assert len(b.asked) == 1


async def test_the_thread_may_come_back_after_the_loop_is_gone() -> None:
    # As at the end of a process whose reader hangs: nobody is there to be told any more.
    gone = asyncio.new_event_loop()
    running = Bench()
    running.open.clear()

    async def begin() -> None:
        reading = asyncio.ensure_future(running.read())
        await until(lambda: bool(running.asked))
        running.store.close()
        await reading

    await asyncio.to_thread(lambda: (gone.run_until_complete(begin()), gone.close()))
    [thread] = [one for one in threading.enumerate() if one.name == "secrets manager"]
    assert thread.daemon, "the process does not wait for it"
    running.open.set()
    await asyncio.to_thread(thread.join)


async def test_what_is_no_longer_used_is_forgotten() -> None:
    async with bench() as b:
        await b.read(ONE, TWO)
        b.store.use((ONE,), 300)
        # Not so soon: it might come back, and be read twice within ten seconds.
        assert TWO in b.store.held
        assert [status.id for status in b.store.status()] == ["one"]
        b.clock.advance(10)
        b.store.use((ONE,), 300)
        assert dict(b.store.held) == {ONE: version(1)}
        b.store.ask()
        assert b.store.due() == [ONE]


async def test_status_tells_times_and_no_text() -> None:
    async with bench() as b:
        began = b.clock.wall
        b.found[TWO] = Held(Value(SECRET), Value(SECRET + "-old"), "v9")
        await b.read(TWO)
        b.store.use((TWO,), 300)
        [status] = b.store.status()
        assert status[:4] == ("two", "eu-central-1", "v9", True)
        assert (status.read_at, status.changed_at, status.next_read_at) == (began, began, began + 300)
        assert SECRET not in repr(status) + repr(b.store.held)
        b.clock.advance(300)
        await b.read(TWO)
        [status] = b.store.status()
        assert (status.read_at, status.changed_at) == (began + 300, began)
