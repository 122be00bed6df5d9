"""Standard output and error of a process that serves: whoever writes a line there never waits for its reader.

A pipe whose reader has stopped, a terminal held by Ctrl-S or a hung disk would otherwise stop the event loop in the
middle of a request. Lines wait in a bounded queue that a thread writes out. What the queue has no room for, and what
the stream does not take (a full disk, a reader that left), is dropped and counted, and the next line that goes through
is preceded by one that says how many were lost. Nothing here looks at what it carries.

The descriptor stays as it is: O_NONBLOCK would be set for everyone who shares it, such as the shell whose terminal
it is.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import sys
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Final, TextIO, cast

from proxy.clock import stopwatch

QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Of lines that wait, for each stream; the records that hold them included."""
GATHER_SECONDS: Final = 0.02
"""The thread lets so much time pass before it writes: each of its turns interrupts the event loop's."""
EXIT_SECONDS: Final = 1.0
"""What is still queued when the process ends may take so long, for both streams together."""
_PIECE: Final = 256 * 1024
"""Bytes that are written in one go."""
_RECORD: Final = 64
"""Bytes of memory for a line in the queue besides its own."""

Notice = Callable[[int], str]
"""The line that says how many were lost, without its end."""


class Outflow(io.TextIOBase):
    """Takes the place of a text stream. What one call of `write` brings stays together, or is dropped together."""

    def __init__(
        self,
        descriptor: int,
        encoding: str,
        notice: Notice,
        *,
        limit: int = QUEUE_BYTES,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._notice = notice
        self._limit = limit
        self._system_write = write
        self._changed = Condition()
        self._queue: deque[bytes | int] = deque()
        """Lines, and where some are missing between two, their number."""
        self._size = 0
        self._missing = 0
        """Dropped since the queue was full; it is not in the queue yet."""
        self._unsaid = 0
        """Lost before what is written next."""
        self._torn = False
        """The last byte that was written did not end a line."""
        self._writing = False
        self._settling = False
        self._thread: Thread | None = None
        self.dropped = 0
        """Lines lost so far."""

    # What takes text streams looks at these.

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        return self._encoding

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, text: str, /) -> int:
        """Queue whole lines. Never waits, never fails."""
        data = text.encode(self._encoding, "backslashreplace")
        size = len(data) + _RECORD
        with self._changed:
            # Once full, it takes lines again when half is free: one gap, not one between any two lines.
            if self._size + size > (self._limit // 2 if self._missing else self._limit):
                lines = data.count(b"\n")
                self._missing += lines
                self.dropped += lines
                return len(text)
            self._mark_gap()
            self._queue.append(data)
            self._size += size
            if self._thread is None:
                self._start()
            elif not self._writing:
                self._changed.notify_all()
        return len(text)

    def settle(self, seconds: float) -> bool:
        """Wait until everything is written, but no longer than this; whether it is."""
        with self._changed:
            self._settling = True
            self._changed.notify_all()
            settled = self._changed.wait_for(lambda: not (self._queue or self._missing or self._writing), seconds)
            self._settling = False
            return settled

    def _mark_gap(self) -> None:
        if self._missing:
            self._queue.append(self._missing)
            self._missing = 0

    def _start(self) -> None:
        thread = Thread(target=self._run, name=f"descriptor {self._descriptor}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # The system has no thread left. The queue holds what it can; the next line tries again.
        self._thread = thread

    # The thread.

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._missing)
                self._writing = True
                self._changed.wait_for(lambda: self._settling, GATHER_SECONDS)
                lines = self._take()
            lost = self._send(lines)
            if lost:
                with self._changed:
                    self.dropped += lost

    def _take(self) -> bytes:
        """The next lines, up to a gap; none where there is only that."""
        if not self._queue:
            self._mark_gap()
        taken: list[bytes] = []
        length = 0
        while self._queue:
            item = self._queue[0]
            if isinstance(item, int):
                if taken:
                    break
                self._unsaid += item
            elif taken and length + len(item) > _PIECE:
                break
            else:
                taken.append(item)
                length += len(item)
                self._size -= len(item) + _RECORD
            self._queue.popleft()
        return b"".join(taken)

    def _send(self, lines: bytes) -> int:
        """Write, with a word on what is missing before; how many of these lines were lost."""
        notice = b""
        if self._unsaid:
            text = "\n" * self._torn + self._notice(self._unsaid) + "\n"
            notice = text.encode(self._encoding, "backslashreplace")
        written = self._write(notice + lines)
        lost = lines[max(0, written - len(notice)) :].count(b"\n")
        if written >= len(notice):
            self._unsaid = 0
        self._unsaid += lost
        return lost

    def _write(self, data: bytes) -> int:
        """Write to the stream as far as it takes it; how many bytes that was."""
        written = 0
        while written < len(data):
            try:
                written += self._system_write(self._descriptor, data[written:])
            except BlockingIOError:  # Somebody else has set O_NONBLOCK.
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:
                break
        if written:
            self._torn = data[written - 1 : written] != b"\n"
        return written


def never_wait(notices: dict[str, Notice]) -> None:
    """Put an Outflow in the place of this process's own standard streams (`stdout`, `stderr`), for as long as it lives.

    A stream that is something else, such as a test's, is left alone.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream: TextIO = getattr(sys, name)
        if _descriptor(stream) == descriptor:
            setattr(sys, name, cast(TextIO, Outflow(descriptor, stream.encoding, notices[name])))
    atexit.register(settle, EXIT_SECONDS)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except OSError:  # io.UnsupportedOperation: it is in memory.
        return None


def settle(seconds: float) -> None:
    """Let what is queued for the standard streams go out, within so many seconds altogether."""
    deadline = stopwatch() + seconds
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Outflow):
            stream.settle(max(0.0, deadline - stopwatch()))


def dropped(stream: object) -> int:
    """Lines that were lost on a standard stream."""
    return stream.dropped if isinstance(stream, Outflow) else 0
