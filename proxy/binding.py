"""Binding a listener, TCP or unix socket, the same way for callers and for the admin pages."""

from __future__ import annotations

import os
import socket
from asyncio import get_running_loop
from typing import Protocol

from aiohttp import web

from proxy import socketfile
from proxy.errors import StartError
from proxy.socketfile import Access, SocketFile

_BACKLOG = 1024


class Address(Protocol):
    """As `proxy.config.model.Address`."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def unix(self) -> str: ...
    @property
    def access(self) -> Access: ...


class Binding:
    """One listening socket of an aiohttp runner; `file` is a unix socket's."""

    def __init__(self, runner: web.BaseRunner, address: Address, port: int = 0, file: SocketFile | None = None) -> None:
        self._runner = runner
        self._address = address
        self.port = port
        """The real one, where 0 asked for a free port; 0 for a unix socket."""
        self._file = file

    def permit(self, access: Access, key: str) -> None:
        """Change who may connect to a unix socket; connections stay. Raises StartError, one line with `key`."""
        if self._file is not None:
            try:
                self._file.permit(access)
            except OSError as error:
                raise StartError(f"{key}: cannot set owner and mode of {self._address}: {_reason(error)}") from None

    async def stop(self) -> None:
        """Stop accepting; connections stay. May be called again."""
        for site in [*self._runner.sites]:
            await site.stop()
        file, self._file = self._file, None
        if file is not None:
            file.remove()


class _UnixSite(web.BaseSite):
    """aiohttp's UnixSite for a socket that is bound already. Its SockSite would serve that one as TCP."""

    def __init__(self, runner: web.BaseRunner, bound: socket.socket) -> None:
        super().__init__(runner, backlog=_BACKLOG)
        self._bound = bound

    @property
    def name(self) -> str:
        return f"http://unix:{self._bound.getsockname()}:"

    async def start(self) -> None:
        await super().start()
        server = self._runner.server
        assert server is not None, "the runner has been set up"  # noqa: S101 - as aiohttp's own sites
        self._server = await get_running_loop().create_unix_server(server, sock=self._bound, backlog=self._backlog)


async def bind(runner: web.BaseRunner, address: Address, key: str) -> Binding:
    """Let `runner`, which has been set up, accept at an address.

    Raises StartError, one line with `key`, the address and the reason.
    """
    try:
        if address.unix:
            bound, file = socketfile.make(address.unix, address.access)
            try:
                await _UnixSite(runner, bound).start()
            except BaseException:
                bound.close()
                file.remove()
                raise
            return Binding(runner, address, file=file)
        await web.TCPSite(runner, address.host, address.port, backlog=_BACKLOG).start()
    except OSError as error:
        raise StartError(f"{key}: cannot listen on {address}: {_reason(error)}") from None
    return Binding(runner, address, runner.addresses[0][1])


def _reason(error: OSError) -> str:
    """What the system says, without what asyncio writes around it. The codes of a failed look-up are not errnos."""
    number = error.errno or 0
    text = os.strerror(number) if number > 0 else error.strerror or str(error)
    return text[:1].lower() + text[1:]
