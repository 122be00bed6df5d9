"""The body of one request on its way to the upstream, and as much of it as may be sent again."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.forward.body import Piece
from proxy.forward.connection import UpstreamConnection


class Upload:
    """Frames what it is given for the upstream, and keeps it while it is no larger than `keep_limit` bytes."""

    __slots__ = ("_chunked", "_keep_limit", "_kept", "done", "size")

    def __init__(self, *, chunked: bool, done: bool, keep_limit: int) -> None:
        self._chunked = chunked
        self._keep_limit = keep_limit
        self._kept: list[bytes] | None = []
        self.done = done
        """The caller has sent all of it."""
        self.size = 0
        """Bytes so far."""

    @property
    def repeatable(self) -> bool:
        """All that has come so far is kept."""
        return self._kept is not None

    def take(self, pieces: list[Piece]) -> None:
        """Content has arrived from the caller."""
        self.size += sum(map(len, pieces))
        if self.size > self._keep_limit:
            self._kept = None
        if self._kept is not None:
            self._kept += map(bytes, pieces)

    def send(self, connection: UpstreamConnection, pieces: Sequence[Piece]) -> None:
        """Write content to the upstream."""
        for piece in pieces:
            # In one piece: over TLS each write is a record of its own.
            connection.write(b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")) if self._chunked else piece)

    def send_kept(self, connection: UpstreamConnection) -> None:
        """Write again what has come so far."""
        if self._kept:
            self.send(connection, self._kept)

    def send_end(self, connection: UpstreamConnection) -> None:
        """Say to the upstream that the request is whole."""
        if self._chunked:
            connection.write(b"0\r\n\r\n")
        connection.request_sent = True
