"""The way to the token endpoint through aiohttp's client: one connection for each call, once an hour or so.

The client is held to one purpose: no redirect is followed, no cookie kept, no proxy setting of the
environment read, nothing decompressed beyond a bound, and all of it ends within `request_timeout`. aiohttp's
errors quote the request, so none of them leaves this file, not even as the cause of another.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from typing import Final

import aiohttp
from yarl import URL

from proxy.config.model import Auth, Tls
from proxy.errors import TokenError
from proxy.tls import TlsFileError, client_context, fingerprint, server_hostname
from proxy.tokens.endpoint import BODY_STATUSES, Answer

LONGEST_BODY = 64 * 1024
"""Bytes of an answer's body, before and after decompression."""
_HEADERS: Final = {"User-Agent": "cognito-sidecar", "Accept-Encoding": "identity"}


class HttpTransport:
    """POSTs to one token URL."""

    def __init__(self, auth: Auth, *, extra_ca_file: str | None = None) -> None:
        self._url = URL(str(auth.token_url), encoded=True)
        self._host = auth.token_url.host
        self._secure = auth.token_url.scheme == "https"
        self._timeout = float(auth.request_timeout)
        self._tls = auth.tls
        # An upstream behind a private CA often has its token endpoint behind the same one.
        self._extra_ca_file = extra_ca_file if auth.tls == Tls() else None
        self._context: ssl.SSLContext | None = None
        self._loaded: tuple[object, ...] = ()

    async def post(self, headers: dict[str, str], body: bytes) -> Answer:
        """See `proxy.tokens.endpoint.Transport`."""
        failure: TokenError
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(headers, body)
        except Exception as error:  # noqa: BLE001  (every error is put in words, and none may be quoted)
            failure = describe(error, self._timeout)
        # Outside of the handler, so that the library's error is not kept as this one's context.
        raise failure

    async def _post(self, headers: dict[str, str], body: bytes) -> Answer:
        connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False)
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
                ssl=self._tls_context() if self._secure else True,
                server_hostname=server_hostname(self._tls, self._host) if self._secure else None,
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
