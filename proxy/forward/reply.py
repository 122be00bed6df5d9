"""The answer of one request on its way to the caller: framed for this caller, its head with the first of its body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from proxy.forward.body import Piece
from proxy.forward.door import Caller
from proxy.forward.fields import ResponseShape, response_head
from proxy.forward.http1 import RequestHead, ResponseHead

_JOINED: Final = 64 * 1024
"""Up to so many bytes are joined into one write."""
ToLocal = Callable[[bytes], bytes]
"""Maps a Location of the upstream's to where this caller has to ask for it."""
_INTERIM: Final = ResponseShape(chunked=False, close=False)


class Reply:
    """Writes one answer; `head` is the request's. It holds nothing of the exchange, so that both go when they end."""

    __slots__ = ("_bodiless", "_caller", "_chunked", "_head", "_http11", "keep", "only_reset_shows", "status")

    def __init__(self, caller: Caller, head: RequestHead) -> None:
        self._caller = caller
        self._http11 = head.minor == 1
        self._bodiless = head.method == b"HEAD"
        self._head = b""
        """A head that waits for the first bytes of its body, to leave with them."""
        self._chunked = False
        self.keep = head.keeps_connection
        """The caller's connection is of use after this answer."""
        self.status = 0
        """0 as long as nothing of the final head is decided."""
        self.only_reset_shows = False
        """The answer's end is the connection's end, so a cut must look different."""

    def interim(self, head: ResponseHead, to_local: ToLocal) -> None:
        """Pass a 1xx on; HTTP/1.0 knows none (RFC 9110 §15.2)."""
        if self._http11:
            self._caller.write(response_head(head, _INTERIM, to_local))

    def begin(self, head: ResponseHead, to_local: ToLocal, *, closing: bool) -> None:
        """Make the final head, which leaves with the first bytes of its body, or by `flush`."""
        self.status = head.status
        bodiless = self._bodiless or head.status in (204, 304)
        unknown_length = not bodiless and (head.chunked or head.length is None)
        self._chunked = unknown_length and self._http11
        self.only_reset_shows = unknown_length and not self._chunked
        if self.only_reset_shows or closing:
            self.keep = False
        self._head = response_head(head, ResponseShape(self._chunked, not self.keep), to_local)

    def whole(self, content: bytes) -> None:
        """All of the content in one go, its length declared by the head."""
        if len(content) > _JOINED:
            self._write((content,))
        else:
            self._caller.write(self._head + content)
            self._head = b""

    def pieces(self, pieces: Sequence[Piece]) -> None:
        """Content, as it comes."""
        if not self._chunked:
            self._write(pieces)
            return
        framed: list[Piece] = []
        for piece in pieces:
            framed += (b"%x\r\n" % len(piece), piece, b"\r\n")
        self._write(framed)

    def flush(self) -> None:
        """Send a head whose body is not here yet."""
        if self._head:
            self._write(())

    def end(self) -> None:
        """The answer is whole."""
        self._write((b"0\r\n\r\n",) if self._chunked else ())

    def _write(self, pieces: Sequence[Piece]) -> None:
        """Write, the waiting head first, in one write where that costs no large copy."""
        if self._head:
            pieces = (self._head, *pieces)
            self._head = b""
        if sum(map(len, pieces)) > _JOINED:
            for piece in pieces:
                self._caller.write(piece)
        elif pieces:
            self._caller.write(b"".join(pieces))
