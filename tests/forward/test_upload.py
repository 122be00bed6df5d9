"""A request's body on its way out, and what of it may be sent again."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forward.body import ChunkedBody, Piece
from proxy.forward.connection import UpstreamConnection
from proxy.forward.upload import Upload


class Wire:
    """What an upstream connection is to an upload."""

    def __init__(self) -> None:
        self.written = b""
        self.request_sent = False

    def write(self, data: Piece) -> None:
        self.written += data

    @property
    def connection(self) -> UpstreamConnection:
        return cast(UpstreamConnection, self)


def test_a_body_of_a_known_length_goes_on_as_it_is() -> None:
    upload, wire = Upload(chunked=False, done=False, keep_limit=0), Wire()
    upload.send(wire.connection, [b"ab", memoryview(b"cd")])
    assert (wire.written, wire.request_sent) == (b"abcd", False)
    upload.send_end(wire.connection)
    assert (wire.written, wire.request_sent) == (b"abcd", True)


def test_a_chunked_body_is_framed_anew() -> None:
    upload, wire = Upload(chunked=True, done=False, keep_limit=0), Wire()
    upload.send(wire.connection, [b"0123456789", memoryview(b"x" * 16)])
    upload.send_end(wire.connection)
    assert wire.written == b"a\r\n0123456789\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"
    assert wire.request_sent


@pytest.mark.parametrize(
    ("limit", "sizes", "repeatable"),
    [
        pytest.param(10, [], True, id="nothing yet"),
        pytest.param(10, [4, 6], True, id="just the limit"),
        pytest.param(10, [4, 7], False, id="one byte over it"),
        pytest.param(10, [11], False, id="over it at once"),
        pytest.param(10, [11, 1], False, id="over it for good"),
        pytest.param(0, [], True, id="an empty body needs no keeping"),
        pytest.param(0, [1], False, id="nothing is kept"),
    ],
)
def test_how_much_is_kept(limit: int, sizes: list[int], repeatable: bool) -> None:
    upload, wire = Upload(chunked=False, done=False, keep_limit=limit), Wire()
    for size in sizes:
        upload.take([b"x" * size])
    assert upload.repeatable is repeatable
    assert upload.size == sum(sizes)
    upload.send_kept(wire.connection)
    assert wire.written == (b"x" * sum(sizes) if repeatable else b"")


def test_what_is_kept_is_a_copy() -> None:
    """A view's memory may be used again by whoever lent it."""
    upload, wire, memory = Upload(chunked=False, done=True, keep_limit=9), Wire(), bytearray(b"first")
    upload.take([memoryview(memory)])
    memory[:] = b"other"
    upload.send_kept(wire.connection)
    assert wire.written == b"first"


@given(st.lists(st.lists(st.binary(min_size=1, max_size=40), max_size=4), max_size=4))
def test_a_second_time_it_is_the_same_body(taken: list[list[bytes]]) -> None:
    content = b"".join(piece for pieces in taken for piece in pieces)
    upload, first, second = Upload(chunked=True, done=False, keep_limit=1000), Wire(), Wire()
    for pieces in taken:
        upload.take([*pieces])
        upload.send(first.connection, [*pieces])
    upload.send_end(first.connection)
    upload.send_kept(second.connection)
    upload.send_end(second.connection)
    for wire in (first, second):
        body = ChunkedBody()
        assert b"".join(body.feed(wire.written)) == content
        assert (body.done, body.rest) == (True, b"")
