"""Bodies: the content, their end, and that it is the same however the bytes arrive."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.forward.body import (
    OVERHEAD_LIMIT,
    Body,
    ChunkedBody,
    FixedBody,
    RestOfConnection,
    request_body,
    response_body,
)
from proxy.forward.http1 import BadMessage
from tests.forward.make import request, response

Outcome = tuple[bytes, bytes] | None
"""Content and rest of a whole body, or None for a refused one."""


def feed(body: Body, parts: Iterable[bytes]) -> tuple[bytes, bytes]:
    """What comes of feeding `parts`: the content, and what follows the body's end."""
    content, rest = b"", b""
    for part in parts:
        if body.done:
            rest += part
        elif part:
            pieces = body.feed(part)
            assert all(pieces), "an empty piece would be the last chunk of whoever frames it anew"
            content += b"".join(pieces)
            rest = body.rest
    return content, rest


def outcome(body: Body, parts: Iterable[bytes]) -> Outcome:
    try:
        return feed(body, parts)
    except BadMessage:
        return None


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    at = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# Chunked (RFC 9112 §7.1).


@pytest.mark.parametrize(
    ("data", "content"),
    [
        pytest.param(b"0\r\n\r\n", b"", id="empty"),
        pytest.param(b"5\r\nhello\r\n0\r\n\r\n", b"hello", id="one chunk"),
        pytest.param(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world", id="two chunks"),
        pytest.param(b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="hexadecimal"),
        pytest.param(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="in capitals"),
        pytest.param(b"0005\r\nhello\r\n0000\r\n\r\n", b"hello", id="leading zeros"),
        pytest.param(b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", id="content that looks like framing"),
        pytest.param(b"7\r\n0\r\n\r\nGE\r\n0\r\n\r\n", b"0\r\n\r\nGE", id="content that looks like an end"),
        pytest.param(b'5;a;b=c;d="e\xff"\r\nhello\r\n0;z\r\n\r\n', b"hello", id="extensions are dropped (§7.1.1)"),
        pytest.param(b"5 \t;a\r\nhello\r\n0\r\n\r\n", b"hello", id="white space before an extension"),
        pytest.param(b"5\r\nhello\r\n0\r\nDigest: x\r\nE:\r\n\r\n", b"hello", id="trailers are dropped (§7.1.2)"),
    ],
)
def test_chunked_bodies_that_are_read(data: bytes, content: bytes) -> None:
    for parts in ([data], one_by_one(data)):
        body = ChunkedBody()
        assert feed(body, parts) == (content, b"")
        assert body.done
        assert body.ended()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"0x5\r\nhello\r\n", id="0x"),
        pytest.param(b"5 \r\nhello\r\n", id="a space after the size"),
        pytest.param(b" 5\r\nhello\r\n", id="a space before the size"),
        pytest.param(b"-1\r\nhello\r\n", id="less than nothing"),
        pytest.param(b"-0\r\n\r\n", id="minus nothing"),
        pytest.param(b"+5\r\nhello\r\n", id="a plus"),
        pytest.param(b"5_0\r\nhello\r\n", id="an underscore, which Python's int reads"),
        pytest.param(b"g\r\nhello\r\n", id="no hexadecimal"),
        pytest.param(b"5,5\r\nhello\r\n", id="two sizes"),
        pytest.param(b"\xd9\xa5\r\nhello\r\n", id="an Arabic five"),
        pytest.param(b"\r\n5\r\nhello\r\n", id="an empty size"),
        pytest.param(b";a\r\nhello\r\n", id="an extension without a size"),
        pytest.param(b"5\nhello\r\n", id="a size that ends with LF"),
        pytest.param(b"5\rhello\r\n", id="a size that ends with CR"),
        pytest.param(b"5\r\r\nhello\r\n", id="CR CR LF"),
        pytest.param(b"5;a\nb\r\nhello\r\n", id="LF in an extension"),
        pytest.param(b"5;a\rb\r\nhello\r\n", id="CR in an extension"),
        pytest.param(b"5;a\0\r\nhello\r\n", id="NUL in an extension"),
        pytest.param(b"00000000000000005\r\nhello\r\n", id="17 digits, the first ones zero"),
        pytest.param(b"10000000000000005\r\nhello\r\n", id="a size over 64 bits"),
        pytest.param(b"5\r\nhello!\r\n0\r\n\r\n", id="a chunk longer than its size"),
        pytest.param(b"5\r\nhello\n0\r\n\r\n", id="a chunk that ends with LF"),
        pytest.param(b"5\r\nhello\r0\r\n\r\n", id="a chunk that ends with CR"),
        pytest.param(b"5\r\nhell\r\n0\r\n\r\n", id="a chunk shorter than its size"),
        pytest.param(b"0\r\nA\r\n\r\n", id="a trailer without a colon"),
        pytest.param(b"0\r\nA : b\r\n\r\n", id="a trailer with a space before the colon"),
        pytest.param(b"0\r\nA: b\r\n c\r\n\r\n", id="obs-fold in a trailer"),
        pytest.param(b"0\r\nA: \0\r\n\r\n", id="NUL in a trailer"),
        pytest.param(b"0\r\n: b\r\n\r\n", id="a trailer without a name"),
        pytest.param(b"0\r\nA: b\n\r\n", id="a trailer that ends with LF"),
        pytest.param(b"0\r\n\nGET / HTTP/1.1\r\n\r\n", id="an end by LF"),
        pytest.param(b"0\r\nGET / HTTP/1.1\r\n\r\n", id="a request in the place of trailers"),
    ],
)
def test_chunked_bodies_that_are_refused(data: bytes) -> None:
    for parts in ([data], one_by_one(data), split(data, [2])):
        with pytest.raises(BadMessage):
            feed(ChunkedBody(), parts)


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        pytest.param(b"0;" + b"a" * (OVERHEAD_LIMIT - 1) + b"\r\n\r\n", True, id="16 KiB of one extension"),
        pytest.param(b"0;" + b"a" * OVERHEAD_LIMIT + b"\r\n\r\n", False, id="one byte more"),
        pytest.param(b"1;" + b"a" * 99 + b"\r\nx\r\n", None, id="extensions so far"),
        pytest.param((b"1;" + b"a" * 99 + b"\r\nx\r\n") * 164, False, id="many short extensions"),
        pytest.param(b"0\r\n" + b"A: 123\r\n" * (OVERHEAD_LIMIT // 8) + b"\r\n", True, id="16 KiB of trailers"),
        pytest.param(b"0\r\n" + b"A: 123\r\n" * (OVERHEAD_LIMIT // 8) + b"A:\r\n\r\n", False, id="one trailer more"),
        pytest.param(b"0\r\nA:" + b"1" * OVERHEAD_LIMIT + b"\r\n\r\n", False, id="one long trailer"),
        pytest.param(b"0\r\nA:" + b"1" * (OVERHEAD_LIMIT * 2), False, id="a trailer that does not end"),
        pytest.param(b"5;" + b"a" * (OVERHEAD_LIMIT * 2), False, id="an extension that does not end"),
        pytest.param(b"0" * 64, False, id="a size that does not end"),
        pytest.param(b"5;" + b" ;" * 32768, False, id="an extension of 64 KiB to go back and forth over"),
        pytest.param(b"5" + b" \t" * 32768, False, id="white space of 64 KiB to go back and forth over"),
    ],
)
def test_what_goes_with_chunks_has_a_limit(data: bytes, whole: bool | None) -> None:
    for parts in ([data], split(data, range(0, len(data), 1000))):
        body = ChunkedBody()
        if whole is False:
            with pytest.raises(BadMessage):
                feed(body, parts)
        else:
            feed(body, parts)
            assert body.done is bool(whole)


def test_a_huge_size_is_only_a_promise() -> None:
    body = ChunkedBody()
    assert feed(body, [b"ffffffffffffffff\r\n", b"x" * 1000, b"y"]) == (b"x" * 1000 + b"y", b"")
    assert not body.ended(), "a connection that ends in a chunk has cut it"


chunks = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=40) | st.just(b"z" * 5000),
        st.sampled_from([b"", b";a", b' ;a="\xff"', b";" + b"b" * 30]),
    ),
    max_size=5,
)
trailers = st.lists(st.sampled_from([b"A: b\r\n", b"X-Long:" + b" c" * 20 + b"\r\n"]), max_size=3)
cuts = st.lists(st.integers(min_value=0, max_value=1 << 15), max_size=12)


