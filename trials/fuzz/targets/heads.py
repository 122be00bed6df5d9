"""Request heads: what goes to the upstream has one meaning, the caller's, and one credential, ours.

Input: a request's head as a caller sends it.

Oracle: a head that passes is one to the strict reader too, and names one of the listener's own hosts, no Origin, and
the key. What leaves is read by the same reader as one head: method as it came, one Host (the upstream's), one
credential (the last field), no other in any spelling, no key, nothing that belongs to a hop but what the sidecar itself
says; the framing says what the caller's said; and all other fields are the caller's, in order, byte for byte.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.config.model import Address, Auth, Headers, RequireHeader, Value
from proxy.forward.admission import Admission, admit
from proxy.forward.guard import make_guard
from proxy.forward.http1 import HEAD_LIMIT, BadMessage, find_head_end, may_begin_request, parse_request_head
from proxy.forward.routes import Routes
from proxy.forward.upstream import Upstream
from proxy.tokens.interface import AccessToken
from tests.conformance.reader import Fields, read_request_head
from tests.forward.make import SETTINGS, upstream

TOKEN: Final = AccessToken("tok.1", 1)
_HOP: Final = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
_HOSTS: Final = re.compile(rb"(?i:localhost|127\.0\.0\.1|\[::1\]|extra\.test)(?::[0-9]{0,5})?\Z")


def _auth(header: str, scheme: str) -> Auth:
    auth = SETTINGS.auth
    return Auth(auth.token_url, auth.client_id, auth.client_secret, header=header, scheme=scheme)


class _Case:
    """One configuration: `plain` as most have it, and one that uses everything."""

    def __init__(self, *, key: RequireHeader | None, header: str, scheme: str, changes: Headers) -> None:
        self.key = key.name.lower().encode() if key else b""
        self.auth = header.lower().encode()
        self.credential = (scheme + " " if scheme else "").encode() + TOKEN.reveal().encode()
        self.set = [(name.encode(), value.reveal().encode()) for name, value in changes.set.items()]
        self.gone = {name.lower().encode() for name in (*changes.set, *changes.remove)}
        self.guard = make_guard(Address("127.0.0.1", 8080), allow_browsers=False, key=key)
        self.upstream: Upstream = upstream(
            key_name=self.key, auth=_auth(header, scheme), headers=changes, hosts=("Extra.test",)
        )
        self.routes = Routes([self.upstream])


CASES: Final = (
    _Case(key=None, header="Authorization", scheme="Bearer", changes=Headers()),
    _Case(
        key=RequireHeader("X-Sidecar-Key", Value("open")),
        header="X-Access-Token",
        scheme="",
        changes=Headers(set={"X-Stage": Value("prod"), "x-api-key": Value("k")}, remove=("Cookie", "X-Debug")),
    ),
)


def check(data: bytes) -> None:
    try:
        end = find_head_end(data)
    except BadMessage:
        return
    if not end or end > HEAD_LIMIT:
        return
    block = data[:end]
    try:
        head = parse_request_head(block)
    except BadMessage:
        return
    for at in range(1, min(len(block), 512)):
        assert may_begin_request(block[:at]), "a good head would have been refused when only its beginning was there"
    parts, fields, rest = read_request_head(block, generous=True) if _has_host(block) else (None, None, b"")
    for case in CASES:
        admission = admit(head, case.guard, case.routes, draining=False)
        if isinstance(admission, Admission):
            assert parts is not None, "it passed without a Host"
            assert fields is not None
            assert rest == b""
            _judge_caller(case, parts, fields)
            outgoing = admission.outgoing.reveal() + case.upstream.head_end(TOKEN).reveal()
            _judge(case, parts, fields, outgoing, admission.websocket)


def _has_host(block: bytes) -> bool:
    """Whether the strict reader can read it: what lacks a Host is read as a head and refused as a request."""
    count = len(re.findall(rb"\r\nhost:", block.lower()))
    return count == 1 or (count == 0 and block.partition(b"\r\n")[0].endswith(b"HTTP/1.0"))


def _values(fields: Fields, name: bytes) -> list[bytes]:
    return [value for one, value in fields if one.lower() == name]


def _judge_caller(case: _Case, parts: tuple[bytes, ...], fields: Fields) -> None:
    authority = re.match(rb"(?i:http)://([^/?#]*)", parts[1])
    for host in _values(fields, b"host") if authority is None else [authority[1]]:
        assert _HOSTS.match(host), "a foreign Host passed"
    assert not _values(fields, b"origin"), "a web page passed"
    assert all(one.lower() in (b"none", b"same-origin") for one in _values(fields, b"sec-fetch-site"))
    if case.key:
        assert _values(fields, case.key) == [b"open"], "it passed without the key"


def _judge(case: _Case, parts: tuple[bytes, ...], fields: Fields, outgoing: bytes, websocket: bool) -> None:
    sent, ours, rest = read_request_head(outgoing)
    assert rest == b"", "more than one head left"
    assert sent[0] == parts[0], "the method has changed"
    assert _values(ours, b"host") == [case.upstream.settings.url.authority.encode()]
    name, value = ours[-1]
    assert (name.lower(), value) == (case.auth, case.credential), "the credential is not last"
    assert len(_values(ours, case.auth)) == 1, "there are two credentials"
    assert not case.key or not _values(ours, case.key), "the key left"
    for name, value in case.set:
        assert _values(ours, name.lower()) == [value]
    _judge_framing(fields, ours, websocket)
    options = {option.strip(b" \t").lower() for value in _values(fields, b"connection") for option in value.split(b",")}
    gone = _HOP | options | case.gone | {b"host", b"content-length", b"expect", case.auth, case.key}
    kept = tuple(pair for pair in fields if pair[0].lower() not in gone and not pair[0].lower().startswith(b"proxy-"))
    added = _HOP | {b"host", b"content-length", case.auth} | {name.lower() for name, _ in case.set}
    via = max(index for index, pair in enumerate(ours) if pair == (b"Via", b"1.1 cognito-sidecar"))
    left = tuple(pair for at, pair in enumerate(ours) if pair[0].lower() not in added and at != via)
    assert left == kept, "the caller's own fields have changed"


def _judge_framing(fields: Fields, ours: Fields, websocket: bool) -> None:
    lengths, codings = _values(fields, b"content-length"), _values(fields, b"transfer-encoding")
    assert (len(lengths), len(codings)) in ((0, 0), (1, 0), (0, 1)), "a framing that can be read in two ways passed"
    assert _values(ours, b"transfer-encoding") == codings
    assert [int(one) for one in _values(ours, b"content-length")] == [int(one) for one in lengths]
    if websocket:
        assert (_values(ours, b"connection"), _values(ours, b"upgrade")) == ([b"Upgrade"], [b"websocket"])
        assert _values(fields, b"upgrade")[0].lower() == b"websocket"
    else:
        assert not {name.lower() for name, _ in ours} & (_HOP - {b"transfer-encoding"}), "a hop's field went on"
