"""TLS over an asyncio transport, for upstream connections: RFC 8446 by OpenSSL, through memory.

asyncio's own TLS, and uvloop's, end every read by an exception that says that there is nothing more, which
costs as much as the decryption of a small answer. This one looks before it reads again. It also keeps the
session for the next connection, and tells a connection that was closed from one that was cut off: without
the peer's close_notify the end of input is an error.
"""

from __future__ import annotations

import asyncio
import ssl
from math import inf
from typing import Final, cast

from proxy.forward.body import Piece
from proxy.forward.leftover import unread

_ASK_AGAIN: Final = 300.0
"""Seconds. Each look at a session costs some kilobytes for good: CPython's `SSLObject.session` does not free them."""
_RECORD: Final = 16 * 1024
"""The most plain text that one TLS record holds."""


class CutOffError(ConnectionError):
    """The connection ended without TLS's own end: what came may not be all."""


class TlsSessions:
    """What one upstream's connections remember of each other: the last session, to be resumed."""

    def __init__(self) -> None:
        self.last: ssl.SSLSession | None = None
        self.context: ssl.SSLContext | None = None
        """The one that the session belongs to; with another it cannot be used."""
        self._asked: ssl.SSLContext | None = None
        self._asked_at = -inf

    def wanted(self, context: ssl.SSLContext, now: float) -> bool:
        """Whether to look, at `now` (event loop's time), at the session of a connection that resumed none."""
        if context is self._asked and now - self._asked_at < _ASK_AGAIN:
            return False
        self._asked, self._asked_at = context, now
        return True

    def of(self, context: ssl.SSLContext) -> ssl.SSLSession | None:
        return self.last if context is self.context else None

    def keep(self, context: ssl.SSLContext, session: ssl.SSLSession | None) -> None:
        if session is not None and session.has_ticket:
            self.last, self.context = session, context


class TlsTransport(asyncio.Protocol, asyncio.Transport):
    """A protocol to the TCP transport below, a transport to the protocol above.

    Awaiting `ready` gives nothing, or raises what the handshake ended with (ssl.SSLError, OSError). Only then
    is the protocol above told of its connection.
    """

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, server_name: str, sessions: TlsSessions
    ) -> None:
        super().__init__()
        self._protocol = protocol
        self._context = context
        self._sessions = sessions
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name, session=sessions.of(context)
        )
        self._below: asyncio.Transport | None = None
        self._open = False
        """The protocol above knows of its connection, and has not been told that it is lost."""
        self._reading = True
        self._closing = False
        self._whole = False
        """The peer's close_notify has come: all that it sent is here."""
        self._has_read = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What the TCP transport below calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._below = cast(asyncio.Transport, transport)
        if not self.ready.done():
            self._handshake()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self._open:
            if self._reading:
                self._read()
        elif not self.ready.done():
            self._handshake()

    def eof_received(self) -> bool:
        # Now, not when the transport below has closed: until then this connection would look fit for use.
        self._lost(CutOffError("cut off without close_notify"))
        self.abort()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and self._open and self._below is not None:
            self._reading = True  # Nobody can ask for the rest later.
            self.data_received(unread(self._below))
        self._below = None
        self._lost(None if self._whole else error)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    # What the protocol above calls.

    def write(self, data: Piece | bytearray) -> None:
        below = self._below
        if below is None or self._closing or not data:
            return
        view: Piece | bytearray = data
        while (sent := self._tls.write(view)) < len(view):
            view = memoryview(view)[sent:]
        below.write(self._outgoing.read())

    def pause_reading(self) -> None:
        self._reading = False
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        if self._reading or self._below is None:
            return
        self._reading = True
        self._below.resume_reading()
        # Later, as any transport would: whoever calls may have older bytes that it has yet to deal with.
        asyncio.get_running_loop().call_soon(self._read_what_waits)

    def can_write_eof(self) -> bool:
        """TLS can end one direction, but servers take its close_notify for the end of both."""
        return False

    def get_write_buffer_size(self) -> int:
        return 0 if self._below is None else self._below.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._closing or self._below is None

    def close(self) -> None:
        """What has been written goes out, and then close_notify. What still comes is not read."""
        below = self._below
        if below is None or self._closing:
            return
        self._closing = True
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # The peer has not said its own good-bye yet, and this does not wait for it.
        self._flush()
        below.close()

    def abort(self) -> None:
        self._closing = True
        if self._below is not None:
            self._below.abort()

    # Between the two.

    def _handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()  # The alert tells the peer why.
            self._lost(error.with_traceback(None))  # That would lead back here, and keep all this from being freed.
            self._closing = True
            if self._below is not None:
                self._below.close()
            return
        self._flush()
        self.ready.set_result(None)
        self._open = True
        self._protocol.connection_made(self)
        self._read_what_waits()

    def _lost(self, error: Exception | None) -> None:
        """Tell whoever is to be told, once."""
        if not self.ready.done():
            self.ready.set_exception(error or CutOffError("closed during the handshake"))
            self.ready.exception()  # Whoever waited may have gone just now: then nobody is to hear of it.
        elif self._open:
            self._open = False
            self._protocol.connection_lost(error)

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._below is not None:
            self._below.write(data)

    def _read_what_waits(self) -> None:
        if self._open and self._reading and (self._incoming.pending or self._tls.pending()):
            self._read()

    def _read(self) -> None:
        """Give what has arrived, without asking for a record that is not there.

        All of it at once: a protocol that has read the end of a message must see what else came with it, before it
        takes the connection for free.
        """
        if not self._has_read:
            self._has_read = True
            asyncio.get_running_loop().call_soon(self._keep_session)
        tls, incoming = self._tls, self._incoming
        records = []
        error: ssl.SSLError | None = None
        try:
            while data := tls.read(_RECORD):
                records.append(data)
                if not incoming.pending and not tls.pending():
                    break
            else:
                self._whole = True  # close_notify
        except ssl.SSLWantReadError:
            pass  # Part of a record, or one without content.
        except ssl.SSLError as broken:
            error = broken.with_traceback(None)  # Its frame is this one, which knows the error.
        self._flush()  # An answer to a record without content, or an alert.
        if records:
            self._protocol.data_received(records[0] if len(records) == 1 else b"".join(records))
        if self.is_closing():
            return
        if error is not None:
            self._lost(error)
            self.abort()
        elif self._whole:
            self._protocol.eof_received()
            self.close()

    def _keep_session(self) -> None:
        """A server's tickets come before, or with, the first that it says (RFC 8446 §4.6.1)."""
        if not self._tls.session_reused and self._sessions.wanted(self._context, asyncio.get_running_loop().time()):
            self._sessions.keep(self._context, self._tls.session)