@given(chunks, trailers, st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"\r\n", b"0\r\n\r\n"]), cuts)
def test_a_good_body_is_the_same_however_it_arrives(
    written: list[tuple[bytes, bytes]], after: list[bytes], following: bytes, at: list[int]
) -> None:
    data = b"".join(b"%X%b\r\n%b\r\n" % (len(content), extension, content) for content, extension in written)
    data += b"0\r\n" + b"".join(after) + b"\r\n"
    body = ChunkedBody()
    assert feed(body, split(data + following, at)) == (b"".join(content for content, _ in written), following)
    assert body.done


framing = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"0", b"1", b"2", b"a", b"G", b" ", b"\t", b";", b":", b"A: b", b"\0"]),
    max_size=14,
).map(b"".join)


@given(framing, cuts)
@example(b"1\r\nx\r\n5 \r\n", [8])
@example(b"1\r", [0])
def test_any_body_has_the_same_verdict_however_it_arrives(data: bytes, at: list[int]) -> None:
    """Followed by bytes that end any line, so that a beginning that could still become a body is judged too."""
    data += b"\r\n\r\n\0\r\n"
    whole, parts = ChunkedBody(), ChunkedBody()
    assert outcome(whole, [data]) == outcome(parts, split(data, at))
    assert whole.done is parts.done


