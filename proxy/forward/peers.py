"""Who is at the other end of a unix socket, and which of them an upstream serves. The rule is pure.

The system vouches for both: the user and groups that the process had when it connected. A process that handed its
connection on, or has changed its user since, keeps what it came with.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable
from platform import machine
from typing import Final, NamedTuple, Protocol

from proxy.config.model import Peers
from proxy.errors import Refusal

_UCRED: Final = struct.Struct("iII")
"""Process, user and group (unix(7), SO_PEERCRED)."""
_PEERGROUPS: Final = 59
"""SO_PEERGROUPS, Linux 4.13: all groups of the peer. Python has no name for it, and these machines another number."""
_OTHER_NUMBER: Final = ("parisc", "sparc")
_MOST: Final = 1024
"""Bytes that Python takes from getsockopt: 256 groups."""


class Peer(NamedTuple):
    """A process by its rights."""

    uid: int
    gids: frozenset[int]


NOBODY: Final = Peer(-1, frozenset())
"""One that the system does not vouch for. It is on no list."""


class Options(Protocol):
    """The part of a socket that is needed here: event loops show no more of one."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


def peer_of(connection: Options | None) -> Peer:
    """Who is at the other end; NOBODY where the system does not say."""
    if sys.platform != "linux" or connection is None:
        return NOBODY
    try:
        _, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except (OSError, struct.error):
        return NOBODY
    if uid == gid == 2**32 - 1:  # What Linux says of a socket that is no unix socket.
        return NOBODY
    return Peer(uid, frozenset((gid, *_more_groups(connection))))


def _more_groups(connection: Options) -> tuple[int, ...]:
    """The supplementary ones. An older kernel, or more of them than can be read, leaves the peer with its first."""
    if machine().startswith(_OTHER_NUMBER):
        return ()
    try:
        found = connection.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _MOST)
    except OSError:
        return ()
    return struct.unpack(f"{len(found) // 4}I", found)


def check_peer(peer: Peer, lists: Iterable[Peers | None]) -> None:
    """Raise Refusal (`caller_denied`) for a peer that none of the lists lets in."""
    if not any(is_admitted(peers, peer) for peers in lists):
        raise Refusal("caller_denied", _DENIED)


_DENIED: Final = "the caller's user is not let in: list it, or one of its groups, in `allow_peers`"


def is_admitted(peers: Peers | None, peer: Peer) -> bool:
    """Whether an upstream serves a peer: its user is listed, or one of its groups. None serves everybody."""
    return peers is None or peer.uid in peers.uids or not peer.gids.isdisjoint(peers.gids)
