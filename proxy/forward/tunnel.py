"""After a 101: bytes both ways, each direction with its own end and its own back-pressure (RFC 9110 §7.8).

A tunnel is a WebSocket, and `leave` ends one in the WebSocket's own way: between two messages of the upstream, or two
frames of one that does not end soon, the caller gets a Close frame that says Going Away, and the end of that half with
it. What the upstream still says goes nowhere; what the caller still says, its own Close above all, goes on to the
upstream, until both have ended as they always do. Where no frame ends, or what came were no frames, nothing is said,
since it would be taken for something else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

from proxy.forward.body import Piece
from proxy.forward.connection import Failure, UpstreamConnection
from proxy.forward.door import Caller
from proxy.forward.frames import GOING_AWAY, Frames
from proxy.forward.http1 import ResponseHead

MESSAGE_SECONDS: Final = 1.0
"""For a message of the upstream to end before the caller is told to go in the middle of it."""
FAREWELL_SECONDS: Final = 5.0
"""For both sides to end a tunnel whose caller has been told to go."""


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
        self._frames = Frames()
        """Those of the upstream."""
        self._leaving = False
        """The caller is to be told to go as soon as a message ends."""
        self._hurried = False
        """Or a frame."""
        self._told = False
        self._caller_ended = False
        self._upstream_ended = False
        self._upstream_gone = False
        self._over = False
        self.deadline = loop.time() + idle_seconds
        if not caller.writable:
            connection.pause_reading()

    # From the upstream.

    def response_pieces(self, pieces: list[Piece]) -> None:
        if self._told:
            return
        self._moved()
        for piece in pieces:
            if not self._leaving:
                self._frames.follow(piece)
            elif (end := self._frames.end(piece, whole=not self._hurried)) is not None:
                self._caller.write(piece[:end])
                self._tell()
                return
            self._caller.write(piece)

    @property
    def stalled_since(self) -> float:
        """A tunnel is silent for as long as it pleases, within its idle time."""
        return inf

    def give_way(self) -> None:
        self._close()

    def response_end(self) -> None:
        self._upstream_ended = True
        self._caller.write_eof()
        self._half_closed()

    def upstream_failed(self, failure: Failure, reason: str) -> None:
        self._upstream_gone = True
        if self._caller_ended or not self._told:  # A caller that was told to go may still be about to answer that.
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
        self._caller_ended = True
        self._connection.write_eof()
        self._half_closed()

    def body_malformed(self, why: str) -> None:
        """A tunnel's bytes have no form."""

    def caller_slow(self) -> None:
        if not self._told:
            self._connection.pause_reading()

    def caller_ready(self) -> None:
        self._moved()
        self._connection.resume_reading()

    def caller_gone(self) -> None:
        self._close()

    # Time.

    def leave(self) -> None:
        """The sidecar stops: tell the caller, now or when the message that is under way has passed."""
        if self._leaving or self._upstream_ended:
            return
        self._leaving = True
        if self._frames.whole:
            self._tell()
        else:
            self.deadline = min(self.deadline, self._loop.time() + MESSAGE_SECONDS)

    def _tell(self) -> None:
        if self._told or self._over:
            return
        self._told = True
        if not self._frames.closed:  # Where the upstream has said its own good-bye, that stands.
            self._caller.write(GOING_AWAY)
        self._caller.write_eof()
        self._connection.resume_reading()  # However slow the caller is: what comes is not for it any more.
        self.deadline = self._loop.time() + FAREWELL_SECONDS

    def on_deadline(self) -> None:
        if not self._leaving or self._told or self._hurried:
            self._close()
            return
        self._hurried = True
        self._moved()
        if self._frames.between:
            self._tell()

    def cut_off(self) -> None:
        self._close()

    def _moved(self) -> None:
        if not self._told and (self._hurried or not self._leaving):
            self.deadline = self._loop.time() + self._idle_seconds

    def _half_closed(self) -> None:
        if self._upstream_gone:
            self._close()
        elif self._caller_ended and self._upstream_ended:
            self._connection.close_when_sent()  # Then `upstream_failed` is called, and this is over.

    def _close(self) -> None:
        if not self._over:
            self._over = True
            self.deadline = inf
            self._connection.close()
            self._ended()
            self._caller.finished(keep=False)
