"""Host names to addresses, each name on a thread of its own.

A lookup cannot be ended: where a name server says nothing, it goes on long after whoever asked has given up. The event
loop has few threads for lookups (uvloop two), and while they are taken nobody finds any other name: one upstream whose
name cannot be found would keep all others from being reached, and their tokens from being renewed. So there is one
thread for each name that is looked up just now, and nothing is kept for later.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from threading import Thread
from typing import Any, Final, NamedTuple

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` gives it."""

NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
"""The flags of what need not be looked up."""


class _Place(NamedTuple):
    loop: asyncio.AbstractEventLoop
    host: str
    port: int


_Found = list[Address] | OSError

_running: Final[dict[_Place, asyncio.Future[_Found]]] = {}


async def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a name, the best first; whoever asks while it is looked up is told the same. Raises OSError."""
    if _is_number(host):
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=NUMERIC)]
    place = _Place(asyncio.get_running_loop(), host, port)
    if place not in _running:
        found = _running[place] = place.loop.create_future()
        # A daemon: the process must not wait for it at its end.
        thread = Thread(target=_ask, args=(place, found), name=f"look up {host}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            del _running[place]
            raise OSError("the system has no thread for a lookup just now") from None
    answer = await asyncio.shield(_running[place])
    if isinstance(answer, OSError):
        raise type(answer)(*answer.args)  # each who waits gets one of their own
    return answer


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _ask(place: _Place, found: asyncio.Future[_Found]) -> None:
    """On the thread."""
    answer: _Found
    try:
        answer = [*socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)]
    except OSError as error:
        answer = error
    except ValueError:  # a label that is too long, or empty
        answer = socket.gaierror(socket.EAI_NONAME, "no name server could be asked for it")
    try:
        place.loop.call_soon_threadsafe(_told, place, found, answer)
    except RuntimeError:
        _running.pop(place, None)  # the loop was closed meanwhile


def _told(place: _Place, found: asyncio.Future[_Found], answer: _Found) -> None:
    del _running[place]
    found.set_result(answer)
