"""Header fields on their way through (RFC 9110 §7.6): which stay on their hop, which are set here. Pure.

Everything else goes through untouched: order, case, repetition, bytes. Heads leave as one block of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.config.model import Upstream
from proxy.forward.http1 import RequestHead, ResponseHead
from proxy.secret import Secret

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""RFC 9110 §7.6.1."""
_PROXY = b"proxy-"
"""Every field that begins like this is between a proxy and its neighbour."""

_REQUEST_DROPS = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
# Expect was dealt with here: the sidecar itself says 100 (see `proxy.forward.exchange`).

_RESPONSE_DROPS = HOP_BY_HOP | {b"x-sidecar-error"}
_LENGTHLESS_DROPS = _RESPONSE_DROPS | {b"content-length"}
_LOCATIONS = frozenset((b"location", b"content-location"))
_ABSOLUTE = re.compile(rb"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?//([^/?#]*)(.*)", re.DOTALL)
_PORT = re.compile(rb":([0-9]*)\Z")
_BEFORE_QUERY = re.compile(rb"[?#]")
_VIA = b"Via: 1.1 cognito-sidecar\r\n"


class RequestRules(NamedTuple):
    """What one upstream does to a request's fields, as prepared bytes."""

    host_line: bytes
    """Without its CRLF."""
    drops: frozenset[bytes]
    """Names, in lower case, that do not go on."""
    lines: Secret[bytes]
    """The configured fields and Via, as lines."""
    auth_begins: bytes
    """The credential's line up to the token."""
    base_path: bytes
    origin: bytes
    """Scheme and authority of the upstream, in lower case."""


def make_rules(upstream: Upstream, key_name: bytes) -> RequestRules:
    """The rules of an upstream; `key_name`, in lower case, is the key that callers show to the sidecar alone."""
    auth, changes = upstream.auth, upstream.headers
    gone = {auth.header, *changes.remove, *changes.set}
    lines = b"".join(f"{name}: ".encode() + value.reveal().encode() + b"\r\n" for name, value in changes.set.items())
    return RequestRules(
        f"Host: {upstream.url.authority}".encode(),
        _REQUEST_DROPS | {name.lower().encode() for name in gone} | ({key_name} if key_name else set()),
        Secret(lines + _VIA),
        f"{auth.header}: {auth.scheme} ".encode() if auth.scheme else f"{auth.header}: ".encode(),
        upstream.url.path.encode(),
        upstream.url.origin.encode(),
    )


def request_head(head: RequestHead, target: bytes, rules: RequestRules, *, websocket: bool) -> bytes:
    """The head that goes to the upstream, up to the credential, which comes last; `target` is final."""
    drops = rules.drops
    if not head.connection <= drops:
        drops = drops | head.connection
    lines = [b"%b %b HTTP/1.1\r\n%b" % (head.method, target, rules.host_line)]
    lines += [
        line for name, line in zip(head.names, head.lines, strict=True) if name not in drops and name[:6] != _PROXY
    ]
    if websocket:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    if head.length is None:
        lines.append(b"Transfer-Encoding: chunked")
    elif head.length or b"content-length" in head.named:
        lines.append(b"Content-Length: %d" % head.length)
    lines.append(rules.lines.reveal())
    return b"\r\n".join(lines)


class ResponseShape(NamedTuple):
    """How a response goes on to the caller."""

    chunked: bool
    """Its framing is made here, chunk by chunk."""
    close: bool
    """Say that the connection closes after this message."""


def response_head(head: ResponseHead, shape: ResponseShape, to_local: Callable[[bytes], bytes]) -> bytes:
    """The head that goes to the caller; `to_local` maps a Location."""
    # A response without a body of its own may have had any length declared (RFC 9110 §8.6).
    drops = _LENGTHLESS_DROPS if head.status == 204 or head.status < 200 or head.chunked else _RESPONSE_DROPS
    if not head.connection <= drops:
        drops = drops | (head.connection - {b"content-length"})
    lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason)]
    lines += [
        line for name, line in zip(head.names, head.lines, strict=True) if name not in drops and name[:6] != _PROXY
    ]
    if not _LOCATIONS.isdisjoint(head.named):
        lines = [_mapped(line, to_local) for line in lines]
    if shape.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if head.status == 101:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    elif shape.close:
        lines.append(b"Connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def _mapped(line: bytes, to_local: Callable[[bytes], bytes]) -> bytes:
    """A field line, its value mapped where it is a location of the upstream's."""
    name, _, value = line.partition(b":")
    if name.lower() not in _LOCATIONS:
        return line
    place = value.strip()
    local = to_local(place)
    return line if local == place else b"%b: %b" % (name, local)


def _place(authority: bytes, default: bytes) -> tuple[bytes, bytes]:
    """Host and port; a port that is not there, or empty, is the default one."""
    port = _PORT.search(authority)
    return (authority[: port.start()], port[1] or default) if port else (authority, default)


class Locations(NamedTuple):
    """From the upstream's URLs to the listener's, for Location and Content-Location."""

    origin: bytes
    """The upstream's scheme and authority."""
    base_path: bytes
    """The upstream's, without a slash at the end."""
    prefix: bytes
    """The listener's path for this upstream, without a slash at the end."""
    local_origin: bytes
    """Scheme and authority by which the caller reached the listener."""

    def to_local(self, value: bytes) -> bytes:
        """`value` as the caller has to ask for it, where it points below the upstream's base URL; else as it came."""
        absolute = _ABSOLUTE.match(value)
        if absolute is None:
            path = self._below_base(value) if value[:1] == b"/" else None
            if path is None:
                return value
            local = self.prefix + path
            # Two slashes at the beginning would make a host of the first segment (RFC 3986 §4.2).
            return self.local_origin + local if local[:2] == b"//" else local
        scheme, authority, reference = absolute.groups()
        path = self._below_base(reference) if self._is_origin(scheme, authority) else None
        if path is None:
            return value
        local_origin = self.local_origin if scheme else self.local_origin[self.local_origin.index(b"//") :]
        return local_origin + self.prefix + path

    def _is_origin(self, scheme: bytes | None, authority: bytes) -> bool:
        """Whether this is the upstream's origin; without a scheme it is the upstream's (RFC 3986 §6.2.3)."""
        own_scheme, _, own_authority = self.origin.partition(b"://")
        default = b"443" if own_scheme == b"https" else b"80"
        same_place = _place(authority.lower(), default) == _place(own_authority, default)
        return same_place and (scheme or own_scheme).lower() == own_scheme

    def _below_base(self, reference: bytes) -> bytes | None:
        """`reference`, a path with what follows it, without the base path; None where it is not below that."""
        path = _BEFORE_QUERY.split(reference, maxsplit=1)[0]
        if any(unquote_to_bytes(segment).partition(b";")[0] in (b".", b"..") for segment in path.split(b"/")):
            return None  # Where it leads is for the caller to resolve, not to guess here.
        if not reference.startswith(self.base_path):
            return None
        rest = reference[len(self.base_path) :]
        if rest[:1] == b"/":
            return rest
        return b"/" + rest if rest[:1] in (b"", b"?", b"#") else None
