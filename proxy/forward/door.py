"""What the caller's side and the rest of `forward` may ask of each other. Types only."""

from __future__ import annotations

from typing import Protocol

from proxy.forward.body import Piece


class Caller(Protocol):
    """The caller's connection, as an exchange or a tunnel uses it (see `proxy.forward.caller`)."""

    @property
    def writable(self) -> bool:
        """The caller takes what is written to it; if not, `caller_ready` is called when it does again."""

    def read_body(self) -> None:
        """Give the request body from now on; what has arrived comes before this returns."""

    def pause_body(self) -> None:
        """Back-pressure: the upstream does not take the body, or the tunnel's bytes, as fast as they come."""

    def resume_body(self) -> None:
        """The opposite of `pause_body`."""

    def write(self, data: Piece) -> None:
        """Send bytes of the answer."""

    def write_eof(self) -> None:
        """End this side of a tunnel."""

    def begin_tunnel(self, tunnel: Served) -> None:
        """All bytes are the tunnel's from now on, those that wait here first."""

    @property
    def known(self) -> bool:
        """An answer of an upstream's was passed on whole before, on this connection."""

    def finished(self, *, keep: bool, served: bool = False) -> None:
        """The answer is written whole. `keep`: another request may follow, if this one's body was read whole.
        `served`: it was an upstream's."""

    def cut(self, *, reset: bool) -> None:
        """The answer cannot be finished: end it so that it shows. `reset`: where only a reset shows it."""


class Served(Protocol):
    """What a caller's connection is busy with: an exchange, later perhaps a tunnel."""

    def body_pieces(self, pieces: list[Piece]) -> None:
        """Content of the request, or a tunnel's bytes."""

    def body_end(self) -> None:
        """The request body is whole, or the caller has ended its half of a tunnel."""

    def body_malformed(self, why: str) -> None:
        """The request body is not acceptable HTTP, or ended before it was whole."""

    def caller_slow(self) -> None:
        """Back-pressure on the answer."""

    def caller_ready(self) -> None:
        """The opposite of `caller_slow`."""

    def caller_gone(self) -> None:
        """The caller's connection is lost."""

    def leave(self) -> None:
        """The sidecar stops: end soon, as far as that can be said to the caller."""

    def cut_off(self) -> None:
        """The time to drain is over: end now, visibly."""
