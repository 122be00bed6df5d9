"""What a peer had said before its connection broke, and nobody has read.

A server that wants no more of a request's body answers, closes, and has the system reset the connection when more of
the body comes. An event loop that writes finds the connection broken and gives it up; the answer is still there to be
read.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

_PART: Final = 64 * 1024


def unread(transport: asyncio.BaseTransport) -> bytes:
    """All that is left in the socket, for a `connection_lost` that was given an error: until that returns, the socket
    is open. Nothing more can come, so this is no more than the system's receive buffer."""
    sock = transport.get_extra_info("socket")
    parts = []
    try:
        while sock is not None and (data := os.read(sock.fileno(), _PART)):
            parts.append(data)
    except OSError:
        pass  # There is nothing more, or the system has thrown it away.
    return b"".join(parts)
