"""An answer on its way to the caller: how it is framed for whom, and what shows that it is cut."""

from __future__ import annotations

from typing import cast

import pytest

from proxy.forward.body import Piece
from proxy.forward.door import Caller
from proxy.forward.reply import Reply
from tests.forward.make import request, response

LENGTH = ("Content-Length: 4",)
CHUNKED = ("Transfer-Encoding: chunked",)


class Written:
    """What a caller is to a reply."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: Piece) -> None:
        self.writes.append(bytes(data))

    @property
    def text(self) -> bytes:
        return b"".join(self.writes)

    def reply(self, first: str = "GET / HTTP/1.1", *fields: str) -> Reply:
        return Reply(cast(Caller, self), request(first, *(fields or ("Host: localhost",))))


def _same(location: bytes) -> bytes:
    return location


def _elsewhere(location: bytes) -> bytes:
    return b"/here" + location


@pytest.mark.parametrize(
    ("asked", "fields", "sent", "keep", "only_reset_shows"),
    [
        pytest.param("GET / HTTP/1.1", LENGTH, b"Content-Length: 4\r\n\r\nabcd", True, False, id="known length"),
        pytest.param("GET / HTTP/1.0", LENGTH, b"close\r\n\r\nabcd", False, False, id="the same, HTTP/1.0"),
        pytest.param("GET / HTTP/1.1", CHUNKED, b"chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", True, False, id="chunked"),
        pytest.param("GET / HTTP/1.1", (), b"chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", True, False, id="until the close"),
        pytest.param("GET / HTTP/1.0", CHUNKED, b"\r\n\r\nabcd", False, True, id="an old caller knows no chunks"),
    ],
)
def test_framing_is_made_for_the_caller(
    asked: str, fields: tuple[str, ...], sent: bytes, keep: bool, only_reset_shows: bool
) -> None:
    caller = Written()
    reply = caller.reply(asked)
    reply.begin(response("HTTP/1.1 200 OK", *fields), _same, closing=False)
    reply.pieces([b"abcd"])
    reply.end()
    assert caller.text.endswith(sent)
    assert (reply.keep, reply.only_reset_shows, reply.status) == (keep, only_reset_shows, 200)


@pytest.mark.parametrize(("size", "writes"), [(0, 1), (4, 1), (64 * 1024, 1), (64 * 1024 + 1, 2)])
def test_an_answer_that_is_here_at_once_is_one_write_unless_it_is_large(size: int, writes: int) -> None:
    caller = Written()
    reply = caller.reply()
    reply.begin(response("HTTP/1.1 200 OK", f"Content-Length: {size}"), _same, closing=False)
    reply.whole(b"x" * size)
    assert caller.text == b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    assert len(caller.writes) == writes
    reply.flush()
    assert len(caller.writes) == writes, "the head has gone"


def test_the_head_leaves_with_the_first_of_its_body() -> None:
    caller = Written()
    reply = caller.reply()
    reply.begin(response("HTTP/1.1 200 OK", *LENGTH), _same, closing=False)
    assert caller.writes == []
    reply.pieces([b"ab", b"cd"])
    reply.end()
    assert len(caller.writes) == 1


def test_a_head_does_not_wait_when_it_is_told_to_go() -> None:
    caller = Written()
    reply = caller.reply()
    reply.begin(response("HTTP/1.1 200 OK", *CHUNKED), _same, closing=False)
    reply.flush()
    reply.flush()
    assert len(caller.writes) == 1
    assert caller.text.endswith(b"\r\n\r\n")


def test_what_is_large_is_not_copied_together() -> None:
    caller, large = Written(), b"x" * 65 * 1024
    reply = caller.reply()
    reply.begin(response("HTTP/1.1 200 OK", f"Content-Length: {len(large)}"), _same, closing=False)
    reply.pieces([large])
    assert caller.writes[1] == large


@pytest.mark.parametrize(("asked", "passed"), [("GET / HTTP/1.1", True), ("GET / HTTP/1.0", False)])
def test_interim_answers_are_for_those_who_know_them(asked: str, passed: bool) -> None:
    caller = Written()
    caller.reply(asked).interim(response("HTTP/1.1 103 Early Hints", "Link: </style.css>"), _same)
    assert (caller.text == b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n") is passed


def test_while_draining_the_caller_hears_that_its_connection_ends() -> None:
    caller = Written()
    reply = caller.reply()
    reply.begin(response("HTTP/1.1 200 OK", "Content-Length: 0"), _same, closing=True)
    reply.flush()
    assert b"Connection: close\r\n" in caller.text
    assert not reply.keep


def test_a_location_is_mapped_to_this_caller() -> None:
    caller = Written()
    reply = caller.reply()
    reply.begin(response("HTTP/1.1 302 Found", "Location: /there", "Content-Length: 0"), _elsewhere, closing=False)
    reply.flush()
    assert b"Location: /here/there\r\n" in caller.text
