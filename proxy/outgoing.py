"""One HTTP call now and then, through aiohttp's client: to a token endpoint once an hour, and what `doctor` asks.

The client is held to one purpose: no redirect is followed, no cookie kept, no proxy setting of the environment read,
nothing decompressed beyond a bound, one connection for each call, and all of it ends in time. aiohttp's errors quote
the request: whoever calls must put them in words, and keep none of them.

An egress proxy's tunnel is opened before the client begins. aiohttp's own way by a proxy hands it requests for plain
http whole, so that its answer could pass for the endpoint's, and it does not tell the proxy's failures from the
endpoint's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from proxy.config.model import Proxy, Tls, Url
from proxy.egress import EgressError, hand_over, no_answer, open_tunnel
from proxy.lookup import NUMERIC, look_up
from proxy.secret import unshown
from proxy.tls import client_context, fingerprint, server_hostname

LONGEST_BODY = 64 * 1024
"""Bytes of an answer's body, before and after decompression."""
_HEADERS: Final = {"User-Agent": "cognito-sidecar", "Accept-Encoding": "identity"}


class _Head(NamedTuple):
    """What a response head may have at most."""

    fields: int
    longest: int
    """Bytes of a field, and of the status line."""


_SMALL_HEAD: Final = _Head(64, 8190)
_LARGE_HEAD: Final = _Head(4096, 64 * 1024)


@unshown
class Reply(NamedTuple):
    """What came back. Its body may hold a token."""

    status: int
    headers: Mapping[str, str]
    """By names that know no case; of a field that came twice the first."""
    body: bytes | None
    """Unpacked; None where it is too large or cannot be unpacked."""


def _any_status(_: int) -> bool:
    return True


class Outgoing:
    """Calls of one host."""

    def __init__(
        self,
        url: Url,
        tls: Tls,
        *,
        proxy: Proxy | None = None,
        extra_ca_file: str | None = None,
        replace_trust: bool = False,
        large_heads: bool = False,
    ) -> None:
        """`extra_ca_file` is trusted in addition; `replace_trust` as in `proxy.tls.client_context`. `large_heads` takes
        response heads that the sidecar would pass on; else there are 64 fields of 8 KiB at most."""
        self._url = url
        self._tls = tls
        self._proxy = proxy
        self._extra_ca_file = extra_ca_file
        self._replace_trust = replace_trust
        self._head = _LARGE_HEAD if large_heads else _SMALL_HEAD
        self._context: ssl.SSLContext | None = None
        self._loaded: tuple[object, ...] = ()

    async def call(
        self,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        seconds: float,
        path: str | None = None,
        reads: Callable[[int], bool] = _any_status,
    ) -> Reply:
        """One call, of the URL or of another `path` (with its query) on its host.

        The body of an answer is read where `reads` says so of its status. Raises TimeoutError, EgressError,
        TlsFileError, OSError, ssl.SSLError and aiohttp's errors.
        """
        tunnel: asyncio.Transport | None = None
        proxy = self._proxy
        try:
            async with asyncio.timeout(seconds):
                if proxy is not None:
                    ca_file = self._tls.ca_file or self._extra_ca_file
                    tunnel = await open_tunnel(proxy, self._url.host, self._url.port, extra_ca_file=ca_file)
                return await self._call(method, path, headers, body, tunnel, reads)
        except TimeoutError:
            if proxy is not None and tunnel is None:
                raise EgressError(no_answer(proxy, seconds)) from None
            raise
        finally:
            if tunnel is not None:
                tunnel.abort()

    async def _call(
        self,
        method: str,
        path: str | None,
        headers: Mapping[str, str],
        body: bytes | None,
        tunnel: asyncio.Transport | None,
        reads: Callable[[int], bool],
    ) -> Reply:
        context = self.tls_context()
        name = server_hostname(self._tls, self._url.host) if context is not None else None
        connector: aiohttp.BaseConnector
        if tunnel is None:
            connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False, resolver=_Resolver())
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
            max_headers=self._head.fields,
            max_line_size=self._head.longest,
            max_field_size=self._head.longest,
        ) as session:
            async with session.request(
                method,
                URL(str(self._url) if path is None else self._url.origin + path, encoded=True),
                data=body,
                headers={**_HEADERS, **headers},
                allow_redirects=False,
                ssl=context or True,
                server_hostname=name,
            ) as response:
                if not reads(response.status):
                    return Reply(response.status, response.headers, b"")
                content = await _read(response.content)
                coding = response.headers.get("Content-Encoding", "").strip().lower()
                return Reply(response.status, response.headers, unpack(content, coding))

    def tls_context(self) -> ssl.SSLContext | None:
        """What https is spoken with, None for plain http. Raises TlsFileError.

        Made when first needed, and again when one of its files has changed: certificates are renewed on disk.
        """
        if self._url.scheme != "https":
            return None
        tls = self._tls
        found = fingerprint(tls.ca_file, tls.cert_file, tls.key_file, self._extra_ca_file)
        if self._context is None or found != self._loaded:
            self._context = client_context(tls, replace_trust=self._replace_trust, extra_ca_file=self._extra_ca_file)
            self._loaded = found
        return self._context


class _Resolver(AbstractResolver):
    """Finds names for aiohttp's client as they are found for everybody."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=NUMERIC)
            for kind, _, proto, _, address in await look_up(host, port)
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is kept."""


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
    """TLS with the other end of a tunnel; its errors are raised here, as ssl says them."""
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
