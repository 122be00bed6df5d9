"""A name, a connection, TLS: as far as one gets to a host, by the straight way or by an egress proxy."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from datetime import UTC, datetime
from typing import Any, Final

from proxy.clock import Clock, stopwatch
from proxy.config.model import Proxy, Tls, Url
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.egress import EgressError, connected_socket, hand_over, no_answer, open_tunnel
from proxy.tls import TlsFileError, server_hostname

_SOON_DAYS: Final = 14
_SHOWN: Final = 3
"""Addresses of a name that are listed."""
_CERTIFICATES: Final = {
    **dict.fromkeys((9, 10), "certificate_expired"),
    **dict.fromkeys((62, 64), "certificate_other_name"),
}
"""OpenSSL's X509_V_ERR numbers; all others are about who signed it."""
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL calls bytes that are no TLS record."""


async def reach(
    who: str, url: Url, tls: Tls, context: ssl.SSLContext | None, proxy: Proxy | None, seconds: float, clock: Clock
) -> list[Finding]:
    """Go as far towards `url` as is possible; the last finding is a failure where it is not all the way.

    `who` begins each step's name, `context` is None for plain http, `seconds` limits each step.
    """
    loop = asyncio.get_running_loop()
    findings: list[Finding] = []
    near = (proxy.host, proxy.port) if proxy is not None else (url.host, url.port)
    step = f"{who}: name"
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(*near, type=socket.SOCK_STREAM)
    except TimeoutError:
        return [fail(step, f"{near[0]}: no answer from DNS within {seconds:g} s", "name_not_found")]
    except (OSError, UnicodeError):
        return [fail(step, f"{near[0]} does not resolve", "name_not_found")]
    addresses = [*dict.fromkeys(str(entry[4][0]) for entry in found)]
    more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
    if addresses != [near[0]]:
        findings.append(ok(step, f"{near[0]} is {', '.join(addresses[:_SHOWN])}{more}"))

    step, began = f"{who}: connection", stopwatch()
    try:
        async with asyncio.timeout(seconds):
            transport = await _connect(loop, url, proxy, tls)
    except TimeoutError:
        if proxy is not None:
            return [*findings, fail(step, no_answer(proxy, seconds), "proxy_failed")]
        return [*findings, fail(step, f"{near[0]}:{near[1]}: no answer within {seconds:g} s", "no_connection")]
    except EgressError as error:
        return [*findings, fail(step, str(error), "proxy_failed")]
    except OSError as error:
        # Not asyncio's text around it. Where several addresses fail in different ways there is no number.
        why = os.strerror(error.errno).lower() if error.errno else "no connection"
        return [*findings, fail(step, f"{near[0]}:{near[1]}: {why}", "no_connection")]
    by_way = f" by way of the egress proxy {proxy}" if proxy is not None else ""
    findings.append(ok(step, f"{url.host}:{url.port}{by_way} in {(stopwatch() - began) * 1000:.0f} ms"))
    try:
        if context is not None:
            findings += await _secure(f"{who}: TLS", transport, context, server_hostname(tls, url.host), seconds, clock)
    finally:
        transport.abort()
    return findings


async def _connect(loop: asyncio.AbstractEventLoop, url: Url, proxy: Proxy | None, tls: Tls) -> asyncio.Transport:
    if proxy is None:
        sock = await connected_socket(url.host, url.port)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=sock)
        return transport
    tunnel = await open_tunnel(proxy, url.host, url.port, extra_ca_file=tls.ca_file)
    hand_over(tunnel, asyncio.Protocol())
    return tunnel


async def _secure(
    step: str, transport: asyncio.Transport, context: ssl.SSLContext, name: str, seconds: float, clock: Clock
) -> list[Finding]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            secured = await loop.start_tls(transport, asyncio.Protocol(), context, server_hostname=name)
    except TimeoutError:
        return [fail(step, f"no handshake within {seconds:g} s", "tls_failed")]
    except (OSError, TlsFileError) as error:
        return [_failed(step, error)]
    assert secured is not None  # noqa: S101  (typeshed: as if the loop could be one that has no TLS)
    session = secured.get_extra_info("ssl_object")
    days = days_left(session.getpeercert(), clock.read().wall)
    secured.abort()
    if days is not None and days < _SOON_DAYS:
        left = "a day" if days == 1 else f"{days} days"
        return [warn(step, f"{session.version()}, the certificate ends in {left}", "certificate_ends_soon")]
    until = "" if days is None else f", the certificate is good for {days} days"
    return [ok(step, f"{session.version()} with {name}{until}")]


def _failed(step: str, error: OSError | TlsFileError) -> Finding:
    """Why there was no handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        name = _CERTIFICATES.get(error.verify_code, "certificate_untrusted")
        return fail(step, f"the certificate is not accepted: {error.verify_message.rstrip('.')}", name)
    reason = getattr(error, "reason", None) or "the handshake was cut off"
    name = "no_tls" if reason in _NO_TLS else "tls_failed"
    return fail(step, f"TLS failed: {reason.replace('_', ' ').lower()}", name)


def days_left(certificate: dict[str, Any] | None, now: float) -> int | None:
    """Whole days until a certificate (as `getpeercert` gives it) ends; None where it does not say."""
    text = (certificate or {}).get("notAfter")
    if text is None:
        return None
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
    return (end - datetime.fromtimestamp(now, UTC)).days
