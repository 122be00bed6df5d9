"""Lines that are written to a stream which takes them late, in part, or never."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from threading import Thread
from typing import NamedTuple

import pytest

from proxy.outflow import Outflow, dropped, never_wait, settle

PATIENCE = 10.0
PAGE = 4096


def notice(count: int) -> str:
    return f"{count} lost"


class Pipe(NamedTuple):
    """A stream whose reader is the test."""

    reader: int
    writer: int
    out: Outflow

    def read(self) -> list[str]:
        """All lines, once everything has been written."""
        os.set_blocking(self.reader, False)
        received = b""
        while True:
            settled = self.out.settle(0.001)
            with contextlib.suppress(BlockingIOError):
                received += os.read(self.reader, 1 << 20)
                continue
            if settled:
                assert received.endswith(b"\n")
                return received.decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that holds one page, before it a queue of some thousand short lines."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PAGE)
    yield Pipe(reader, writer, Outflow(writer, "utf-8", notice, limit=100_000))
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def stopped(pipe: Pipe) -> Pipe:
    """The same, full to the last byte and with one line stuck before it: nothing goes out before the test reads."""
    os.write(pipe.writer, b"-\n" * (PAGE // 2 - 1) + b"\n")
    pipe.out.write("stuck\n")
    while pipe.out._queue:
        pipe.out.settle(0.001)
    return pipe


def numbered(out: Outflow, numbers: range) -> None:
    for number in numbers:
        out.write(f"line {number}\n")


def test_lines_arrive_whole_and_in_order(pipe: Pipe) -> None:
    numbered(pipe.out, range(100))
    pipe.out.write("two\nat once\n")
    assert pipe.read() == [*(f"line {number}" for number in range(100)), "two", "at once"]
    pipe.out.write("and one after a pause\n")
    assert pipe.read() == ["and one after a pause"]
    assert dropped(pipe.out) == 0


def test_a_reader_that_has_stopped_keeps_nobody_waiting_and_learns_what_it_missed(stopped: Pipe) -> None:
    numbered(stopped.out, range(10_000))
    missing = dropped(stopped.out)
    assert 0 < missing < 10_000

    lines = stopped.read()
    assert lines[lines.index("stuck") + 1 :] == [
        *(f"line {number}" for number in range(10_000 - missing)),
        f"{missing} lost",
    ]
    numbered(stopped.out, range(3))
    assert stopped.read() == ["line 0", "line 1", "line 2"], "what was lost is said once"


def test_lines_that_follow_a_gap_come_after_the_word_on_it(stopped: Pipe) -> None:
    numbered(stopped.out, range(10_000))
    missing = dropped(stopped.out)
    # The reader goes on. Lines are taken again when half of the queue is free.
    while stopped.out._missing:
        assert os.read(stopped.reader, PAGE)
        stopped.out.write("after\n")

    after = stopped.read()
    after = after[after.index(f"{dropped(stopped.out)} lost") :]
    assert after[1:] == ["after"] * (len(after) - 1)
    assert dropped(stopped.out) >= missing


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    out = Outflow(descriptor, "utf-8", notice)
    numbered(out, range(5))
    assert out.settle(PATIENCE)
    assert dropped(out) == 5
    os.close(descriptor)


def test_a_reader_that_has_left_loses_lines_and_nothing_else(pipe: Pipe) -> None:
    os.close(pipe.reader)
    numbered(pipe.out, range(5))
    assert pipe.out.settle(PATIENCE)
    assert dropped(pipe.out) == 5


class Disk:
    """Takes so many bytes, then no more until there is room again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.content = b""

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = data[: self.room]
        self.content += taken
        self.room -= len(taken)
        return len(taken)


@pytest.mark.parametrize(
    ("room", "content", "lost"),
    [
        (0, "4 lost\nlast\n", 4),
        (2, "a\n3 lost\nlast\n", 3),
        (5, "a\nbb\n2 lost\nlast\n", 2),
        # A line that was cut must not run into the next one.
        (7, "a\nbb\ncc\n2 lost\nlast\n", 2),
        (10, "a\nbb\nccc\nd\n1 lost\nlast\n", 1),
        (100, "a\nbb\nccc\ndddd\nlast\n", 0),
    ],
)
def test_a_disk_that_is_full_for_a_while(room: int, content: str, lost: int) -> None:
    disk = Disk(room)
    out = Outflow(-1, "utf-8", notice, write=disk.write)
    out.write("a\nbb\nccc\ndddd\n")
    assert out.settle(PATIENCE)
    disk.room = 1000
    out.write("last\n")
    assert out.settle(PATIENCE)
    assert disk.content.decode() == content
    assert dropped(out) == lost


def test_the_word_on_what_was_lost_is_not_lost_itself() -> None:
    disk = Disk(0)
    out = Outflow(-1, "utf-8", notice, write=disk.write)
    for room in (0, 3, 1000):
        disk.room = room
        out.write("x\n")
        assert out.settle(PATIENCE)
    assert disk.content.decode() == "1 l\n2 lost\nx\n"


def test_a_stream_that_somebody_else_made_non_blocking(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    long = "x" * 10_000
    pipe.out.write(long + "\n")
    assert pipe.read() == [long]
    assert dropped(pipe.out) == 0


def test_without_a_thread_lines_wait_for_one(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    def none_left(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as at_first:
        at_first.setattr(Thread, "start", none_left)
        pipe.out.write("one\n")
    assert not pipe.out.settle(0.0)
    pipe.out.write("two\n")
    assert pipe.read() == ["one", "two"]


def test_what_the_encoding_lacks_is_written_all_the_same(pipe: Pipe) -> None:
    out = Outflow(pipe.writer, "ascii", notice)
    out.write("ü and \udcff\n")
    assert out.settle(PATIENCE)
    assert os.read(pipe.reader, 100) == b"\\xfc and \\udcff\n"


def test_it_is_a_text_stream(pipe: Pipe) -> None:
    print("printed", file=pipe.out, flush=True)
    assert pipe.read() == ["printed"]
    assert (pipe.out.encoding, pipe.out.fileno(), pipe.out.isatty()) == ("utf-8", pipe.writer, False)
    assert pipe.out.writable()


def test_the_end_of_a_process_waits_a_moment_for_what_is_queued(stopped: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    numbered(stopped.out, range(10))
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stopped.out)
    settle(0.1)
    assert not stopped.out.settle(0)
    os.read(stopped.reader, PAGE)
    settle(PATIENCE)
    assert stopped.out.settle(0)
    assert stopped.read()[-1] == "line 9"


def test_streams_that_are_not_the_process_s_own_stay(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[Callable[..., object]] = []
    monkeypatch.setattr("atexit.register", lambda *call: registered.append(call[0]))
    before = sys.stdout, sys.stderr
    never_wait({"stdout": notice, "stderr": notice})
    assert (sys.stdout, sys.stderr) == before
    assert dropped(sys.stderr) == 0
