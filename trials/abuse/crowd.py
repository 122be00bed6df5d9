"""A crowd of callers that only take up room: `python -m trials.abuse.crowd KIND COUNT URL [--again]`.

Each of COUNT connections behaves badly in the same way, for as long as it is let:

    idle        connects, and says nothing
    heads       sends a request's head that never ends, a byte now and then
    readers     asks for a gigabyte and reads a few bytes of it now and then, with as little room as TCP allows
    senders     sends a body of a gigabyte, a byte now and then

It prints `there` when all of them do, and `gone` when the other side has ended all of them. With `--again` whoever was
ended begins anew at once. On SIGTERM all go away at once, and a line of JSON says what became of them: `held` to the
end, `refused` with which error, `cut`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from trials.asks import Ask
from trials.upstream import BODY_FIELD

Kind = Literal["idle", "heads", "readers", "senders"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PAUSE: Final = 2.0
"""Seconds between one byte, or a few, and the next."""
_GIGABYTE: Final = 10**9
_AT_ONCE: Final = 64
"""Connections that are being made at the same time: more would only queue for the listener."""
_AGAIN: Final = 0.1
"""Seconds before somebody who was ended is back."""
_ADDRESSES: Final = 8
"""Loopback addresses that the connections come from, so that their ports last."""
_SEGMENT: Final = 536
"""Bytes. With the large segments of loopback the system itself would take in megabytes for each slow reader."""
_ROOM: Final = 4096
"""Bytes that a slow reader's system takes in for it."""


class Crowd:
    """All of one kind."""

    def __init__(self, kind: Kind, count: int, url: str, *, again: bool) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname or "", parts.port or 80)
        self._prefix = parts.path.rstrip("/")
        self._kind = kind
        self._count = count
        self._again = again
        self._connecting = asyncio.Semaphore(_AT_ONCE)
        self._numbers = itertools.count()
        self._there = 0
        self.counts: Counter[str] = Counter()

    async def stand(self) -> None:
        """Until all have been ended by the other side; for ever, if they come again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._one())

    async def _one(self) -> None:
        arrived = False
        while True:
            try:
                with await self._connect() as raw:
                    try:
                        async for _ in self._behave(raw):
                            if not arrived:
                                arrived = True
                                self._arrive()
                        self.counts["cut"] += 1
                    except asyncio.CancelledError:
                        self.counts["held"] += 1
                        raise
            except _RefusedError as error:
                self.counts[f"refused: {error}"] += 1
            except OSError:
                self.counts["cut"] += 1
            if not arrived:  # It was turned away before it could begin.
                arrived = True
                self._arrive()
            if not self._again:
                return
            await asyncio.sleep(_AGAIN)

    def _arrive(self) -> None:
        self._there += 1
        if self._there == self._count:
            print("there", flush=True)

    async def _connect(self) -> socket.socket:
        raw = socket.socket()
        try:
            raw.setblocking(False)
            if self._kind == "readers":
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
            raw.bind((f"127.0.0.{2 + next(self._numbers) % _ADDRESSES}", 0))
            async with self._connecting:
                await asyncio.get_running_loop().sock_connect(raw, self._place)
        except BaseException:
            raw.close()
            raise
        return raw

    async def _behave(self, raw: socket.socket) -> AsyncIterator[None]:
        """As the kind does; yields each time that it has done so, and returns when the other side has ended it."""
        loop = asyncio.get_running_loop()
        if self._kind == "idle":
            yield
            await loop.sock_recv(raw, 1)
            return
        await loop.sock_sendall(raw, self._head())
        if self._kind == "readers":
            yield
            few = await loop.sock_recv(raw, 512)
            _refused(few)
            while few:
                await asyncio.sleep(PAUSE)
                few = await loop.sock_recv(raw, 16)
            return
        while True:
            await loop.sock_sendall(raw, b"x")
            yield
            await asyncio.sleep(PAUSE)
            with suppress(BlockingIOError):
                _refused(raw.recv(512))
                return

    def _head(self) -> bytes:
        number = f"{self._kind}-{next(self._numbers)}"
        ask = Ask(number, "GET", "long", size=_GIGABYTE)
        lines = [f"GET {self._prefix}{ask.target} HTTP/1.1", "Host: localhost", f"X-Ask: {number}"]
        if self._kind == "senders":
            ask = Ask(number, "POST", "long", size=2)
            lines = [f"POST {self._prefix}{ask.target} HTTP/1.1", "Host: localhost", f"X-Ask: {number}"]
            lines += [f"{BODY_FIELD}: 0", f"Content-Length: {_GIGABYTE}"]
        head = "\r\n".join(lines) + "\r\n"
        return (head + ("X-Slow: " if self._kind == "heads" else "\r\n")).encode()


class _RefusedError(Exception):
    """The sidecar answered in its own name; the text is which error."""


def _refused(data: bytes) -> None:
    """Raise for an answer that is a refusal."""
    found = re.search(rb"\r\nX-Sidecar-Error: (\w+)", data)
    if found is not None:
        raise _RefusedError(found[1].decode())


async def main(kind: Kind, count: int, url: str, *, again: bool) -> None:
    crowd = Crowd(kind, count, url, again=again)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await crowd.stand()
        print("gone", flush=True)
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print(json.dumps(crowd.counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], again="--again" in sys.argv))  # type: ignore[arg-type]
