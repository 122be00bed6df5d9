"""A caller of the sidecar that knows what it has to get (`trials.asks`) and tells what it got, whatever that was.

    line = await Line.open(sidecar.url("orders"))
    [outcome] = await line.call([Ask("1", "POST", body=1000, size=500)], Manner())

It speaks HTTP/1.1 on a bare connection, so that it can pipeline, dawdle, and leave in the middle. It raises nothing:
what goes wrong on the way is in the `Outcome`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from trials.asks import ID_FIELD, Ask, answer_body, request_body
from trials.upstream import BODY_FIELD

End = Literal["whole", "cut", "nothing", "left", "late", "unconnected"]
"""whole: the answer ended as its framing says; cut: the connection ended before; nothing: it ended before the answer
began; left: the caller went away, as it was told to; late: the connection stands, and nothing came within PATIENCE;
unconnected: there was no connection."""
PATIENCE: Final = 45.0
"""Seconds for one answer."""
_AFTERWARDS: Final = 2.0
"""Seconds in which a connection that was ended by this side has to end from the other."""
_RESET: Final = struct.pack("ii", 1, 0)
_PIECE: Final = 16 * 1024
_SOCKET_KEY: Final = base64.b64encode(b"0123456789abcdef").decode()


class Outcome(NamedTuple):
    """What became of one ask, as its caller saw it."""

    id: str
    via: str
    """Of the sidecar's upstreams."""
    method: str
    kind: str
    fair: bool
    """The caller did its part: all sent as fast as it was taken, and stayed for the answer."""
    began: float
    """When it was sent, or its turn came among several that were sent at once; Unix time, like the next."""
    ended: float
    end: End
    status: int = 0
    error: str = ""
    """X-Sidecar-Error: the sidecar's own answer."""
    improper: str = ""
    """What is wrong with the form of an answer."""
    bearer: str = ""
    """The id on the answer."""
    differs_at: int = -1
    """Offset of the first byte that is not the expected one."""
    length: int = 0
    """Bytes of the body."""
    announced: int = 0
    """Content-Length of the answer."""
    expected: int = 0
    """Bytes that a right answer of the upstream has."""
    extra: int = 0
    """Bytes after the end of the last answer."""


class Manner(NamedTuple):
    """How a caller behaves."""

    keep: bool = True
    """Use the connection again."""
    pace: float = 0.0
    """Seconds that the sending of each request takes."""
    waits_for_100: bool = False
    leaves_after: float | None = None
    """After this share of the bytes that are to be sent; 1: when all is sent, without waiting for the answer."""
    resets: bool = False
    """Leave by a reset, and not by closing."""
    reads_slowly: float = 0.0
    """Seconds of pause after each piece of an answer that is read."""


class _Answer:
    """One answer as it comes."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.expected = request_body(ask) if ask.kind == "socket" else answer_body(ask)
        self.status = 0
        self.fields: dict[str, list[str]] = {}
        self.length = 0
        self.differs_at = -1
        self.problem = b""
        self.improper = ""

    @property
    def error(self) -> str:
        return self.first("x-sidecar-error")

    @property
    def closes(self) -> bool:
        return self.first("connection").lower() == "close"

    def first(self, name: str) -> str:
        return self.fields.get(name, [""])[0]

    def read_head(self, block: bytes) -> None:
        first, *lines = block.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        version, _, rest = first.partition(" ")
        if version != "HTTP/1.1" or not rest[:3].isdigit():
            self.improper = f"a head that begins with {first[:80]!r}"
            raise ValueError(self.improper)
        self.status, self.fields = int(rest[:3]), {}
        for line in lines:
            name, _, value = line.partition(":")
            self.fields.setdefault(name.lower(), []).append(value.strip())

    def take(self, piece: bytes) -> None:
        """Some of the body."""
        if self.error:
            self.problem += piece
        elif self.differs_at < 0 and self.status != 401:
            wanted = self.expected[self.length : self.length + len(piece)]
            if wanted != piece:
                same = next((at for at, (a, b) in enumerate(zip(wanted, piece, strict=False)) if a != b), len(wanted))
                self.differs_at = self.length + same
        self.length += len(piece)

    def judge_form(self) -> None:
        """Whether an answer of the sidecar's own is as docs/troubleshooting.md says."""
        if not self.error:
            return
        try:
            told: dict[str, Any] = json.loads(self.problem) if self.ask.method != "HEAD" else {}
        except ValueError:
            self.improper = "an error whose body is no JSON"
            return
        if self.first("content-type") != "application/problem+json":
            self.improper = f"an error of the type {self.first('content-type')!r}"
        elif told and (told.get("type"), told.get("status")) != (
            f"urn:cognito-sidecar:error:{self.error}",
            self.status,
        ):
            self.improper = f"{self.error} with status {self.status} says {told!r:.200}"


