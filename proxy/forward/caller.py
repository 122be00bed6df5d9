"""One caller's connection: an HTTP/1.1 server's side of RFC 9112, one exchange at a time.

States: idle (between messages), head (part of a head is here), exchange (a request is being served; its body
is read when the exchange asks for it, what follows it waits), tunnel (bytes both ways), linger (the last
answer is on its way and what still comes is read past, so that a reset does not overtake it), closed.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final, cast

from proxy.clock import stopwatch
from proxy.errors import KINDS, Refusal
from proxy.forward.admission import Admission, Rejection, admit
from proxy.forward.answers import answer
from proxy.forward.body import Body, Piece, request_body
from proxy.forward.door import Served
from proxy.forward.exchange import Exchange
from proxy.forward.http1 import (
    HEAD_LIMIT,
    BadMessage,
    RequestHead,
    find_head_end,
    may_begin_request,
    parse_request_head,
)
from proxy.forward.peers import NOBODY, Peer, is_admitted, peer_of
from proxy.forward.record import Record

if TYPE_CHECKING:
    from proxy.forward.listener import Listener
    from proxy.forward.upstream import Upstream

LINGER_SECONDS: Final = 5.0
"""For the caller to close its half once the last answer is sent."""
STALLED_SECONDS: Final = 60.0
"""Without a byte of an answer taken, after the sidecar has had all of it."""
_LINGER_BYTES: Final = 64 * 1024 * 1024
"""Many callers write the whole of their request before they look for an answer."""
_BUFFER: Final = 64 * 1024
"""Bytes that may wait here while an exchange is not ready for them."""
_FIRST_LINE: Final = 8 * 1024
"""Up to so many bytes a request line that is not all there is looked at again and again."""
_NOT_LOOKED_AT: Final = 2**62
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_RESET = struct.pack("ii", 1, 0)


class State(Enum):
    """Where a connection stands."""

    IDLE = "idle"
    HEAD = "head"
    EXCHANGE = "exchange"
    TUNNEL = "tunnel"
    LINGER = "linger"
    CLOSED = "closed"


# Before Python 3.12 an enumeration's member is looked up slowly, and these are on the way of each request.
IDLE, HEAD, EXCHANGE, TUNNEL, LINGER, CLOSED = State


class CallerConnection(asyncio.Protocol):
    """See the module's text."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._state = IDLE
        self._buffer = b""
        self._body: Body | None = None
        self._body_wanted = False
        self._body_paused = False
        self._continue = False
        """The caller waits for a 100 before it sends its body."""
        self._exchange: Served | None = None
        self._reading = True
        self._writable = True
        self._ended = False
        """The caller has sent all it will send; it may still read."""
        self._lingered = 0
        self._unsent = _NOT_LOOKED_AT
        """Bytes of answers that had not gone out when the last deadline passed."""
        self._used = False
        self.known = False
        """An answer of an upstream's was passed on whole."""
        self._in_next = False
        self._peer: Peer | None = None
        self.deadline = inf

    def __repr__(self) -> str:
        return f"<caller connection {self._state.value}>"

    @property
    def busy(self) -> bool:
        """A request is being served, or part of an answer has not gone out yet."""
        return self._state is EXCHANGE or self._state is TUNNEL or self._unsent_bytes() > 0

    # What an exchange calls.

    def read_body(self) -> None:
        """Give the request body from now on; what has arrived comes before this returns."""
        self._body_wanted = True
        self._body_paused = False
        body = self._body
        if self._continue and body is not None:
            self._continue = False
            if not self._buffer and not body.done:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._read_bytes(data)
        self._check_cut()
        self._set_reading()

    def pause_body(self) -> None:
        """Back-pressure: the upstream does not take the body (or the tunnel's bytes) as fast as it comes."""
        self._body_paused = True
        self._set_reading()

    def resume_body(self) -> None:
        if self._state is TUNNEL:
            self._body_paused = False
            self._set_reading()
        else:
            self.read_body()

    def write(self, data: Piece) -> None:
        if self._transport is not None:
            self._transport.write(data)

    @property
    def writable(self) -> bool:
        """The caller takes what is written to it; if not, the exchange is told when it does again."""
        return self._writable

    def begin_tunnel(self, tunnel: Served) -> None:
        self._state = TUNNEL
        self._exchange = tunnel
        self._body_paused = False
        data, self._buffer = self._buffer, b""
        if data:
            tunnel.body_pieces([data])
        self._set_reading()
        if self._ended and self._exchange is tunnel:
            tunnel.body_end()

    def write_eof(self) -> None:
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def finished(self, *, keep: bool, served: bool = False) -> None:
        """The answer is written whole. `keep`: another request may follow, if this one's body was read whole."""
        self._exchange = None
        self.known = self.known or served
        body, self._body = self._body, None
        if self._state is CLOSED:
            return
        self._listener.settled()
        more = bool(self._buffer) or not self._ended
        if keep and more and (body is None or body.done):
            self._enter(IDLE, self._listener.idle_seconds)
            self._set_reading()
            if self._buffer:
                self._next()
        else:
            self._linger()

    def cut(self, *, reset: bool) -> None:
        """The answer cannot be finished: end it so that it shows. `reset`: where only a reset shows it."""
        self._exchange = None
        transport = self._transport
        if self._state is CLOSED or transport is None:
            return
        if reset:
            raw = transport.get_extra_info("socket")
            if raw is not None and raw.family != socket.AF_UNIX:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._state = CLOSED
            transport.abort()
        else:
            self._enter(LINGER, LINGER_SECONDS)
            transport.close()

    # What the listener asks and calls.

    @property
    def rank(self) -> tuple[int, float] | None:
        """How soon this connection is to make room for another, the lowest first; None: it is at work.

        First those that never asked for anything, then those between two requests, then those in the middle of a
        head; of each kind the one that has been so for longest.
        """
        if self._state is IDLE:
            return int(self._used), self.deadline
        return (2, self.deadline) if self._state is HEAD else None

    @property
    def expected_since(self) -> float:
        """Since when its first request, or the rest of a head, is on its way; minus infinity: none is. A caller of a
        connection that was used before knows that it may be closed."""
        if self._state is IDLE and not self._used:
            return self.deadline - self._listener.idle_seconds
        return self.deadline - self._listener.head_seconds if self._state is HEAD else -inf

    def turn_away(self, why: str) -> None:
        """Say that there is no room for this connection, and end it."""
        self._refuse_unread(Refusal("overloaded", why, retry_after=1))

    def make_room(self, why: str) -> None:
        """End a connection that has a rank. One between two requests is just closed, as it may be at any time: an
        answer that nobody asked for could be taken for the next one's."""
        if self._state is HEAD:
            self.turn_away(why)
        elif self._transport is not None:
            self._enter(LINGER, LINGER_SECONDS)
            self._transport.close()

    def leave(self) -> None:
        """The sidecar stops: tell a tunnel to end. An answer ends by itself, or by `abort`."""
        if self._exchange is not None:
            self._exchange.leave()

    def close_if_idle(self) -> None:
        """The listener has drained: a connection between two requests, or after its last, has no reason to stay."""
        if not self.busy and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut whatever goes on."""
        if self._exchange is not None:
            self._exchange.cut_off()
        if self._transport is not None:
            self._transport.abort()

    def on_deadline(self) -> None:
        transport = self._transport
        if transport is None:
            return
        unsent = self._unsent_bytes()
        if self._state is HEAD:
            self._refuse_unread(Refusal("bad_request", "the request head did not arrive in time"))
        elif 0 < unsent < self._unsent:
            self._enter(self._state, STALLED_SECONDS)
            self._unsent = unsent  # A slow reader, but a reader.
        elif self._state is LINGER or unsent:
            self.deadline = inf
            transport.abort()
        else:
            self.deadline = inf
            transport.close()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it
        self._enter(IDLE, self._listener.idle_seconds)
        self._listener.joined(self)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is IDLE or state is HEAD:
            self._buffer = self._buffer + data if self._buffer else data
            self._next()
            self._set_reading()
        elif state is EXCHANGE:
            if self._buffer:
                self._buffer += data
                self._set_reading()
            else:
                self._read_bytes(data)
        elif state is TUNNEL:
            if self._exchange is not None:
                self._exchange.body_pieces([data])
        elif state is LINGER:
            self._lingered += len(data)
            if self._lingered > _LINGER_BYTES and self._transport is not None:
                self._transport.abort()

    def eof_received(self) -> bool:
        self._ended = True
        match self._state:
            case State.EXCHANGE:
                self._check_cut()
                return True  # A caller may have closed its half and wait for the answer.
            case State.TUNNEL:
                if self._exchange is not None:
                    self._exchange.body_end()
                return self._state is TUNNEL
            case State.IDLE | State.HEAD if self._buffer:
                self._next()
                return True
            case _:
                return False  # What is still to be written is flushed first.

    def connection_lost(self, error: Exception | None) -> None:
        self._state = CLOSED
        self._transport = None
        exchange, self._exchange = self._exchange, None
        self._listener.left(self)
        if exchange is not None:
            exchange.caller_gone()

    def pause_writing(self) -> None:
        self._writable = False
        if self._exchange is not None:
            self._exchange.caller_slow()

    def resume_writing(self) -> None:
        self._writable = True
        if self._exchange is not None:
            self._exchange.caller_ready()
        elif self._state in (IDLE, HEAD):
            self._next()
            self._set_reading()

    # The request, as it arrives.

    def _next(self) -> None:
        """Read heads from the buffer as long as each is served at once, and the caller takes the answers."""
        if self._in_next:
            return
        self._in_next = True
        try:
            while self._buffer and self._writable and self._state in (IDLE, HEAD):
                block = self._take_head()
                if block is None:
                    return
                known = self._listener.memory.recall(block)
                # What is remembered was decided for somebody else's connection.
                if known is not None and (known[1].upstream.peers is None or self._may_use(known[1].upstream)):
                    self._serve(*known)
                else:
                    self._consider(block)
        finally:
            self._in_next = False

    def _take_head(self) -> bytes | None:
        """The next head's bytes, if they are all here."""
        data = self._buffer
        if data[:2] == b"\r\n" and (empty := _EMPTY_LINES.match(data)):
            data = self._buffer = data[empty.end() :]  # RFC 9112 §2.2: an empty line before a request is no request.
        if data in (b"", b"\r"):
            if self._ended:
                self._linger()  # Nothing more comes, and nobody else would close this connection.
            return None
        try:
            end = find_head_end(data)
            if (end or len(data)) > HEAD_LIMIT:
                self._refuse_unread(Refusal("headers_too_large", "the request head is larger than 64 KiB"))
                return None
            if not end:
                if len(data) < _FIRST_LINE and not may_begin_request(data):
                    raise BadMessage("this is not an HTTP request")
                if self._ended:
                    raise BadMessage("the connection ended in the middle of the request head")
                if self._state is IDLE:
                    self._enter(HEAD, self._listener.head_seconds)
                return None
        except BadMessage as error:
            self._refuse_unread(Refusal("bad_request", str(error)))
            return None
        self._buffer = data[end:]
        return data[:end]

    def _consider(self, block: bytes) -> None:
        """Read a head that is not known, and decide on it."""
        listener = self._listener
        try:
            head = parse_request_head(block)
        except BadMessage as error:
            self._refuse_unread(Refusal("bad_request", str(error)))
            return
        peer = self._who() if listener.address.unix else NOBODY
        decision = admit(head, listener.guard, listener.routes, draining=listener.draining, peer=peer)
        if isinstance(decision, Admission):
            listener.memory.keep(block, head, decision)
        self._serve(head, decision)

    def _serve(self, head: RequestHead, decision: Admission | Rejection) -> None:
        listener = self._listener
        self._state = EXCHANGE
        self._used = True
        self.deadline = inf
        body = self._body = request_body(head)
        self._body_wanted = False
        self._body_paused = False
        self._continue = head.minor == 1 and b"expect" in head.named
        record = Record(stopwatch(), head.method, head.target, decision.upstream, listener.nobody)
        if isinstance(decision, Rejection):
            keep = head.keeps_connection and body.done and decision.refusal.name != "bad_request"
            self._reject(decision.refusal, record, head.method, keep=keep and not listener.closing)
            return
        exchange = self._exchange = Exchange(self, listener, head, decision, record, bodiless=body.done)
        exchange.start()

    def _refuse_unread(self, refusal: Refusal) -> None:
        """Answer what could not be read as a request, and close: where the next one would begin is unknown."""
        listener = self._listener
        self._buffer = b""
        self._state = EXCHANGE
        record = Record(stopwatch(), b"", b"", listener.routes.only, listener.nobody)
        self._reject(refusal, record, b"", keep=False)

    def _reject(self, refusal: Refusal, record: Record, method: bytes, *, keep: bool) -> None:
        record.error(refusal.name)
        self.write(answer(refusal, upstream=record.name, close=not keep, with_body=method != b"HEAD"))
        record.end(stopwatch(), KINDS[refusal.name].status, access=self._listener.access)
        self.finished(keep=keep)

    def _check_cut(self) -> None:
        """Tell the exchange when the caller ended before its body did, once all that came has been passed on."""
        body = self._body
        if self._ended and not self._buffer and body is not None and not body.done and self._exchange is not None:
            self._exchange.body_malformed("the connection ended in the middle of the request body")

    def _read_bytes(self, data: bytes) -> None:
        """Body bytes to the exchange, if it wants them; the rest waits."""
        body = self._body
        if body is None or body.done or not self._body_wanted or self._body_paused:
            self._buffer = self._buffer + data if self._buffer else data
            self._set_reading()
            return
        self._feed(body, data)

    def _feed(self, body: Body, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        try:
            pieces = body.feed(data)
        except BadMessage as error:
            exchange.body_malformed(str(error))
            return
        if body.done:
            self._buffer = body.rest
        if pieces:
            exchange.body_pieces(pieces)
        if body.done and self._exchange is exchange:
            exchange.body_end()

    # The connection itself.

    def _who(self) -> Peer:
        """Whose connection this is. It cannot become another one's, so the system is asked once."""
        if self._peer is None:
            self._peer = peer_of(self._transport.get_extra_info("socket")) if self._transport is not None else NOBODY
        return self._peer

    def _may_use(self, upstream: Upstream) -> bool:
        return is_admitted(upstream.peers, self._who())

    def _enter(self, state: State, seconds: float) -> None:
        self._state = state
        self._unsent = _NOT_LOOKED_AT
        self.deadline = self._listener.loop.time() + seconds

    def _unsent_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _set_reading(self) -> None:
        """Read from the socket while there is use or room for what comes."""
        waiting_body = self._body is not None and not self._body.done and self._body_paused
        reading = (
            len(self._buffer) <= _BUFFER and not waiting_body and not (self._state is TUNNEL and self._body_paused)
        )
        # After its end there is nothing to read, and to ask for more would report the end once again.
        if self._ended or reading is self._reading or self._transport is None:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _linger(self) -> None:
        """Close once the answer has gone out, reading past what still comes (RFC 9112 §9.6)."""
        transport = self._transport
        if transport is None:
            return
        self._buffer = b""
        self._enter(LINGER, LINGER_SECONDS)
        self._set_reading()
        if self._ended or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()
