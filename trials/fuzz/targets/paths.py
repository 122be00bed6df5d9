"""Request targets: no spelling of a path leaves the space that base path and `allow` leave to callers.

Input: `METHOD target`, as in a request line.

Oracle: what passes is read again by readers that exist in the world and differ (one resolves dots after decoding, one
takes a backslash for a slash, one drops `;parameters`, one decodes overlong UTF-8, one stops at NUL, one at `#`, one
merges slashes). Each of them must find itself below the base path, and where an `allow` rule lets it be. And what is
forwarded is what the caller wrote below the prefix, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.config.model import Address, Allow
from proxy.forward.admission import Rejection, admit
from proxy.forward.guard import make_guard
from proxy.forward.http1 import BadMessage, parse_request_head
from proxy.forward.routes import Routes
from tests.forward.make import upstream


class Space(NamedTuple):
    """What one upstream leaves to callers."""

    prefix: str = "/"
    base: str = ""
    allow: tuple[Allow, ...] = ()


_RULES = (
    Allow(methods=("GET", "HEAD"), paths=("/orders/**", "/items/*", "/reports/*.pdf", "/a/**/z")),
    Allow(methods=(), paths=("/health", "/v*/pets/*/")),
)
SPACES: Final = (
    Space(),
    Space(prefix="/api"),
    Space(base="/dev"),
    Space(allow=_RULES),
    Space(prefix="/api", base="/dev/v1", allow=_RULES),
)
_GUARD = make_guard(Address("127.0.0.1", 8080), allow_browsers=False, key=None)
_ROUTES = [Routes([upstream(prefix=space.prefix, path=space.base, allow=space.allow)]) for space in SPACES]
_LINE = re.compile(rb"[!-~]+ [^\x00-\x20\x7f]+")

# ------------------------------------------------------------------------------------------------------ the readers


def _decoded(path: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes((int(found[1], 16),)), path)


_OVERLONG: Final = (  # of "." and "/", in two, three and four bytes
    (re.compile(rb"\xc0\xae|\xe0\x80\xae|\xf0\x80\x80\xae"), b"."),
    (re.compile(rb"\xc0\xaf|\xe0\x80\xaf|\xf0\x80\x80\xaf"), b"/"),
)


def _without_overlong(path: bytes) -> bytes:
    for pattern, meant in _OVERLONG:
        path = pattern.sub(meant, path)
    return path


def _without_parameters(path: bytes) -> bytes:
    return b"/".join(segment.partition(b";")[0] for segment in path.split(b"/"))


READERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "decodes, then resolves": _decoded,
    "resolves, then decodes": lambda path: _decoded(b"/".join(_resolved(path))),
    "takes a backslash for a slash": lambda path: _decoded(path).replace(b"\\", b"/"),
    "drops parameters, then decodes": lambda path: _decoded(_without_parameters(path)),
    "decodes, then drops parameters": lambda path: _without_parameters(_decoded(path)),
    "decodes overlong UTF-8": lambda path: _without_overlong(_decoded(path)),
    "stops at NUL": lambda path: _decoded(path).partition(b"\0")[0],
    "stops at #": lambda path: _decoded(path.partition(b"#")[0]),
    "merges slashes": lambda path: re.sub(rb"/+", b"/", _decoded(path)),
}


def _resolved(path: bytes) -> list[bytes]:
    """RFC 3986 §5.2.4, on segments."""
    out: list[bytes] = []
    first, *segments = path.split(b"/")
    for index, segment in enumerate(segments):
        if segment == b"..":
            out = out[:-1]
        elif segment != b".":
            out.append(segment)
            continue
        if index == len(segments) - 1:
            out.append(b"")
    return [first, *out]


def _pattern(pattern: str) -> re.Pattern[bytes]:
    """An `allow` pattern as a regular expression for a whole decoded path."""
    parts = []
    for segment in pattern.split("/")[1:]:
        within = "[^/]*".join(re.escape(part) for part in segment.split("*"))
        parts.append("(?:/[^/]*)*" if segment == "**" else "/[^/]+" if segment == "*" else f"/{within}")
    return re.compile("".join(parts).encode() + rb"\Z", re.DOTALL)


_COMPILED: Final = [(rule.methods, [_pattern(one) for one in rule.paths]) for rule in _RULES]


def _may(method: bytes, path: bytes) -> bool:
    return any(
        (not methods or method.decode() in methods) and any(pattern.match(path) for pattern in patterns)
        for methods, patterns in _COMPILED
    )


# ---------------------------------------------------------------------------------------------------------- the check


def check(data: bytes) -> None:
    if not _LINE.fullmatch(data):
        return  # That is no request line: for the target `heads`.
    method, _, target = data.partition(b" ")
    try:
        head = parse_request_head(data + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    except BadMessage:
        return
    for space, routes in zip(SPACES, _ROUTES, strict=True):
        admission = admit(head, _GUARD, routes, draining=False)
        if not isinstance(admission, Rejection):
            line = admission.outgoing.reveal().partition(b"\r\n")[0].split(b" ")
            assert line[0] == method
            _judge(space, method, _origin_form(method, target), line[1])


def _origin_form(method: bytes, target: bytes) -> bytes:
    """A target without scheme and authority; those of another listener never get here."""
    if target[:1] == b"/" or target == b"*":
        return target
    assert re.match(rb"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]*)?(?:[/?]|\Z)", target, re.IGNORECASE)
    rest = re.sub(rb"\A[^:]+://[^/?]*", b"", target)
    return rest if rest[:1] == b"/" else b"*" if method == b"OPTIONS" and not rest else b"/" + rest


def _judge(space: Space, method: bytes, asked: bytes, forwarded: bytes) -> None:
    prefix, base = space.prefix.rstrip("/").encode(), space.base.encode()
    path, mark, query = asked.partition(b"?")
    assert path.startswith(prefix), "it is not below the prefix"
    below = path[len(prefix) :] or b"/"
    assert below[:1] == b"/" or (below == b"*" and not prefix and not base), "the prefix ends within a segment"
    assert forwarded == base + below + mark + query, "not what the caller wrote"
    if space == SPACES[0] or below == b"*":
        return  # Nothing is decided by this path.
    for name, read in READERS.items():
        meant = b"/".join(_resolved(read(forwarded.partition(b"?")[0])))
        assert meant == base or meant.startswith(base + b"/"), f"a reader that {name} is led out of the base path"
        if space.allow:
            assert _may(method, meant[len(base) :]), f"a reader that {name} is led past the rules"
