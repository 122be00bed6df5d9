"""Opens connections to one upstream: name, TCP, TLS. Names are looked up anew each time, all addresses tried."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final

from aiohappyeyeballs import start_connection

from proxy.config.model import Upstream
from proxy.errors import Refusal
from proxy.forward.connection import Owner, UpstreamConnection
from proxy.forward.secure import CutOffError, TlsSessions, TlsTransport
from proxy.tls import TlsFileError, client_context, fingerprint, server_hostname

_NEXT_ADDRESS_SECONDS: Final = 0.25


class Connector:
    """Makes one upstream's connections."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self._url = upstream.url
        self._tls = upstream.tls
        self._loop = loop
        self._seconds = float(upstream.timeouts.connect)
        self._context: ssl.SSLContext | None = None
        self._loaded: tuple[object, ...] = ()
        self._sessions = TlsSessions()

    async def connect(self, owner: Owner) -> UpstreamConnection:
        """One connection, ready for a request. Raises Refusal (`upstream_unreachable`), which says why in words."""
        connection = UpstreamConnection(owner)
        try:
            async with asyncio.timeout(self._seconds):
                await self._open(connection)
        except Exception as error:  # noqa: BLE001  (whatever it is, the requests that wait must hear of it)
            raise Refusal("upstream_unreachable", f"{self._url.origin}: {self._in_words(error)}") from None
        return connection

    async def _open(self, connection: UpstreamConnection) -> None:
        url, loop = self._url, self._loop
        secure: TlsTransport | None = None
        if url.scheme == "https":
            # Before there is a socket: what fails here would leave it open.
            name = server_hostname(self._tls, url.host)
            secure = TlsTransport(connection, self._tls_context(), name, self._sessions)
        addresses = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        # RFC 8305: the next address is tried when one takes its time, and the first that answers wins.
        connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1)
        await loop.create_connection(lambda: secure or connection, sock=connected)
        if secure is None:
            return
        try:
            await secure.ready
        except BaseException:
            secure.abort()
            raise

    def _tls_context(self) -> ssl.SSLContext:
        """Made when it is first needed, and again when a file of it has changed: certificates are renewed on disk."""
        tls = self._tls
        found = fingerprint(tls.ca_file, tls.cert_file, tls.key_file)
        if self._context is None or found != self._loaded:
            try:
                self._context = client_context(tls, replace_trust=True)
            except TlsFileError:
                if self._context is None:
                    raise
                # Half-written files: what was read before is still good, and this is tried again next time.
                return self._context
            self._loaded = found
        return self._context

    def _in_words(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"no connection within {self._seconds:g} s"
            case socket.gaierror():
                return "its name does not resolve"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {error.verify_message}"
            case ssl.SSLError():
                return f"TLS failed: {error.reason or 'the handshake was cut off'}"
            case CutOffError():
                return "TLS failed: the handshake was cut off"
            case ConnectionRefusedError():
                return "the connection was refused"
            case TlsFileError():
                return str(error)
            case OSError():
                return error.strerror or type(error).__name__
            case _:
                return f"the connection failed ({type(error).__name__})"
