"""A caller's whole connection: what reaches the upstream is what was said, request by request, and never more.

Input: all that a caller sends on one connection, pipelined or not, before it closes its half.

Oracle: a strict reader that shares nothing with the sidecar finds whole requests in what the upstream got, each with
one credential, in the order in which a generous one finds them in what the caller sent, with their method, target and
content. Each gets its own answer; what gets none of the upstream's gets one of the sidecar's or ends the connection.
After a WebSocket handshake all bytes are the tunnel's. And the network's cuts make no difference to any of it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.conformance.reader import Incomplete, Message, Unreadable, read_request, read_responses
from trials.fuzz.cuts import cuts
from trials.fuzz.wires import Wire, World, run

_EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")
"""They may come before a request (RFC 9112 §2.2)."""
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Peer:
    """The upstream's end of one connection: answers each whole request with the number that it has."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.read = 0
        """Of the bytes that came."""
        self.tunnel = False

    def serve(self, numbers: list[Message]) -> bool:
        """Answer one request, if one is whole. Raises Unreadable for what is none."""
        waiting = bytes(self.wire.written[self.read :])
        if self.tunnel or not waiting:
            return False
        try:
            request, rest = read_request(waiting)
        except Incomplete:
            return False
        self.read += len(waiting) - len(rest)
        numbers.append(request)
        self.wire.deliver(self._answer(request, len(numbers)))
        return True

    def _answer(self, request: Message, number: int) -> bytes:
        if request.values(b"upgrade"):
            self.tunnel = True
            return _SWITCH
        body = b"answer %d" % number
        head = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\n" % number
        if number % 2:
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + (b"" if request.first[0] == b"HEAD" else body)
        chunks = b"4\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:4], len(body) - 4, body[4:])
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"" if request.first[0] == b"HEAD" else chunks)


class Said(NamedTuple):
    """A request as a generous reader finds it, and what follows it."""

    request: Message
    rest: bytes


class Seen(NamedTuple):
    """What the two sides saw of one connection."""

    requests: list[Message]
    """By the upstream."""
    tunnelled: bytes
    answers: bytes
    """By the caller."""


def check(data: bytes) -> None:
    said = _said(data)
    bad = said[-1].rest if said else data
    seen = [run(_converse(pieces)) for pieces in cuts(data)]
    finals = [_finals(one, said, bad) for one in seen]
    for other, answers in zip(seen[1:], finals[1:], strict=True):
        assert seen[0].requests == other.requests, "the cut decides what the upstream sees"
        assert seen[0].tunnelled == other.tunnelled, "the cut decides what passes the tunnel"
        assert list(map(_outcome, finals[0])) == list(map(_outcome, answers)), "the cut decides what the caller gets"
    _judge(seen[0], finals[0], said)


async def _converse(pieces: list[bytes]) -> Seen:
    world = World()
    peers: list[Peer] = []
    requests: list[Message] = []

    def serve() -> bool:
        peers.extend(Peer(wire) for wire in world.wires[len(peers) :])
        return sum(peer.serve(requests) for peer in peers) > 0  # Each of them, and not only the first.

    for piece in pieces:
        world.caller.deliver(piece)
        await world.settle(serve)
    world.caller.end()
    await world.settle(serve)
    tunnelled = b"".join(bytes(peer.wire.written[peer.read :]) for peer in peers if peer.tunnel)
    for peer in peers:
        if not peer.tunnel and len(peer.wire.written) > peer.read:
            assert peer.wire.over, "half a request was left to wait on an open connection"
    await world.leave()
    return Seen(requests, tunnelled, bytes(world.caller.written))


def _said(data: bytes) -> list[Said]:
    said: list[Said] = []
    while data := _EMPTY_LINES.sub(b"", data):
        try:
            message, data = read_request(data, generous=True)
        except Unreadable:
            break
        said.append(Said(message, data))
    return said


def _finals(seen: Seen, said: list[Said], bad: bytes) -> list[Message]:
    """The final answers that the caller got, a 101 among them. Raises Unreadable for bytes that are none.

    `bad` is what came last and is no request. How that is answered depends on how far it was read: to HEAD without a
    body.
    """
    methods = [one.request.first[0] for one in said]
    try:
        answers = read_responses(seen.answers, [*methods, b"GET"])
    except Unreadable:
        if b"HEAD " not in bad:
            raise
        answers = read_responses(seen.answers, [*methods, b"HEAD"])
    return [one for one in answers if one.first[1] == b"101" or int(one.first[1]) >= 200]


def _outcome(answer: Message) -> tuple[bytes, list[bytes]]:
    """What may not depend on the cut; the words of a refusal may, since a fault may show before all is here."""
    return answer.first[1], answer.values(b"x-sidecar-error")


def _judge(seen: Seen, answers: list[Message], said: list[Said]) -> None:
    served = 0
    tunnelled = b""
    for index, answer in enumerate(answers):
        if answer.values(b"x-sidecar-error"):
            continue
        asked, got = said[index].request, seen.requests[served]
        served += 1
        if answer.first[1] == b"101":
            assert _asks_for_websocket(asked), "it switched, and was not asked to"
            tunnelled = said[index].rest
        else:
            assert answer.values(b"x-number") == [b"%d" % served], "another one's answer"
        assert (got.first[0], got.body) == (asked.first[0], asked.body), "not what was said"
        assert asked.first[1].endswith(got.first[1]) or got.first[1] in (b"/", b"*"), "not what was asked for"
        assert got.values(b"authorization") == [b"Bearer tok.1"]
        assert got.fields[-1][0] == b"Authorization"
    assert served == len(seen.requests), "the upstream got what nobody asked for, or what nobody was answered"
    assert seen.tunnelled == tunnelled, "the tunnel's bytes have changed"
    if len(answers) < len(said):
        assert answers, "nothing was answered"
        assert _ends(answers[-1], said[len(answers) - 1].request), "a request was left without an answer"


def _asks_for_websocket(request: Message) -> bool:
    """RFC 6455 §4.1."""
    options = [option.strip().lower() for value in request.values(b"connection") for option in value.split(b",")]
    protocols = [value.lower() for value in request.values(b"upgrade")]
    return request.first[0] == b"GET" and b"upgrade" in options and protocols == [b"websocket"] and not request.body


def _ends(answer: Message, asked: Message) -> bool:
    """Whether nothing may follow this exchange on its connection."""
    closes = any(b"close" in value.lower() for value in (*answer.values(b"connection"), *asked.values(b"connection")))
    return closes or asked.first[2] == b"HTTP/1.0" or answer.first[1] == b"101"
