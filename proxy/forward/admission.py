"""Whether a request may pass, and as what it goes on: guard, route, target, rules, in this order. Pure.

A malformed request is a bad one whoever sent it; a caller who may not be here learns nothing about routes;
only then does it matter what was asked for.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.errors import Refusal
from proxy.forward.fields import request_head
from proxy.forward.guard import Guard, check_caller, is_allowed, requested_host
from proxy.forward.http1 import BadMessage, RequestHead
from proxy.forward.peers import NOBODY, Peer, check_peer
from proxy.forward.routes import Route, Routes
from proxy.forward.target import Target, check_spelling, split_target
from proxy.forward.upstream import Upstream
from proxy.secret import Secret

_NEVER_FORWARDED = frozenset((b"CONNECT", b"TRACE"))
_NO_TARGET = Target(None, b"", b"")


class Admission(NamedTuple):
    """A request that may pass."""

    upstream: Upstream
    outgoing: Secret[bytes]
    """The head that goes to the upstream, up to the credential."""
    authority: bytes | None
    """By which name the caller reached the listener, if it said."""
    websocket: bool
    """It asks for a WebSocket, the one upgrade that is passed on."""


class Rejection(NamedTuple):
    """A request that may not."""

    refusal: Refusal
    upstream: Upstream | None
    """The one it was for, as far as is known."""


def admit(
    head: RequestHead, guard: Guard, routes: Routes, *, draining: bool, peer: Peer = NOBODY
) -> Admission | Rejection:
    """Decide on one request by its head alone, and by whose connection it came on."""
    upstream = routes.only
    try:
        try:
            # The target of CONNECT is no path, and it is refused whatever it is.
            target = _NO_TARGET if head.method == b"CONNECT" else split_target(head.target, head.method)
            authority = requested_host(head, target)
            if head.named.get(b"expect", b"100-continue").lower() != b"100-continue":
                raise BadMessage("the only expectation that HTTP knows is 100-continue")
        except BadMessage as error:
            raise Refusal("bad_request", str(error)) from None
        route = routes.find(target.path)
        if route is not None:
            upstream = route.upstream
        check_peer(peer, (upstream.peers,) if upstream else routes.all_peers)
        # The Host of CONNECT names where the tunnel is to lead, not this listener (RFC 9110 §9.3.6).
        called = None if head.method == b"CONNECT" else authority
        check_caller(guard, head, called, upstream.hosts if upstream else routes.all_hosts)
        if head.method in _NEVER_FORWARDED:
            raise Refusal("not_allowed", f"{head.method.decode()} is never forwarded")
        if draining:
            raise Refusal("shutting_down", "the sidecar is shutting down and takes no new requests")
        if route is None:
            if target.path == b"*":
                raise Refusal("bad_request", _PART_OF_A_SERVER)
            raise Refusal("no_route", "no upstream's prefix matches this path")
        forwarded = _forwarded_target(route, head, target)
    except Refusal as refusal:
        return Rejection(refusal, upstream)
    websocket = _asks_for_websocket(head)
    outgoing = request_head(head, forwarded, route.upstream.request_rules, websocket=websocket)
    return Admission(route.upstream, Secret(outgoing), authority or None, websocket)


_PART_OF_A_SERVER = "`OPTIONS *` asks for a whole server, but the upstream here is a part of one"


def _forwarded_target(route: Route, head: RequestHead, target: Target) -> bytes:
    """What the upstream is asked for. Raises Refusal where the path may not, or cannot safely, go there."""
    upstream, path = route
    base = upstream.request_rules.base_path
    if path == b"*":
        if upstream.prefix or base:
            raise Refusal("bad_request", _PART_OF_A_SERVER)
    elif upstream.strict_paths:
        try:
            check_spelling(path)
        except BadMessage as error:
            raise Refusal("bad_request", str(error)) from None
    if not is_allowed(upstream.allow, head.method, path):
        raise Refusal("not_allowed", "no rule of `allow` lets this method and path pass")
    limit = upstream.settings.max_body
    if limit and head.length is not None and head.length > limit:
        raise Refusal("body_too_large", f"the body is larger than max_body, {int(limit)} bytes")
    return base + path + target.query


def _asks_for_websocket(head: RequestHead) -> bool:
    """RFC 6455 §4.1."""
    return (
        b"upgrade" in head.connection
        and head.named.get(b"upgrade", b"").lower() == b"websocket"
        and head.method == b"GET"
        and head.minor == 1
        and head.length == 0
    )
