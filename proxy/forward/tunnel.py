"""After a 101: bytes both ways, each direction with its own end and its own back-pressure (RFC 9110 §7.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from proxy.forward.body import Piece
from proxy.forward.connection import UpstreamConnection
from proxy.forward.door import Caller
from proxy.forward.http1 import ResponseHead


class Tunnel:
    """Takes an exchange's place at both connections; `ended` is called once, when it is over."""

    def __init__(
        self,
        caller: Caller,
        connection: UpstreamConnection,
        *,
        loop: asyncio.AbstractEventLoop,
        idle_seconds: float,
        ended: Callable[[], None],
    ) -> None:
        self._caller = caller
        self._connection = connection
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._ended = ended
        self._half_closed = False
        self._over = False
        self.deadline = loop.time() + idle_seconds
        if not caller.writable:
            connection.pause_reading()

    # From the upstream.

    def response_pieces(self, pieces: list[Piece]) -> None:
        self._moved()
        for piece in pieces:
            self._caller.write(piece)

    @property
    def stalled_since(self) -> float:
        """A tunnel is silent for as long as it pleases, within its idle time."""
        return inf

    def give_way(self) -> None:
        self._close()

    def response_end(self) -> None:
        self._caller.write_eof()
        self._half_close()

    def upstream_failed(self, reason: str, *, began: bool, broken: bool) -> None:
        self._close()

    def upstream_slow(self) -> None:
        self._caller.pause_body()

    def upstream_ready(self) -> None:
        self._moved()
        self._caller.resume_body()

    def interim_head(self, head: ResponseHead) -> None:
        """No head comes after a 101."""

    final_head = switched = interim_head

    def whole_response(self, head: ResponseHead, content: bytes) -> None:
        """Nor does an answer."""

    # From the caller.

    def body_pieces(self, pieces: list[Piece]) -> None:
        self._moved()
        for piece in pieces:
            self._connection.write(piece)

    def body_end(self) -> None:
        self._connection.write_eof()
        self._half_close()

    def body_malformed(self, why: str) -> None:
        """A tunnel's bytes have no form."""

    def caller_slow(self) -> None:
        self._connection.pause_reading()

    def caller_ready(self) -> None:
        self._moved()
        self._connection.resume_reading()

    def caller_gone(self) -> None:
        self._close()

    # Time.

    def on_deadline(self) -> None:
        self._close()

    def cut_off(self) -> None:
        self._close()

    def _moved(self) -> None:
        self.deadline = self._loop.time() + self._idle_seconds

    def _half_close(self) -> None:
        if self._half_closed:
            self._connection.close_when_sent()  # Then `upstream_failed` is called, and this is over.
        self._half_closed = True

    def _close(self) -> None:
        if not self._over:
            self._over = True
            self.deadline = inf
            self._connection.close()
            self._ended()
            self._caller.finished(keep=False)
