"""One connection to an upstream: an HTTP/1.1 client's side of RFC 9112, one exchange at a time.

States: idle (no exchange; any byte that arrives then is the end of it), head (waiting for a response head),
body (passing a response body on), tunnel (after a 101, bytes both ways), closed. A connection never serves a
second exchange after anything that was not clean.
"""

from __future__ import annotations

import asyncio
import ssl
from enum import Enum
from math import inf
from typing import Protocol, cast

from proxy.forward.body import Body, Piece, response_body
from proxy.forward.http1 import HEAD_LIMIT, BadMessage, ResponseHead, find_head_end, parse_response_head
from proxy.forward.leftover import unread
from proxy.tls import tls_failed


class State(Enum):
    """Where a connection stands."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    TUNNEL = "tunnel"
    CLOSED = "closed"


# Before Python 3.12 an enumeration's member is looked up slowly, and these are on the way of each request.
IDLE, HEAD, BODY, TUNNEL, CLOSED = State


class Failure(Enum):
    """Why a response cannot be finished."""

    UNANSWERED = "the connection ended before a byte of it"
    REFUSED = "TLS failed before a byte of it"
    CUT = "the connection ended after some bytes"
    MALFORMED = "it is no acceptable HTTP"


class ResponseSink(Protocol):
    """The exchange that a connection works for."""

    def interim_head(self, head: ResponseHead) -> None:
        """A 1xx other than 100 and 101 has arrived."""

    def whole_response(self, head: ResponseHead, content: bytes) -> None:
        """A response has arrived at once (the connection has gone back to its owner already); it is no 401."""

    def final_head(self, head: ResponseHead) -> None:
        """The final head has arrived. The body waits until `read_body` is called."""

    def switched(self, head: ResponseHead) -> None:
        """A 101 has arrived: from now on all bytes are the tunnel's."""

    def response_pieces(self, pieces: list[Piece]) -> None:
        """Content, or the tunnel's bytes, as they arrive."""

    def response_end(self) -> None:
        """The response is whole (the connection has gone back to its owner already), or the tunnel's peer has ended."""

    def upstream_failed(self, failure: Failure, reason: str) -> None:
        """The response cannot be finished; `reason` says it to a person."""

    @property
    def stalled_since(self) -> float:
        """Since when (event loop's time) the caller alone has kept this connection waiting; infinity: it does not."""

    def give_way(self) -> None:
        """Another request needs this connection more: end now, visibly."""

    def upstream_slow(self) -> None:
        """Stop sending the request body for now."""

    def upstream_ready(self) -> None:
        """Go on sending the request body."""


