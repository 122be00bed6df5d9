"""Who may use a listener, and for what: the caller's Host, Origin, key, and the `allow` rules. Pure.

The sidecar lends its credential to whoever reaches its socket. These checks keep web pages out (DNS
rebinding arrives with a foreign Host, a page's requests with Origin or Sec-Fetch-Site) and, where the
configuration says so, callers without the key and requests beyond the rules.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.config.model import Address, Allow, RequireHeader
from proxy.errors import Refusal
from proxy.forward.http1 import BadMessage, RequestHead
from proxy.forward.target import Target, split_authority
from proxy.secret import Secret

LOCAL_HOSTS = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))


class Guard(NamedTuple):
    """What a listener asks of every caller."""

    any_host: bool
    """Of a unix socket: no web page can reach it, so Host says nothing."""
    hosts: frozenset[bytes]
    """Accepted in Host whatever the upstream, in lower case."""
    allow_browsers: bool
    key_name: bytes
    """In lower case; empty for none."""
    key_value: Secret[bytes]


def make_guard(address: Address, allow_browsers: bool, key: RequireHeader | None) -> Guard:
    """The guard of one listener."""
    return Guard(
        bool(address.unix),
        LOCAL_HOSTS | _own_hosts(address.host),
        allow_browsers,
        key.name.lower().encode() if key else b"",
        Secret(key.value.reveal().encode() if key else b""),
    )


def _own_hosts(host: str) -> set[bytes]:
    """The listener's own address: that, unlike a name, is nothing a rebinding attacker could point here."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return set()
    if address.is_unspecified:
        return set()
    return {(f"[{host}]" if address.version == 6 else host).lower().encode()}


def _is_repeated(head: RequestHead, name: bytes) -> bool:
    """Whether a field, whose joined value has a comma, came in more than one line."""
    return head.names.count(name) > 1


def requested_host(head: RequestHead, target: Target) -> bytes | None:
    """The authority that the request names, from an absolute target or from Host (RFC 9112 §3.2.2 and §3.3).

    None for an HTTP/1.0 request without one. Raises BadMessage for no Host or two in HTTP/1.1, or a malformed one.
    """
    host = head.named.get(b"host")
    if host is None:
        if head.minor == 1:
            raise BadMessage("an HTTP/1.1 request must have a Host field")
    else:
        if b"," in host and _is_repeated(head, b"host"):
            raise BadMessage("there are two Host fields")
        split_authority(host)
    if target.authority is None:
        return host
    split_authority(target.authority)
    return target.authority


def check_caller(guard: Guard, head: RequestHead, authority: bytes | None, more_hosts: frozenset[bytes]) -> None:
    """Raise Refusal (`caller_denied`) for a caller that may not use this listener; `more_hosts` are the upstream's."""
    if authority is not None and not guard.any_host:
        host = split_authority(authority)
        if host not in guard.hosts and host not in more_hosts and b"*" not in more_hosts:
            raise Refusal("caller_denied", "the Host of the request is not one of this listener's (see `hosts`)")
    named = head.named
    if not guard.allow_browsers:
        if b"origin" in named:
            raise Refusal("caller_denied", "requests with Origin, as web pages send them, are refused")
        site = named.get(b"sec-fetch-site")
        if site is not None and site.lower() not in (b"none", b"same-origin"):
            raise Refusal("caller_denied", "requests that a browser marks as from another site are refused")
    if guard.key_name:
        given, key = named.get(guard.key_name, b""), guard.key_value.reveal()
        if not hmac.compare_digest(given, key) or (b"," in given and _is_repeated(head, guard.key_name)):
            raise Refusal("caller_denied", f"the header {guard.key_name.decode()} is missing or wrong")


class Rule(NamedTuple):
    """One `allow` rule, ready to be matched. Empty methods or patterns match everything."""

    methods: frozenset[bytes]
    patterns: tuple[tuple[bytes, ...], ...]
    """Each a pattern's segments, after its first slash."""


def compile_rules(allow: Iterable[Allow]) -> tuple[Rule, ...]:
    """The `allow` rules of an upstream as data for `is_allowed`."""
    return tuple(
        Rule(
            frozenset(method.encode() for method in rule.methods),
            tuple(tuple(pattern.encode().split(b"/")[1:]) for pattern in rule.paths),
        )
        for rule in allow
    )


def is_allowed(rules: Sequence[Rule], method: bytes, path: bytes) -> bool:
    """Whether any rule lets `method` and `path` (below the prefix, still percent-encoded) pass; no rules: all do."""
    if not rules:
        return True
    # Split first: an encoded slash is refused before this, so decoding adds no segment.
    segments = [unquote_to_bytes(segment) for segment in path.split(b"/")[1:]]
    return any(
        (not rule.methods or method in rule.methods)
        and (not rule.patterns or any(_matches(pattern, segments) for pattern in rule.patterns))
        for rule in rules
    )


def _matches(pattern: Sequence[bytes], segments: Sequence[bytes]) -> bool:
    """Match segment by segment; `**` stands for any number of them.

    What stands between two `**` may be taken where it is found first, so nothing is ever tried twice.
    """
    groups: list[list[bytes]] = [[]]
    for part in pattern:
        if part == b"**":
            groups.append([])
        else:
            groups[-1].append(part)
    first, last = groups[0], groups[-1]
    if len(groups) == 1:
        return len(first) == len(segments) and _group_matches(first, segments, 0)
    at, end = len(first), len(segments) - len(last)
    if at > end or not _group_matches(first, segments, 0) or not _group_matches(last, segments, end):
        return False
    for group in groups[1:-1]:
        while at + len(group) <= end and not _group_matches(group, segments, at):
            at += 1
        at += len(group)
    return at <= end


def _group_matches(group: Sequence[bytes], segments: Sequence[bytes], at: int) -> bool:
    return all(_matches_both(part, segments[at + index]) for index, part in enumerate(group))


def _matches_both(part: bytes, segment: bytes) -> bool:
    """Match one segment as it is, and as those read it who take `;parameters` off before they look.

    To them `/secret;x.pdf` is `/secret`, which `/*.pdf` shall not let through. A rule that writes `;` itself means it.
    """
    if not _matches_segment(part, segment):
        return False
    return b";" not in segment or b";" in part or _matches_segment(part, segment.partition(b";")[0])


def _matches_segment(part: bytes, segment: bytes) -> bool:
    """Match one segment, in which `*` stands for any bytes; alone it stands for a segment, which is not empty."""
    if part == b"*":
        return segment != b""
    if b"*" not in part:
        return part == segment
    first, *middle, last = part.split(b"*")
    if len(segment) < len(first) + len(last) or not segment.startswith(first) or not segment.endswith(last):
        return False
    at, end = len(first), len(segment) - len(last)
    for piece in middle:
        found = segment.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
