"""Opens connections to one upstream: name, TCP, an egress proxy's tunnel where there is one, TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from functools import partial

from proxy.config.model import Egress, Upstream
from proxy.egress import EgressError, connected_socket, hand_over, no_answer, open_tunnel
from proxy.errors import Refusal
from proxy.forward.connection import Owner, UpstreamConnection
from proxy.forward.secure import CutOffError, TlsSessions, TlsTransport
from proxy.tls import TlsFileError, client_context, fingerprint, server_hostname, tls_failed


class Connector:
    """Makes one upstream's connections."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self._url = upstream.url
        self._tls = upstream.tls
        self._proxy = (upstream.egress_proxy or Egress()).upstream
        self._loop = loop
        self._seconds = float(upstream.timeouts.connect)
        self._context: ssl.SSLContext | None = None
        self._loaded: tuple[object, ...] = ()
        self._sessions = TlsSessions()

    async def connect(self, owner: Owner) -> UpstreamConnection:
        """One connection, ready for a request. Raises Refusal (`upstream_unreachable`), which says why in words."""
        connection = UpstreamConnection(owner)
        url, proxy, tunnel = self._url, self._proxy, None
        try:
            async with asyncio.timeout(self._seconds):
                if proxy is not None:
                    tunnel = await open_tunnel(proxy, url.host, url.port, extra_ca_file=self._tls.ca_file)
                await self._open(connection, tunnel)
        except Exception as error:  # noqa: BLE001  (whatever it is, the requests that wait must hear of it)
            if proxy is not None and tunnel is None and isinstance(error, TimeoutError):
                why = no_answer(proxy, self._seconds)
            else:
                why = self._in_words(error)
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                # The upstream has no part in this.
                raise Refusal("overloaded", "no file descriptor is left for a connection", retry_after=1) from None
            raise Refusal("upstream_unreachable", f"{url.origin}: {why}") from None
        return connection

    async def _open(self, connection: UpstreamConnection, tunnel: asyncio.Transport | None) -> None:
        url = self._url
        secure: TlsTransport | None = None
        try:
            if url.scheme == "https":
                # Before there is a socket: what fails here would leave it open.
                name = server_hostname(self._tls, url.host)
                secure = TlsTransport(connection, self._tls_context(), name, self._sessions)
            if tunnel is None:
                connected = await connected_socket(url.host, url.port)
                await self._loop.create_connection(partial(_itself, secure or connection), sock=connected)
            else:
                hand_over(tunnel, secure or connection)
            if secure is not None:
                await secure.ready
        except BaseException:
            if secure is not None:
                secure.abort()
            if tunnel is not None:
                tunnel.abort()
            # The error knows this frame and `ready` the error: in such a circle OpenSSL's many kilobytes would outlast
            # the attempt, as the garbage collector does not know how many they are.
            secure = None
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
            case EgressError():
                return str(error)
            case TimeoutError():
                return f"no connection within {self._seconds:g} s"
            case socket.gaierror() | UnicodeError():  # The second: a name that not even its encoding allows.
                return "its name does not resolve"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {error.verify_message}"
            case ssl.SSLError():
                return tls_failed(error)
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


def _itself(protocol: asyncio.Protocol) -> asyncio.Protocol:
    return protocol