class Line:
    """One connection to the sidecar."""

    def __init__(self, via: str, prefix: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.via = via
        self._prefix = prefix
        self._reader = reader
        self._writer = writer
        self._good = True

    @property
    def usable(self) -> bool:
        """It may be used again, as far as is known here: like other pools, this one looks for an end that has come."""
        return self._good and not self._reader.at_eof()

    @classmethod
    async def open(cls, url: str, via: str = "") -> Self:
        """`http://host:port/prefix`, or `unix:/path`. Raises OSError, TimeoutError included."""
        parts = urlsplit(url)
        async with asyncio.timeout(PATIENCE):
            if parts.scheme == "unix":
                return cls(via, "", *await asyncio.open_unix_connection(parts.path))
            return cls(via, parts.path.rstrip("/"), *await asyncio.open_connection(parts.hostname, parts.port))

    async def call(self, asks: Sequence[Ask], manner: Manner) -> list[Outcome]:
        """Send all of them, one after the other, and read the answers as they come."""
        began = time.time()
        go_on = asyncio.Event()
        sending = asyncio.create_task(self._send(asks, manner, go_on))
        outcomes: list[Outcome] = []
        for ask in asks:
            outcomes.append(await self._receive(ask, manner, began, go_on, sending))
            began = outcomes[-1].ended  # Only now comes the next one's turn.
            if not self.usable:
                break
        answered = len(outcomes)
        outcomes += [self._outcome(_Answer(one), manner, began, began, "nothing") for one in asks[answered:]]
        if not sending.done():
            self._good = False  # It was answered before all was sent.
            sending.cancel()
        await asyncio.wait([sending])
        if not manner.keep or not self.usable:
            extra = await self._end()
            last = outcomes[answered - 1]
            if last.error and last.method == "HEAD" and extra == last.announced:
                extra = 0  # A caller that is turned away unread is answered without regard to its method.
            outcomes[answered - 1] = last._replace(extra=extra)
        return outcomes

    async def close(self) -> int:
        """End the connection; how many bytes came that nobody asked for."""
        return await self._end()

    # The request.

    async def _send(self, asks: Sequence[Ask], manner: Manner, go_on: asyncio.Event) -> None:
        """True to the manner, to the end or to where the caller leaves."""
        with suppress(ConnectionError):
            for ask in asks:
                head, body = self._bytes(ask, manner)
                if manner.waits_for_100 and body:
                    self._writer.write(head)
                    await go_on.wait()
                    head = b""
                whole = head + body
                end = len(whole) if manner.leaves_after is None else int(len(whole) * manner.leaves_after)
                step = max(1, end // 8) if manner.pace else _PIECE
                for at in range(0, end, step):
                    self._writer.write(whole[at : min(at + step, end)])
                    await self._writer.drain()
                    if manner.pace:
                        await asyncio.sleep(manner.pace / 8)
                if manner.leaves_after is not None:
                    self._leave(manner)
                    return

    def _bytes(self, ask: Ask, manner: Manner) -> tuple[bytes, bytes]:
        body = request_body(ask) if ask.kind != "socket" else b""
        lines = [
            f"{ask.method} {self._prefix}{ask.target} HTTP/1.1",
            "Host: localhost",
            f"{ID_FIELD}: {ask.id}",
            f"{BODY_FIELD}: {len(body)}",
            "Authorization: Bearer of-the-caller",
        ]
        if ask.kind == "socket":
            lines += ["Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {_SOCKET_KEY}"]
            lines += ["Sec-WebSocket-Version: 13"]
        if manner.waits_for_100 and body:
            lines.append("Expect: 100-continue")
        if ask.chunked:
            lines.append("Transfer-Encoding: chunked")
            parts = (body[at : at + _PIECE] for at in range(0, len(body), _PIECE))
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        elif body or ask.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode(), body

    def _leave(self, manner: Manner) -> None:
        self._good = False
        raw = self._writer.get_extra_info("socket")
        if manner.resets and raw is not None and raw.family != socket.AF_UNIX:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    # The answer.

    async def _receive(
        self, ask: Ask, manner: Manner, began: float, go_on: asyncio.Event, sending: asyncio.Task[None]
    ) -> Outcome:
        answer = _Answer(ask)
        end: End
        try:
            async with asyncio.timeout(PATIENCE):
                await self._read_answer(answer, manner, go_on)
            end = "whole"
        except TimeoutError:
            end = "late"
        except ValueError:  # No HTTP: `improper` says what.
            end = "cut"
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            begun = answer.status or (isinstance(error, asyncio.IncompleteReadError) and error.partial)
            end = "cut" if begun else "nothing"
        answer.judge_form()
        if end != "whole" or answer.closes or ask.kind == "socket":
            self._good = False
        if manner.leaves_after is not None and end in ("cut", "nothing"):
            end = "left"
        return self._outcome(answer, manner, began, time.time(), end)

    async def _read_answer(self, answer: _Answer, manner: Manner, go_on: asyncio.Event) -> None:
        answer.read_head(await self._reader.readuntil(b"\r\n\r\n"))
        while 100 <= answer.status < 200 and answer.status != 101:
            go_on.set()
            answer.status = 0
            answer.read_head(await self._reader.readuntil(b"\r\n\r\n"))
        go_on.set()
        if answer.status == 101:
            await self._tunnel(answer)
        elif answer.ask.method == "HEAD" or answer.status in (204, 304):
            pass
        elif answer.first("transfer-encoding") == "chunked":
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                await self._take(answer, size, manner)
                await self._reader.readexactly(2)
            await self._reader.readexactly(2)
        elif length := answer.first("content-length"):
            await self._take(answer, int(length), manner)
        else:
            answer.improper = "an answer whose end nobody can see"

    async def _take(self, answer: _Answer, count: int, manner: Manner) -> None:
        while count:
            piece = await self._reader.read(min(count, _PIECE))
            if not piece:
                raise asyncio.IncompleteReadError(b"", count)
            answer.take(piece)
            count -= len(piece)
            if manner.reads_slowly:
                await asyncio.sleep(manner.reads_slowly)

    async def _tunnel(self, answer: _Answer) -> None:
        """Send the bytes, and take them back; then end this half and wait for the other."""
        data = answer.expected
        for at in range(0, len(data), 1000):
            part = data[at : at + 1000]
            self._writer.write(part)
            await self._writer.drain()
            answer.take(await self._reader.readexactly(len(part)))
        if not self._writer.is_closing():
            self._writer.write_eof()
        if rest := await self._reader.read():
            answer.take(rest)

    # The end.

    async def _end(self) -> int:
        """Close, unless that was done; how many bytes came before the other side closed as well."""
        self._good = False
        extra = 0
        try:
            async with asyncio.timeout(_AFTERWARDS):
                if not self._writer.is_closing():
                    self._writer.write_eof()
                extra = len(await self._reader.read())
        except (OSError, TimeoutError):
            pass
        self._writer.transport.abort()
        return extra

    def _outcome(self, answer: _Answer, manner: Manner, began: float, ended: float, end: End) -> Outcome:
        return _outcome(self.via, answer, manner, began, ended, end)


def unconnected(via: str, ask: Ask, began: float) -> Outcome:
    """Of an ask for which there was no connection."""
    return _outcome(via, _Answer(ask), Manner(), began, time.time(), "unconnected")


def _outcome(via: str, answer: _Answer, manner: Manner, began: float, ended: float, end: End) -> Outcome:
    ask = answer.ask
    bodiless = ask.method == "HEAD" or answer.status == 401 or bool(answer.error)
    return Outcome(
        id=ask.id,
        via=via,
        method=ask.method,
        kind=ask.kind,
        fair=manner.leaves_after is None and not manner.pace and not manner.reads_slowly,
        began=began,
        ended=ended,
        end=end,
        status=answer.status,
        error=answer.error,
        improper=answer.improper,
        bearer=answer.first(ID_FIELD.lower()),
        differs_at=answer.differs_at,
        length=answer.length,
        announced=int(answer.first("content-length") or 0),
        expected=0 if bodiless else len(answer.expected),
    )
