"""Opens connections to one upstream: name, TCP, TLS. Names are looked up anew each time, all addresses tried."""

from __future__ import annotations

import asyncio
import socket
import ssl

from proxy.config.model import Upstream
from proxy.errors import Refusal
from proxy.forward.connection import Owner, UpstreamConnection
from proxy.tls import TlsFileError, client_context, fingerprint, server_hostname


class Connector:
    """Makes one upstream's connections."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self._url = upstream.url
        self._tls = upstream.tls
        self._loop = loop
        self._seconds = float(upstream.timeouts.connect)
        self._context: ssl.SSLContext | None = None
        self._loaded: tuple[object, ...] = ()

    async def connect(self, owner: Owner) -> UpstreamConnection:
        """One connection, ready for a request. Raises Refusal (`upstream_unreachable`), which says why in words."""
        url = self._url
        secure = url.scheme == "https"
        try:
            async with asyncio.timeout(self._seconds):
                _, connection = await self._loop.create_connection(
                    lambda: UpstreamConnection(owner),
                    url.host,
                    url.port,
                    ssl=self._tls_context() if secure else None,
                    server_hostname=server_hostname(self._tls, url.host) if secure else None,
                )
        except Exception as error:  # noqa: BLE001  (whatever it is, the requests that wait must hear of it)
            raise Refusal("upstream_unreachable", f"{url.origin}: {self._in_words(error)}") from None
        return connection

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
            case ConnectionRefusedError():
                return "the connection was refused"
            case TlsFileError():
                return str(error)
            case OSError():
                return error.strerror or type(error).__name__
            case _:
                return f"the connection failed ({type(error).__name__})"
