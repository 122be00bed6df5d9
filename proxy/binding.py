"""Binding a listener, TCP or unix socket, the same way for callers and for the admin pages.

A socket file that a dead process left is replaced; one that somebody listens on, or a file of another kind,
never is. On the way out only the file that was made here is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import Protocol

from aiohttp import web

from proxy.errors import StartError


class Binding:
    """One listening socket of an aiohttp runner; for a unix socket `unix` is its path."""

    def __init__(self, runner: web.BaseRunner, port: int, unix: str) -> None:
        self._runner = runner
        self.port = port
        """The real one, where 0 asked for a free port; 0 for a unix socket."""
        self._unix = unix
        self._inode = _inode(unix) if unix else None

    async def stop(self) -> None:
        """Stop accepting; connections stay. May be called again."""
        for site in [*self._runner.sites]:
            await site.stop()
        # Not a file that another process has put in its place.
        if self._unix and self._inode is not None and _inode(self._unix) == self._inode:
            with contextlib.suppress(OSError):
                os.unlink(self._unix)
        self._inode = None


class Address(Protocol):
    """As `proxy.config.model.Address`."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def unix(self) -> str: ...


async def bind(runner: web.BaseRunner, address: Address, key: str) -> Binding:
    """Let `runner`, which has been set up, accept at an address.

    Raises StartError, one line with `key`, the address and the reason.
    """
    try:
        if address.unix:
            _make_way(address.unix)
            await web.UnixSite(runner, address.unix).start()
            return Binding(runner, 0, address.unix)
        await web.TCPSite(runner, address.host, address.port, backlog=1024).start()
    except OSError as error:
        raise StartError(f"{key}: cannot listen on {address}: {_reason(error)}") from None
    return Binding(runner, runner.addresses[0][1], "")


def _reason(error: OSError) -> str:
    """What the system says, without what asyncio writes around it. The codes of a failed look-up are not errnos."""
    number = error.errno or 0
    text = os.strerror(number) if number > 0 else error.strerror or str(error)
    return text[:1].lower() + text[1:]


def _make_way(path: str) -> None:
    """Remove a socket file that nobody listens on. Raises OSError where there is anything else."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # A listener whose queue is full is a listener.
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
