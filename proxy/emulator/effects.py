"""How answers and faults reach the wire: the only place of this room, beside `server`, that touches a connection."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final, NamedTuple

from aiohttp import web

from proxy.clock import Clock
from proxy.emulator.answers import Answer

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Dropped(Exception):
    """The connection is gone, by a fault or by its peer: there is nobody to answer."""


class Waits:
    """Delays that end early when the emulator closes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()

    async def sleep(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(seconds, lambda: _finish(over))
        self._waiting.add(over)
        try:
            await over
        finally:
            self._waiting.discard(over)
            timer.cancel()

    def end(self) -> None:
        for over in self._waiting:
            _finish(over)


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


class Body(NamedTuple):
    """What is known of a request body after it was read."""

    length: int
    digest: str
    """SHA-256 in hex, of the bytes as they came."""
    data: bytes
    """The bytes, where they were to be kept."""
    whole: bool
    """False: it is longer than the limit, and the rest was left unread."""


async def read_body(request: web.BaseRequest, *, limit: int | None, keep: bool = False) -> Body:
    """Read the body, at most `limit` bytes of it. A caller that waits for 100 (Continue) gets it here."""
    if limit is not None and (request.content_length or 0) > limit:
        return Body(0, "", b"", whole=False)
    # aiohttp leaves `Expect` to its router, which is not used here.
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(_CONTINUE)
    length = 0
    digest = hashlib.sha256()
    kept: list[bytes] = []
    try:
        async for piece in request.content.iter_any():
            length += len(piece)
            if limit is not None and length > limit:
                return Body(length, "", b"", whole=False)
            digest.update(piece)
            if keep:
                kept.append(piece)
    except (web.RequestPayloadError, ConnectionError):
        raise Dropped from None
    return Body(length, digest.hexdigest(), b"".join(kept), whole=True)


class _Stream(web.StreamResponse):
    """Without the `Server` field that aiohttp adds where an answer has none: API Gateway sends none."""

    async def _prepare_headers(self) -> None:
        named = "Server" in self.headers
        await super()._prepare_headers()
        if not named:
            del self.headers["Server"]


class _Response(_Stream, web.Response):
    """The same, for an answer that is sent whole."""


def send(answer: Answer) -> web.Response:
    response = _Response(status=answer.status, headers=dict(answer.fields), body=answer.body)
    if answer.chunked:
        response.enable_chunked_encoding()
    if answer.close:
        response.force_close()
    return response


async def cut(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Send the head and half of the body, then end the connection: a length or a last chunk is missing."""
    response = _Stream(status=answer.status, headers=dict(answer.fields))
    if answer.chunked:
        response.enable_chunked_encoding()
    else:
        response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.close()  # after what was written has gone out
    raise Dropped


def drop(request: web.BaseRequest) -> web.Response:
    """Reset the connection. The response is for aiohttp, which finds nobody to send it to."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
