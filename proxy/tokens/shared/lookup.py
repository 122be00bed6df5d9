"""The engine's name, looked up on a thread of its own.

A lookup cannot be ended: where a name server says nothing, it goes on long after our time limit. The event loop has few
threads for lookups (uvloop two), and while they are taken by the engine's name nobody finds the token endpoint or an
upstream. So the engine's name has a thread of its own, one at a time, which nothing else waits for.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from threading import Thread
from typing import Final, NamedTuple


class _Place(NamedTuple):
    loop: asyncio.AbstractEventLoop
    host: str
    port: int


_Found = list[str] | OSError

_running: Final[dict[_Place, asyncio.Future[_Found]]] = {}


async def addresses(host: str, port: int) -> list[str]:
    """The addresses of a name, the best first; whoever asks while it is looked up is told the same. Raises OSError."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    place = _Place(asyncio.get_running_loop(), host, port)
    if place not in _running:
        found = place.loop.create_future()
        _running[place] = found
        # A daemon: the process must not wait for it at its end.
        thread = Thread(target=_look_up, args=(place, found), name="look up the token cache", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            del _running[place]
            raise OSError("the system has no thread for a lookup just now") from None
    answer = await asyncio.shield(_running[place])
    if isinstance(answer, OSError):
        raise OSError(str(answer))
    return answer


def _look_up(place: _Place, found: asyncio.Future[_Found]) -> None:
    """On the thread."""
    answer: _Found
    try:
        infos = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        answer = [*dict.fromkeys(str(info[4][0]) for info in infos)]
    except OSError as error:
        answer = error
    except ValueError:  # a name that no name server could be asked for
        answer = OSError("no host name")
    try:
        place.loop.call_soon_threadsafe(_told, place, found, answer)
    except RuntimeError:
        _running.pop(place, None)  # the loop was closed meanwhile


def _told(place: _Place, found: asyncio.Future[_Found], answer: _Found) -> None:
    del _running[place]
    found.set_result(answer)
