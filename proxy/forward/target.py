"""Request targets (RFC 9112 §3.2): which form, which path, and whether its spelling can be trusted. Pure.

Where a prefix, a base path or an `allow` rule is in force, a path must mean the same to everyone who reads
it. One that another reader would take for something else is refused; no path is ever rewritten, because
what is forwarded is what the caller wrote, byte for byte.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.forward.http1 import BadMessage
from proxy.secret import unshown

_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)", re.DOTALL)
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%\-]*)(?::([0-9]{0,5}))?\Z")

_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_~!$&'()*+,=:@\-][A-Za-z0-9_~!$&'()*+,=:@.\-]*)*/?\Z")
"""The great majority of paths: no percent, no semicolon, no segment that begins with a dot, nothing odd."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ENCODED_SEPARATOR = re.compile(rb"%(?:2[Ff]|5[Cc])")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
# What no UTF-8 encoder writes: two to six bytes where fewer would do.
_OVERLONG = re.compile(rb"[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]|\xf8[\x80-\x87]|\xfc[\x80-\x83]")


@unshown
class Target(NamedTuple):
    """A request target taken apart."""

    authority: bytes | None
    """Of the absolute form; None for the others."""
    path: bytes
    """As written; `*` for the asterisk form."""
    query: bytes
    """As written, with its question mark; empty for none."""


def split_target(target: bytes, method: bytes) -> Target:
    """Take a target apart. Raises BadMessage for a form that this method may not have."""
    if target[:1] == b"/":
        path, mark, query = target.partition(b"?")
        return Target(None, path, mark + query)
    if target == b"*":
        if method != b"OPTIONS":
            raise BadMessage("the target `*` is for OPTIONS only")
        return Target(None, target, b"")
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise BadMessage("the target is neither a path nor an absolute URL")
    scheme, authority, rest = absolute.groups()
    if scheme.lower() != b"http":
        raise BadMessage("an absolute target must be an http URL of this listener")
    if rest[:1] == b"#":
        raise BadMessage("the target has a fragment in the place of its path")
    path, mark, query = rest.partition(b"?")
    if not path:
        # OPTIONS of a bare origin is `*` to the next server (RFC 9112 §3.2.4).
        path = b"*" if method == b"OPTIONS" and not mark else b"/"
    return Target(authority, path, mark + query)


@lru_cache(maxsize=64)
def split_authority(authority: bytes) -> bytes:
    """The host of `host[:port]`, in lower case, an IPv6 address with its brackets. Raises BadMessage."""
    match = _HOST.match(authority)
    if match is None:
        raise BadMessage("the host is malformed")
    return match[1].lower()


def check_spelling(path: bytes) -> None:
    """Refuse a path that another reader may take for another one. Raises BadMessage, naming the reason."""
    if _PLAIN.match(path):
        return
    if b"#" in path:
        raise BadMessage("the path holds a `#`")
    if b"\\" in path or _ENCODED_SEPARATOR.search(path):
        raise BadMessage("the path holds a backslash, or a slash or backslash in percent-encoding")
    if _BROKEN_ESCAPE.search(path):
        raise BadMessage("the path holds a broken percent-encoding")
    decoded = unquote_to_bytes(path)
    if _CONTROL.search(decoded):
        raise BadMessage("the path holds a control character in percent-encoding")
    if _OVERLONG.search(decoded):
        raise BadMessage("the path holds an overlong UTF-8 sequence")
    for segment in decoded.split(b"/"):
        if segment.partition(b";")[0] in (b".", b".."):
            raise BadMessage("the path holds a `.` or `..` segment")


def below_prefix(path: bytes, prefix: bytes) -> bytes | None:
    """What is left of `path` once `prefix` is taken off on a path boundary; None where it is not below it.

    `prefix` is "" for `/`. The prefix itself is the upstream's root.
    """
    if not prefix:
        return path
    if not path.startswith(prefix):
        return None
    rest = path[len(prefix) :]
    if not rest:
        return b"/"
    return rest if rest[:1] == b"/" else None
