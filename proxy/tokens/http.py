"""The way to the token endpoint through aiohttp's client: one connection for each call, once an hour or so.

The client is held to one purpose: no redirect is followed, no cookie kept, no proxy setting of the
environment read, nothing decompressed beyond a bound, and all of it ends within `request_timeout`. aiohttp's
errors quote the request, so none of them leaves this file, not even as the cause of another.

An egress proxy's tunnel is opened before the client begins. aiohttp's own way by a proxy hands it requests for plain
http whole, so that its answer could pass for the endpoint's, and it does not tell the proxy's failures from the
endpoint's.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from proxy.config.model import Auth, Proxy, Tls
from proxy.egress import EgressError, hand_over, no_answer, open_tunnel
from proxy.errors import TokenError
from proxy.tls import TlsFileError, client_context, fingerprint, server_hostname
from proxy.tokens.endpoint import BODY_STATUSES, Answer

LONGEST_BODY = 64 * 1024
"""Bytes of an answer's body, before and after decompression."""
_HEADERS: Final = {"User-Agent": "cognito-sidecar", "Accept-Encoding": "identity"}


class HttpTransport:
    """POSTs to one token URL."""

    def __init__(self, auth: Auth, *, extra_ca_file: str | None = None, proxy: Proxy | None = None) -> None:
        self._url = URL(str(auth.token_url), encoded=True)
        self._host, self._port = auth.token_url.host, auth.token_url.port
        self._secure = auth.token_url.scheme == "https"
        self._timeout = float(auth.request_timeout)
        self._tls = auth.tls
        self._proxy = proxy
        # An upstream behind a private CA often has its token endpoint behind the same one.
        self._extra_ca_file = extra_ca_file if auth.tls == Tls() else None
        self._context: ssl.SSLContext | None = None
        self._loaded: tuple[object, ...] = ()

    async def post(self, headers: dict[str, str], body: bytes) -> Answer:
        """See `proxy.tokens.endpoint.Transport`."""
        failure: TokenError
        proxy, tunnel = self._proxy, None
        try:
            async with asyncio.timeout(self._timeout):
                if proxy is not None:
                    ca_file = self._tls.ca_file or self._extra_ca_file
                    tunnel = await open_tunnel(proxy, self._host, self._port, extra_ca_file=ca_file)
                return await self._post(headers, body, tunnel)
        except Exception as error:  # noqa: BLE001  (every error is put in words, and none may be quoted)
            if proxy is not None and tunnel is None and isinstance(error, TimeoutError):
                failure = TokenError("connection", no_answer(proxy, self._timeout))
            else:
                failure = describe(error, self._timeout)
        finally:
            if tunnel is not None:
                tunnel.abort()
        # Outside of the handler, so that the library's error is not kept as this one's context.
        raise failure

    async def _post(self, headers: dict[str, str], body: bytes, tunnel: asyncio.Transport | None) -> Answer:
        context = self._tls_context() if self._secure else None
        name = server_hostname(self._tls, self._host) if self._secure else None
        connector: aiohttp.BaseConnector
        if tunnel is None:
            connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False)
        else:
            if context is not None:
                tunnel = await _secured(tunnel, context, name)
            connector = _Tunnelled(tunnel)
        async with aiohttp.ClientSession(  # noqa: TID251  (this is the place)
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # ours covers it all
            auto_decompress=False,
            trust_env=False,
            max_headers=64,
        ) as session:
            async with session.post(
                self._url,
                data=body,
                headers=_HEADERS | headers,
                allow_redirects=False,
                ssl=context or True,
                server_hostname=name,
            ) as response:
                retry_after = response.headers.get("Retry-After")
                if response.status not in BODY_STATUSES:
                    return Answer(response.status, b"", retry_after)
                content = await _read(response.content)
                coding = response.headers.get("Content-Encoding", "").strip().lower()
                return Answer(response.status, unpack(content, coding), retry_after)

    def _tls_context(self) -> ssl.SSLContext:
        """Made when first needed, and again when one of its files has changed: certificates are renewed on disk."""
        tls = self._tls
        found = fingerprint(tls.ca_file, tls.cert_file, tls.key_file, self._extra_ca_file)
        if self._context is None or found != self._loaded:
            self._context = client_context(tls, replace_trust=False, extra_ca_file=self._extra_ca_file)
            self._loaded = found
        return self._context


class _Tunnelled(aiohttp.BaseConnector):
    """Gives aiohttp's client the one connection that is there already."""

    def __init__(self, tunnel: asyncio.Transport) -> None:
        super().__init__(force_close=True)
        self._tunnel = tunnel

    async def _create_connection(self, *_: object) -> ResponseHandler:
        # What aiohttp's own connectors override, and how they make their protocols.
        protocol = self._factory()
        hand_over(self._tunnel, protocol)
        return protocol


async def _secured(tunnel: asyncio.Transport, context: ssl.SSLContext, name: str | None) -> asyncio.Transport:
    """TLS with the token endpoint inside a tunnel; its errors are raised here, as ssl says them."""
    loop = asyncio.get_running_loop()
    secured = await loop.start_tls(tunnel, asyncio.Protocol(), context, server_hostname=name)
    assert secured is not None  # noqa: S101  (typeshed: as if the loop could be one that has no TLS)
    return secured


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    """The body, or None for more than LONGEST_BODY."""
    body = bytearray()
    while chunk := await content.read(LONGEST_BODY):
        body += chunk
        if len(body) > LONGEST_BODY:
            return None
    return bytes(body)


def unpack(body: bytes | None, coding: str) -> bytes | None:
    """Undo a Content-Encoding that was sent although none was asked for. None where that cannot be done."""
    if body is None or coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        return None
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, whichever it is
    try:
        plain = unpacker.decompress(body, LONGEST_BODY + 1)
    except zlib.error:
        return None
    return plain if unpacker.eof and len(plain) <= LONGEST_BODY else None


def describe(error: Exception, timeout: float) -> TokenError:
    """An error of the network or of aiohttp as one of ours, in words that quote nothing of the request."""
    match error:
        case EgressError():
            return TokenError("connection", str(error))
        case TimeoutError():
            return TokenError("timeout", f"the token endpoint did not answer within {timeout:g} s")
        case TlsFileError():
            # The client's own certificate is a credential; what it trusts is not.
            return TokenError("tls" if error.key == "ca_file" else "credentials", str(error))
        case aiohttp.ClientConnectorCertificateError():
            return TokenError("tls", _certificate_problem(error.certificate_error))
        case ssl.SSLCertVerificationError():
            return TokenError("tls", _certificate_problem(error))
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return TokenError("tls", "the TLS handshake with the token endpoint failed")
        case aiohttp.ClientConnectorDNSError():
            return TokenError("connection", "the token endpoint's name cannot be resolved")
        case aiohttp.ServerDisconnectedError():
            return TokenError("connection", "the token endpoint closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return TokenError("connection", "the token endpoint's answer broke off")
        case aiohttp.ClientResponseError():
            return TokenError("malformed_response", "the token endpoint's answer is not acceptable HTTP")
        case OSError():
            why = f" ({os.strerror(error.errno).lower()})" if error.errno and error.errno > 0 else ""
            return TokenError("connection", f"there is no connection to the token endpoint{why}")
        case _:
            return TokenError("connection", f"the call of the token endpoint failed ({type(error).__name__})")


def _certificate_problem(error: Exception) -> str:
    # OpenSSL's words for what is wrong with a certificate: from a fixed list, with the name we asked for at most.
    message = getattr(error, "verify_message", "")
    return "the token endpoint's certificate cannot be trusted" + (f": {message}" if message else "")
