"""A link between the sidecar and a peer: bytes both ways, and on order late, never, cut short or torn.

It stands on the sidecar's way out, so it also notes what leaves the sidecar and what is handed back to it (`Passage`):
neither end can tell that of the other.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

from trials.asks import read_target
from trials.chaos.records import Passage

_FIRST_LINE = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/\S*) HTTP/1\.1\r\n")
_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
_LONGEST = 512
"""Bytes of a first line that may be split over two reads."""
_PIECE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


class _Pair:
    """One connection of the sidecar's, and the one to the peer that belongs to it."""

    def __init__(self, passages: list[Passage], inner: asyncio.StreamWriter, outer: asyncio.StreamWriter) -> None:
        self.inner = inner
        self.outer = outer
        self._passages = passages
        self._tail = b""
        self._begins = b""
        self._index = -1
        self._count = 0
        self.left: int | None = None
        """So many bytes more go to the sidecar, and then the connection is closed."""

    def leaves(self, data: bytes) -> None:
        """Bytes of the sidecar's: look for the beginnings of requests in them."""
        data = self._tail + data
        end = 0
        for found in _FIRST_LINE.finditer(data):
            ask = read_target(found[2].decode("latin-1"))
            if ask is not None:
                self._count += 1
                self._index = len(self._passages)
                self._begins = b""
                self._passages.append(Passage(ask.id, found[1].decode(), time.time(), self._count))
            end = found.end()
        self._tail = data[max(end, len(data) - _LONGEST) :]

    def returns(self, data: bytes) -> None:
        """Bytes for the sidecar."""
        if self._index < 0 or not data:
            return
        passage = self._passages[self._index]
        status = passage.status
        if not status:
            self._begins += data[:64]
            found = _STATUS.match(self._begins)
            status = int(found[1]) if found else 0
        self._passages[self._index] = passage._replace(returned=passage.returned + len(data), status=status)

    async def close(self) -> None:
        """End both, once they have taken what was written to them."""
        for writer in (self.inner, self.outer):
            writer.close()
        for writer in (self.inner, self.outer):
            with suppress(OSError):
                await writer.wait_closed()

    def abort(self) -> None:
        for writer in (self.inner, self.outer):
            writer.transport.abort()

    def reset(self) -> None:
        """Both ends see a connection that was reset."""
        if self._index >= 0:
            self._passages[self._index] = self._passages[self._index]._replace(torn=True)
        for writer in (self.inner, self.outer):
            raw = writer.get_extra_info("socket")
            with suppress(OSError, AttributeError, ValueError):  # It may be closed already.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.abort()


class Link:
    """Listens at `port`, with TLS where there is a context for it, and connects to `target`, both on loopback."""

    def __init__(self, port: int, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.passages: list[Passage] = []
        self._target = target
        self._tls = tls
        self._delay = 0.0
        self._cut_after: Callable[[], int] | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], _Pair] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Accept connections."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls, backlog=1024)

    def shut(self) -> None:
        """Accept none; who is connected stays so."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def delay(self, seconds: float) -> None:
        """From now on, each piece is so much late."""
        self._delay = seconds

    def stall(self) -> None:
        """Nothing passes."""
        self._flows.clear()

    def flow(self) -> None:
        """Everything passes."""
        self._flows.set()

    def cut(self, after: Callable[[], int] | None) -> None:
        """From now on, close each connection after so many bytes of what its peer sends; None: no more of that.

        `after` is called for each connection.
        """
        self._cut_after = after

    def reset(self, share: float, random: Random) -> int:
        """Reset about this share of the connections; how many that were."""
        chosen = [pair for pair in self._pairs.values() if random.random() < share]
        for pair in chosen:
            pair.reset()
        return len(chosen)

    async def close(self) -> None:
        self.shut()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # What has just been closed is let go of in the loop's next turn.

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._flows.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            self._tasks.discard(task)
            return
        pair = self._pairs[task] = _Pair(self.passages, writer, far_writer)
        try:
            await self._both_ways(pair, reader, far_reader)
            await pair.close()
        except asyncio.CancelledError:
            pair.abort()
        finally:
            del self._pairs[task]
            self._tasks.discard(task)

    async def _both_ways(self, pair: _Pair, near: asyncio.StreamReader, far: asyncio.StreamReader) -> None:
        """Until both have ended, or one of them goes wrong."""
        ways = [asyncio.create_task(self._out(pair, near)), asyncio.create_task(self._back(pair, far))]
        try:
            await asyncio.gather(*ways)
        except OSError:
            pass
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _out(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        writer = pair.outer
        while data := await reader.read(_PIECE):
            pair.leaves(data)
            await self._hold()
            writer.write(data)
            await writer.drain()
        await self._hold()
        _end_half(writer)

    async def _back(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        writer = pair.inner
        while data := await reader.read(_PIECE):
            await self._hold()
            if pair.left is None and self._cut_after is not None:
                pair.left = self._cut_after()
            if pair.left is not None:
                data, pair.left = data[: pair.left], pair.left - min(len(data), pair.left)
            pair.returns(data)
            writer.write(data)
            await writer.drain()
            if pair.left == 0:
                raise ConnectionAbortedError
        await self._hold()
        _end_half(writer)

    async def _hold(self) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        await self._flows.wait()


def _end_half(writer: asyncio.StreamWriter) -> None:
    if writer.is_closing():
        return
    if not writer.can_write_eof():
        raise ConnectionAbortedError  # TLS knows no end of one half: both end.
    writer.write_eof()
