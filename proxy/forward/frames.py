"""Where a WebSocket's frames begin and end (RFC 6455 §5.2), for whoever has to put one of its own between two.

Only headers are looked at, of a server's frames, which are not masked. What they carry is neither copied nor kept,
so that following a stream costs next to nothing. A control frame may stand between the fragments of a message
(§5.4). A Close among them breaks the message, though, and some clients take that for an error, so that the end of a
message is the better place.
"""

from __future__ import annotations

from typing import Final

from proxy.forward.body import Piece

GOING_AWAY: Final = b"\x88\x02\x03\xe9"
"""A server's Close frame with status 1001: it is shutting down (§7.4.1)."""

_CLOSE: Final = 0x8
_CONTROL: Final = 0x8
"""The bit of an opcode that makes its frame a control frame."""
_FIN: Final = 0x80
"""The bit of a frame that is its message's last."""
_KNOWN: Final = frozenset((0x0, 0x1, 0x2, _CLOSE, 0x9, 0xA))
_USUAL: Final = frozenset(byte for byte in range(256) if byte & 0x0F < 3 or byte & 0x8F in (0x89, 0x8A))
"""First bytes of frames of which nothing but the length is of interest."""
_MOST: Final = 4096
"""Frames in one read, a millisecond's work. One who sends more, and smaller ones, is not followed any further."""
_LENGTH_BYTES: Final = {126: 2, 127: 8}


class Frames:
    """Follows one direction from its first byte. `lost` once what came was no frame: then no boundary is known."""

    __slots__ = ("_begun", "_left", "_unfinished", "closed", "lost")

    def __init__(self) -> None:
        self._left = 0
        """Bytes of the present frame's payload that are still to come."""
        self._begun = b""
        """A header of which the rest is still to come."""
        self._unfinished = False
        """More fragments of a message are to come."""
        self.lost = False
        self.closed = False
        """A Close frame began: nothing may follow it (§5.5.1)."""

    @property
    def between(self) -> bool:
        """The last byte that came was a frame's last, or none has come yet."""
        return not (self._left or self._begun or self.lost)

    @property
    def whole(self) -> bool:
        """The same of a message's frames."""
        return self.between and (self.closed or not self._unfinished)

    def follow(self, data: Piece) -> None:
        """Go past bytes that have come."""
        at, size = 0, len(data)
        while at < size and not self.lost:
            if not self._left and not self._begun:
                at = self._skip_usual(data, at, size)
                if at >= size or self.lost:
                    self._left = at - size
                    return
            at = self._go_on(data, at)

    def _skip_usual(self, data: Piece, at: int, size: int) -> int:
        """Go past frames whose headers are short and all here; where the last of them ends, perhaps beyond the data."""
        for _ in range(_MOST):
            if at >= size - 3 or (first := data[at]) not in _USUAL:
                return at
            length = data[at + 1]
            if length < 126:
                at += 2 + length
            elif length == 126 and not first & _CONTROL and (length := data[at + 2] << 8 | data[at + 3]) > 125:
                at += 4 + length
            else:
                return at
            if not first & _CONTROL:
                self._unfinished = first < _FIN
        self.lost = at < size
        return at

    def end(self, data: Piece, *, whole: bool = False) -> int | None:
        """How many of these bytes the present frame still takes; None where it takes them all and goes on.

        `whole`: the same of the present message.
        """
        at = 0
        while not (ended := self.whole if whole else self.between) and not self.lost and at < len(data):
            at = self._go_on(data, at)
        return at if ended else None

    def _go_on(self, data: Piece, at: int) -> int:
        """Take the rest of a payload, or else a header, from `at` on; where that ended."""
        if self._left:
            taken = min(self._left, len(data) - at)
            self._left -= taken
            return at + taken
        begun = len(self._begun)
        header = self._begun + bytes(data[at : at + 10 - begun])
        length = self._header_length(header)
        if len(header) < length:
            self._begun = header
            return len(data)
        self._begun = b""
        self._read(header[:length])
        return at + length - begun

    @staticmethod
    def _header_length(header: bytes) -> int:
        if len(header) < 2:
            return 2
        return 2 + _LENGTH_BYTES.get(header[1], 0)

    def _read(self, header: bytes) -> None:
        first, size = header[0], header[1]
        fits = size < 126  # More is a mask's bit, as a client's frames have it.
        if len(header) > 2:
            size = int.from_bytes(header[2:], "big")
            # §5.2: in as few bytes as will do, and the highest bit is 0.
            fits = (126 if len(header) == 4 else 0x10000) <= size < 1 << 63
        opcode = first & 0x0F
        broken_control = opcode & _CONTROL and not (first & _FIN and size < 126)
        self.lost = self.closed or not fits or opcode not in _KNOWN or bool(broken_control)
        self._left = size
        if not opcode & _CONTROL:
            self._unfinished = first < _FIN
        self.closed = self.closed or opcode == _CLOSE
