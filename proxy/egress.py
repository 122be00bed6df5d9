"""Tunnels through an egress proxy by CONNECT (RFC 9110 §9.3.6), for upstream connections and token calls alike.

Which proxy is `proxy.config.egress`'s to say. Nothing that the proxy answers leaves this file but a status and
the standard's own words for it, and no credential is in any error: a caller may read all of them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from http import HTTPStatus
from typing import Final, cast

import httptools
from aiohappyeyeballs import start_connection

from proxy.config.model import Proxy, Tls
from proxy.lookup import look_up
from proxy.secret import Secret
from proxy.tls import TlsFileError, client_context, server_hostname

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of the proxy's answer."""
_NEXT_ADDRESS_SECONDS: Final = 0.25


class EgressError(ConnectionError):
    """There is no tunnel. The text is a whole sentence about the proxy, without its credentials."""


async def connected_socket(host: str, port: int) -> socket.socket:
    """A TCP connection. Raises OSError.

    The name is looked up anew. RFC 8305: the next address is tried when one takes its time, the first to answer wins.
    """
    return await start_connection(await look_up(host, port), happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1)


async def open_tunnel(proxy: Proxy, host: str, port: int, *, extra_ca_file: str | None = None) -> asyncio.Transport:
    """A transport whose other end is `host`, for `hand_over`. Raises EgressError, and then leaves nothing open.

    It waits for as long as it is let: who calls limits that, and says `no_answer`. `extra_ca_file` is trusted, besides
    the system's authorities, for the certificate of an https proxy.
    """
    asking = _Asking(proxy, host, port)
    try:
        await _connect(proxy, asking, extra_ca_file)
        return await asking.answered
    except Exception as error:  # noqa: BLE001  (every error is put in words)
        asking.abort()
        failure = EgressError(_in_words(error, proxy))
    except BaseException:
        asking.abort()
        raise
    # Outside of the handler, so that no other error is kept as this one's context.
    raise failure


def no_answer(proxy: Proxy, seconds: float) -> str:
    """What to say when `open_tunnel` took longer than it may."""
    return f"the egress proxy {proxy} did not answer within {seconds:g} s"


def hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
    """Give a tunnel to the protocol that is to use it. Raises EgressError for one that has ended meanwhile."""
    if transport.is_closing():
        # The protocol would never hear of it.
        raise EgressError("the egress proxy closed the tunnel")
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.resume_reading()


async def _connect(proxy: Proxy, asking: _Asking, extra_ca_file: str | None) -> None:
    context: ssl.SSLContext | None = None
    name: str | None = None
    if proxy.scheme == "https":
        # Before there is a socket: what fails here would leave it open.
        tls = Tls()
        context = client_context(tls, replace_trust=False, extra_ca_file=extra_ca_file)
        name = server_hostname(tls, proxy.host)
    loop = asyncio.get_running_loop()
    sock = await connected_socket(proxy.host, proxy.port)
    await loop.create_connection(lambda: asking, sock=sock, ssl=context, server_hostname=name)


class _Asking(asyncio.Protocol):
    """Asks for the tunnel. `answered` gives the transport, with reading paused, or raises EgressError."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self._proxy = proxy
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        fields = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", "User-Agent: cognito-sidecar"]
        if proxy.authorization is not None:
            fields.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
        self._request = Secret("\r\n".join((*fields, "", "")).encode("ascii"))
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._status = 0
        """Of the final answer."""
        self._end = 0
        """Where the last head ends. A tunnel begins there, whatever the head says of a body (RFC 9110 §9.3.6)."""
        self.answered: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.answered.cancel()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it
        self._transport.write(self._request.reveal())

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        self._received += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # What follows is not for the parser.
        except httptools.HttpParserError:
            self._fail("did not answer in acceptable HTTP")
            return
        if len(self._received) > HEAD_LIMIT:
            self._fail("answered with more than 64 KiB")
        elif self._status:
            self._judge()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answered.done():
            self._fail("closed the connection without an answer")

    # What the parser calls.

    def on_headers_complete(self) -> None:
        if self._status:
            return  # the head of another answer
        if not self._received.startswith(b"HTTP/1.", self._end):
            raise ValueError("another version, or something before this head: the parser minds neither")
        self._end = self._received.find(b"\r\n\r\n", self._end) + 4
        status = self._parser.get_status_code()
        if status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
            self._status = status

    def _judge(self) -> None:
        if not HTTPStatus.OK <= self._status < HTTPStatus.MULTIPLE_CHOICES:
            # Not the proxy's own words for it: they may repeat what was sent.
            self._fail(f"refused the tunnel: {self._status} {_phrase(self._status)}".rstrip())
        elif self._end < len(self._received):
            # The other end does not speak first, so this would be taken for its answer and is the proxy's.
            self._fail("said more than that the tunnel is open")
        elif self._transport is not None:
            self._transport.pause_reading()
            self.answered.set_result(self._transport)

    def _fail(self, what: str) -> None:
        self.answered.set_exception(EgressError(f"the egress proxy {self._proxy} {what}"))
        self.answered.exception()  # Whoever waited may have given up just now: then nobody is to hear of it.


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _in_words(error: Exception, proxy: Proxy) -> str:
    named = f"the egress proxy {proxy}"
    match error:
        case EgressError():
            return str(error)
        case socket.gaierror():
            return f"the name of {named} does not resolve"
        case ssl.SSLCertVerificationError():
            return f"the certificate of {named} is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS to {named} failed: {error.reason or 'the handshake was cut off'}"
        case TlsFileError():
            return f"TLS to {named} failed: {error}"
        case ConnectionRefusedError():
            return f"{named} refused the connection"
        case OSError():
            return f"there is no connection to {named}: {error.strerror or type(error).__name__}"
        case _:
            return f"the connection to {named} failed ({type(error).__name__})"
