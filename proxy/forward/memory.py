"""Requests that came before, byte for byte, and what was decided of them. Pure but for what it remembers.

The scripts and programs that a sidecar serves say the same again and again: the same path with the same header.
Reading and judging such a head is a function of its bytes and of the listener's configuration, so its result
holds until that changes.
"""

from __future__ import annotations

from typing import Final

from proxy.forward.admission import Admission
from proxy.forward.http1 import RequestHead

MOST: Final = 256
"""Heads that are remembered; the oldest goes first."""
LARGEST: Final = 2048
"""Bytes of one."""
_PRIVATE: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))
"""What a caller may show of its own does not stay here."""

Known = tuple[RequestHead, Admission]


class Memory:
    """What one listener remembers."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def recall(self, data: bytes) -> Known | None:
        """A head with these bytes, and its admission."""
        return self._known.get(data)

    def keep(self, data: bytes, head: RequestHead, admission: Admission) -> None:
        """Remember a request by its head's bytes."""
        if len(data) > LARGEST or not _PRIVATE.isdisjoint(head.named):
            return
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[data] = head, admission

    def forget(self) -> None:
        """The configuration has changed."""
        self._known.clear()