class Owner(Protocol):
    """Whoever keeps connections between exchanges."""

    def release(self, connection: UpstreamConnection) -> None: ...

    def lost(self, connection: UpstreamConnection) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """See the module's text. Made by `proxy.forward.connector`, kept by `proxy.forward.pool`."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._sink: ResponseSink | None = None
        self._state = IDLE
        self._held = b""
        """Bytes that wait: the beginning of a head, or a body that nobody reads yet."""
        self._body: Body | None = None
        self._method = b""
        self._clean = True
        self._reading = True
        self._answered = False
        """Bytes have come since the present request was sent."""
        self._ended: bool | None = None
        """The connection was lost while the body waited; whether it ended cleanly."""
        self.exchanges = 0
        """How many it has been used for, the present one included."""
        self.request_sent = False
        """The present request is written whole; only then may the connection be used again."""
        self.idle_since = 0.0
        self.body_wanted = False

    def __repr__(self) -> str:
        return f"<upstream connection {self._state.value} #{self.exchanges}>"

    @property
    def usable(self) -> bool:
        """It may serve another exchange."""
        return self._state is IDLE and self._clean

    @property
    def closed(self) -> bool:
        return self._state is CLOSED

    # What the pool asks when all are busy.

    @property
    def stalled_since(self) -> float:
        return inf if self._sink is None else self._sink.stalled_since

    def give_up(self) -> None:
        if self._sink is not None:
            self._sink.give_way()

    # What an exchange calls.

    def begin(self, sink: ResponseSink, method: bytes, head: bytes) -> None:
        """Send a request's head and wait for the answer to it."""
        self._sink = sink
        self._method = method
        self._state = HEAD
        self._body = None
        self.body_wanted = False
        self.request_sent = False
        self._answered = False
        self.exchanges += 1
        self.write(head)

    def serve(self, sink: ResponseSink) -> None:
        """Something else takes the exchange's place: a tunnel."""
        self._sink = sink

    def write(self, data: Piece) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def write_eof(self) -> None:
        """End this side of a tunnel. Over TLS that cannot be said without ending the other, so both end: a caller
        that was killed looks just like one that closed its half, and must not stay connected for its upstream."""
        if self._transport is None:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def read_body(self) -> None:
        """Pass the response body on from now on; what has arrived already comes before this returns."""
        self.body_wanted = True
        held, self._held = self._held, b""
        self.resume_reading()
        body = self._body
        if body is not None and body.done:
            self._finish(held)
        elif held:
            self._body_bytes(held)
        if self._ended is not None and self._sink is not None:
            self._end_of_input(clean=self._ended)

    def pause_reading(self) -> None:
        """Back-pressure: the caller does not take the response as fast as it comes."""
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def close_when_sent(self) -> None:
        """End a tunnel whose both halves have ended; the sink hears of it as of any other end."""
        if self._transport is not None:
            self._transport.close()

    def discard(self) -> None:
        """The exchange does not want the rest of this response: keep the connection if that is all here, else close."""
        self._sink = None
        held, self._held = self._held, b""
        body = self._body
        unread = False
        try:
            if body is not None and held:
                if body.done:
                    unread = True
                else:
                    body.feed(held)
        except BadMessage:
            body = None
        if body is not None and body.done and not body.rest and not unread and self._reusable():
            self._free()
        else:
            self.close()

    def close(self) -> None:
        """Close now. Nothing more reaches the exchange."""
        self._sink = None
        if self._state is not CLOSED:
            self._state = CLOSED
            if self._transport is not None:
                self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it

    def data_received(self, data: bytes) -> None:
        self._answered = True
        state = self._state
        if state is HEAD:
            self._head_bytes(self._held + data if self._held else data)
        elif state is BODY:
            if self.body_wanted:
                self._body_bytes(data)
            else:
                self._hold(data)
        elif state is TUNNEL:
            if self._sink is not None:
                self._sink.response_pieces([data])
        elif state is IDLE:
            # Nothing was asked: whatever this is, the next response must not begin with it.
            self._clean = False
            self.close()

    def eof_received(self) -> bool:
        self._clean = False  # It closes in the next turn of the loop; until then nobody may take it for idle.
        if self._state is not TUNNEL or self._sink is None:
            return False
        self._sink.response_end()
        # A transport that cannot close one half alone (TLS) closes now.
        return self._transport is not None and self._transport.can_write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and self._sink is not None and self._transport is not None:
            self._clean = False  # Whatever comes of it, nobody else may have this connection.
            if data := unread(self._transport):
                self.data_received(data)
        if self._state is BODY and not self.body_wanted and self._sink is not None:
            self._ended = error is None  # What has arrived may be the whole body: that shows when it is read.
        elif self._sink is not None:
            self._end_of_input(clean=error is None, alert=error if isinstance(error, ssl.SSLError) else None)
        else:
            self._state = CLOSED
        self._clean = False
        self._transport = None
        self._owner.lost(self)

    def _end_of_input(self, *, clean: bool, alert: ssl.SSLError | None = None) -> None:
        """Nothing more comes from the upstream while an exchange depends on it.

        In TLS 1.3 a server says only after the handshake, by an alert, that it does not accept a client's certificate.
        """
        state, self._state = self._state, CLOSED
        sink, self._sink = self._sink, None
        body = self._body
        if sink is None:
            return
        if state is TUNNEL:
            sink.upstream_failed(Failure.CUT, "the tunnel was closed")
        elif state is BODY and body is not None and clean and body.ended():
            sink.response_end()
        elif alert is not None and not self._answered:
            sink.upstream_failed(Failure.REFUSED, tls_failed(alert))
        else:
            failure = Failure.CUT if self._answered else Failure.UNANSWERED
            sink.upstream_failed(failure, "the upstream closed the connection")

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.upstream_slow()

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.upstream_ready()

    # The response, as it arrives.

    def _head_bytes(self, data: bytes) -> None:
        """Read heads: any number of interim ones, then the final one."""
        while self._state is HEAD:
            try:
                end = find_head_end(data)
                if (end or len(data)) > HEAD_LIMIT:
                    raise BadMessage("the response head is larger than 64 KiB")
                if not end:
                    self._held = data
                    return
                head = parse_response_head(data[:end])
            except BadMessage as error:
                self._malformed(error)
                return
            data = data[end:]
            if head.status >= 200:
                self._final(head, data)
                return
            if head.status == 101:
                self._switch(head, data)
                return
            if head.status != 100 and self._sink is not None:
                # A 100 is the answer to an Expect that this side never sent.
                self._sink.interim_head(head)
            if not data:
                self._held = b""
                return

    def _final(self, head: ResponseHead, data: bytes) -> None:
        self._clean = head.minor == 1 and b"close" not in head.connection
        body = response_body(head, self._method)
        if head.status != 401 and (not data if body.done else head.length == len(data)):
            # The usual small answer, all of it here: it takes one step where others take several.
            self._held = b""
            sink = self._let_go()
            if sink is not None:
                sink.whole_response(head, data)
            return
        self._state = BODY
        self._body = body
        self._held = data
        if self._sink is not None:
            self._sink.final_head(head)

    def _switch(self, head: ResponseHead, data: bytes) -> None:
        self._clean = False
        self._held = b""
        if self._sink is None:
            return
        self._state = TUNNEL
        self._sink.switched(head)
        # What came with the 101 is for whoever serves the tunnel now.
        if data and self._sink is not None:
            self._sink.response_pieces([data])

    def _body_bytes(self, data: bytes) -> None:
        body = self._body
        if body is None:
            return
        try:
            pieces = body.feed(data)
        except BadMessage as error:
            self._malformed(error)
            return
        if pieces and self._sink is not None:
            self._sink.response_pieces(pieces)
        if body.done:
            self._finish(body.rest)

    def _hold(self, data: bytes) -> None:
        """Keep what arrives before the body is wanted; a little, then make the upstream wait."""
        self._held += data
        if len(self._held) > HEAD_LIMIT:
            self.pause_reading()

    def _finish(self, rest: bytes) -> None:
        if self._state is CLOSED:
            return
        if rest:
            self._clean = False
        sink = self._let_go()
        if sink is not None:
            sink.response_end()

    def _let_go(self) -> ResponseSink | None:
        """The response is whole: free the connection first, so that the caller's next request may find it."""
        sink, self._sink = self._sink, None
        if self._reusable():
            self._free()
        else:
            self.close()
        return sink

    def _reusable(self) -> bool:
        """Nothing of this exchange is left on the connection, in either direction."""
        unsent = self._transport is None or self._transport.get_write_buffer_size()
        return self._clean and self.request_sent and not unsent

    def _free(self) -> None:
        self._state = IDLE
        self._body = None
        # A slow caller's pause must not outlive its exchange: an idle connection that is not read notices nothing.
        self.resume_reading()
        self._owner.release(self)

    def _malformed(self, error: BadMessage) -> None:
        sink = self._sink
        self.close()
        if sink is not None:
            sink.upstream_failed(Failure.MALFORMED, str(error))