@given(st.binary(min_size=1, max_size=6000), cuts)
def test_what_is_cut_off_is_never_whole(content: bytes, at: list[int]) -> None:
    data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    for cut in at:
        body = ChunkedBody()
        feed(body, [data[: min(cut, len(data) - 1)]])
        assert not body.done
        assert not body.ended()


# A known length, and none.


@given(st.binary(max_size=80), st.binary(max_size=20), cuts)
def test_a_body_of_a_known_length_ends_there(content: bytes, following: bytes, at: list[int]) -> None:
    body = FixedBody(len(content))
    assert body.done is body.ended() is (not content)
    assert feed(body, split(content + following, at)) == (content, following)
    assert body.done
    assert body.ended()


def test_a_body_of_a_known_length_that_is_cut_off_is_not_whole() -> None:
    body = FixedBody(3)
    assert feed(body, [b"ab"]) == (b"ab", b"")
    assert not body.ended()


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    """RFC 9112 §6.3, rule 8."""
    body = RestOfConnection()
    assert feed(body, [b"0\r\n\r\n", b"more"]) == (b"0\r\n\r\nmore", b"")
    assert not body.done
    assert body.ended()
    assert body.done


# Which of them it is (RFC 9112 §6.3).


@pytest.mark.parametrize(
    ("fields", "kind", "done"),
    [
        pytest.param([], FixedBody, True, id="neither: none"),
        pytest.param(["Content-Length: 0"], FixedBody, True, id="an empty one"),
        pytest.param(["Content-Length: 3"], FixedBody, False, id="a length"),
        pytest.param(["Transfer-Encoding: chunked"], ChunkedBody, False, id="chunked"),
    ],
)
def test_a_requests_body(fields: list[str], kind: type[object], done: bool) -> None:
    body = request_body(request("POST / HTTP/1.1", *fields))
    assert (type(body), body.done) == (kind, done)


@pytest.mark.parametrize(
    ("method", "status", "fields", "kind", "done"),
    [
        pytest.param(b"HEAD", 200, ["Content-Length: 3"], FixedBody, True, id="HEAD, whatever is declared"),
        pytest.param(b"HEAD", 200, ["Transfer-Encoding: chunked"], FixedBody, True, id="HEAD, chunked"),
        pytest.param(b"GET", 204, ["Content-Length: 3"], FixedBody, True, id="204"),
        pytest.param(b"GET", 304, ["Content-Length: 3"], FixedBody, True, id="304 declares the other's length"),
        pytest.param(b"GET", 200, ["Content-Length: 3"], FixedBody, False, id="a length"),
        pytest.param(b"GET", 200, ["Transfer-Encoding: chunked"], ChunkedBody, False, id="chunked"),
        pytest.param(b"GET", 200, [], RestOfConnection, False, id="neither: the rest of the connection"),
        pytest.param(b"head", 200, [], RestOfConnection, False, id="methods are case-sensitive"),
    ],
)
def test_a_responses_body(method: bytes, status: int, fields: list[str], kind: type[object], done: bool) -> None:
    body = response_body(response(f"HTTP/1.1 {status} X", *fields), method)
    assert (type(body), body.done) == (kind, done)
