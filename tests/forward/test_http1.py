"""Heads: what is read, what is refused, and that nothing in between becomes a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forward.http1 import (
    HEAD_LIMIT,
    BadMessage,
    find_head_end,
    may_begin_request,
    parse_request_head,
    parse_response_head,
)
from tests.forward.make import raw, request, response

TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FRAMING = (b"content-length", b"transfer-encoding", b"connection", b"upgrade")

names = (
    st.lists(st.sampled_from(sorted(TOKEN)), min_size=1, max_size=12)
    .map(bytes)
    .filter(lambda name: name.lower() not in FRAMING)
)
values = (
    st.lists(st.sampled_from([9, *range(0x20, 0x7F), *range(0x80, 0x100)]), max_size=24)
    .map(bytes)
    .map(lambda value: value.strip(b" \t"))
)
spaces = st.sampled_from([b" ", b" ", b"", b"\t", b"  \t "])
some_names = names | st.sampled_from([b"a", b"A", b"Set-Cookie"])
fields = st.lists(st.tuples(some_names, spaces, values, st.sampled_from([b"", b"", b" ", b"\t "])), max_size=8)


# The first line (RFC 9112 §3).


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        pytest.param("GET / HTTP/1.1", (b"GET", b"/", 1), id="the usual one"),
        pytest.param("GET / HTTP/1.0", (b"GET", b"/", 0), id="HTTP/1.0"),
        pytest.param("M-SEARCH * HTTP/1.1", (b"M-SEARCH", b"*", 1), id="any token is a method (RFC 9110 §9.1)"),
        pytest.param("get /a?b#c HTTP/1.1", (b"get", b"/a?b#c", 1), id="case and target are kept as written"),
        pytest.param('GET /%2e\\"<>^`{|} HTTP/1.1', (b"GET", b'/%2e\\"<>^`{|}', 1), id="no URI, but unmistakable"),
        pytest.param("GET /\xff\x80 HTTP/1.1", (b"GET", b"/\xff\x80", 1), id="bytes over 0x7F are passed on"),
    ],
)
def test_request_lines_that_are_read(line: str, parts: tuple[bytes, bytes, int]) -> None:
    head = request(line)
    assert (head.method, head.target, head.minor) == parts


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("GET /", id="HTTP/0.9"),
        pytest.param("GET / HTTP/0.9", id="version 0.9"),
        pytest.param("GET / HTTP/1.2", id="version 1.2"),
        pytest.param("GET / HTTP/2.0", id="version 2.0"),
        pytest.param("PRI * HTTP/2.0", id="the preface of HTTP/2 (RFC 9113 §3.4)"),
        pytest.param("GET / HTTP/1.10", id="two digits"),
        pytest.param("GET / HTTP/01.1", id="a leading zero"),
        pytest.param("GET / HTTP/1.", id="half a version"),
        pytest.param("GET / http/1.1", id="the version is case-sensitive (RFC 9112 §2.3)"),
        pytest.param("GET / HTTPS/1.1", id="another protocol"),
        pytest.param("GET  / HTTP/1.1", id="two spaces before the target"),
        pytest.param("GET /  HTTP/1.1", id="two spaces before the version"),
        pytest.param("GET\t/ HTTP/1.1", id="a tab for the space"),
        pytest.param("GET / HTTP/1.1 ", id="a space after the version"),
        pytest.param(" GET / HTTP/1.1", id="a space before the method"),
        pytest.param("GET /a b HTTP/1.1", id="a space in the target"),
        pytest.param("GET /a\tb HTTP/1.1", id="a tab in the target"),
        pytest.param("GET /\0 HTTP/1.1", id="NUL in the target"),
        pytest.param("GET /\x7f HTTP/1.1", id="DEL in the target"),
        pytest.param("G\0T / HTTP/1.1", id="NUL in the method"),
        pytest.param("G(T / HTTP/1.1", id="a method that is no token"),
        pytest.param("G\xc9T / HTTP/1.1", id="a method that is not ASCII"),
        pytest.param("GET HTTP/1.1", id="no target"),
        pytest.param(" / HTTP/1.1", id="no method"),
        pytest.param("GET /\r HTTP/1.1", id="a bare CR"),
        pytest.param("GET /\n HTTP/1.1", id="a bare LF"),
        pytest.param("HTTP/1.1 200 OK", id="a response"),
        pytest.param("", id="nothing"),
    ],
)
def test_request_lines_that_are_refused(line: str) -> None:
    with pytest.raises(BadMessage):
        request(line, "Host: localhost")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        pytest.param("HTTP/1.1 200 OK", (200, b"OK", 1), id="the usual one"),
        pytest.param("HTTP/1.0 200 OK", (200, b"OK", 0), id="HTTP/1.0"),
        pytest.param("HTTP/1.1 204 ", (204, b"", 1), id="an empty reason (RFC 9112 §4)"),
        pytest.param("HTTP/1.1 204", (204, b"", 1), id="no reason and no space, as some servers send it"),
        pytest.param("HTTP/1.1 404 \xc4h\tno", (404, b"\xc4h\tno", 1), id="a reason beyond ASCII is kept"),
        pytest.param("HTTP/1.1 799 Odd", (799, b"Odd", 1), id="a status of no known class"),
    ],
)
def test_status_lines_that_are_read(line: str, parts: tuple[int, bytes, int]) -> None:
    head = response(line)
    assert (head.status, head.reason, head.minor) == parts


@pytest.mark.parametrize(
    "line",
    [
        "HTTP/1.2 200 OK",
        "HTTP/2 200",
        "http/1.1 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 099 Low",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "ICY 200 OK",
        "GET / HTTP/1.1",
        "",
    ],
)
def test_status_lines_that_are_refused(line: str) -> None:
    with pytest.raises(BadMessage):
        response(line)


# Field lines (RFC 9112 §5): the same for both directions.

MALFORMED = [
    pytest.param(b"A : 1\r\n", id="a space before the colon (§5.1)"),
    pytest.param(b"A\t: 1\r\n", id="a tab before the colon (§5.1)"),
    pytest.param(b"A: 1\r\n 2\r\n", id="obs-fold with a space (§5.2)"),
    pytest.param(b"A: 1\r\n\t2\r\n", id="obs-fold with a tab (§5.2)"),
    pytest.param(b"Transfer-Encoding:\r\n chunked\r\n", id="obs-fold before the value"),
    pytest.param(b" A: 1\r\n", id="space before the first field (§2.2)"),
    pytest.param(b"A: 1\nB: 2\r\n", id="bare LF"),
    pytest.param(b"A: 1\n\nB: 2\r\n", id="an empty line by bare LFs"),
    pytest.param(b"A: 1\r\n\nB: 2\r\n", id="an empty line by CRLF and LF"),
    pytest.param(b"A: 1\rB: 2\r\n", id="bare CR in a value"),
    pytest.param(b"A: 1\r\r\nB: 2\r\n", id="CR CR LF"),
    pytest.param(b"\nA: 1\r\n", id="bare LF first"),
    pytest.param(b"\rA: 1\r\n", id="bare CR first"),
    pytest.param(b"A\r\n", id="no colon"),
    pytest.param(b": 1\r\n", id="no name"),
    pytest.param(b"A(: 1\r\n", id="a name that is no token"),
    pytest.param(b'"A": 1\r\n', id="a quoted name"),
    pytest.param(b"\xc4: 1\r\n", id="a name that is not ASCII"),
    pytest.param(b"A\0: 1\r\n", id="NUL in a name"),
    *(pytest.param(b"A: 1%c2\r\n" % code, id=f"byte {code:02x} in a value") for code in (0, 1, 8, 11, 12, 27, 31, 127)),
    pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n", id="two lengths"),
    pytest.param(b"Content-Length: 5\r\nContent-Length: 5\r\n", id="two equal lengths"),
    pytest.param(b"Content-Length: 5\r\ncontent-LENGTH: 5\r\n", id="two lengths in two spellings"),
    pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="CL.TE (§6.1)"),
    pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", id="TE.CL (§6.1)"),
    pytest.param(
        b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        id="CL.TE beside an upgrade",
    ),
    *(
        pytest.param(b"Content-Length: " + length + b"\r\n", id=f"length {length[:24]!r}")
        for length in (
            *(b"", b"+5", b"-5", b"-0", b"5,5", b"5, 5", b"5 5", b"5.0", b"5;", b"0x5", b"1e3", b"five", b'"5"'),
            *(b"5_0", b"\xb2", b"\xd9\xa5", b"5\x0b", b"5\0", b"18446744073709551616", b"9" * 400, b"0" * 5000 + b"5"),
        )
    ),
    *(
        pytest.param(b"Transfer-Encoding: " + coding + b"\r\n", id=f"coding {coding!r}")
        for coding in (
            *(b"", b"identity", b"gzip", b"xchunked", b"chunkedx", b"chunked;q=1", b'"chunked"', b"'chunked'"),
            *(b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"chunked,", b",chunked", b"chunked identity"),
            *(b"\x0bchunked", b"chunked\0", b"chun\tked", b"chunked\x0c"),
        )
    ),
    pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", id="chunked twice"),
    pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", id="TE.TE"),
    pytest.param(b"Transfer-Encoding : chunked\r\n", id="a space before TE's colon"),
]


@pytest.mark.parametrize("lines", MALFORMED)
def test_malformed_fields_are_refused_in_requests(lines: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_request_head(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
    with pytest.raises(BadMessage):  # The first field line is read by another state of the parser.
        parse_request_head(b"POST / HTTP/1.1\r\n" + lines + b"\r\n")


@pytest.mark.parametrize("lines", MALFORMED)
def test_malformed_fields_are_refused_in_responses(lines: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_response_head(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        pytest.param([], 0, id="neither: no body (§6.3)"),
        pytest.param(["Content-Length: 0"], 0, id="an explicit nothing"),
        pytest.param(["Content-Length: 5"], 5, id="a length"),
        pytest.param(["content-LENGTH: \t5 \t"], 5, id="white space around a value is not part of it (§5)"),
        pytest.param(["Content-Length: 005"], 5, id="leading zeros"),
        pytest.param(["Content-Length: 18446744073709551615"], 2**64 - 1, id="the largest"),
        pytest.param(["Transfer-Encoding: chunked"], None, id="chunked"),
        pytest.param(["TRANSFER-ENCODING: \tchunked "], None, id="chunked in another case and spacing"),
        pytest.param(["Content_Length: 5", "Transfer-Encodings: chunked"], 0, id="names that only look alike"),
    ],
)
def test_a_requests_length(fields: list[str], length: int | None) -> None:
    assert request("POST / HTTP/1.1", *fields).length == length


def test_a_response_says_no_length_and_no_chunks_where_it_has_none() -> None:
    head = response("HTTP/1.1 200 OK")
    assert (head.length, head.chunked) == (None, False)
    head = response("HTTP/1.1 200 OK", "Content-Length: 7")
    assert (head.length, head.chunked) == (7, False)
    head = response("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
    assert (head.length, head.chunked) == (None, True)


@pytest.mark.parametrize("first", ["POST / HTTP/1.0", "HTTP/1.0 200 OK"])
def test_http_1_0_has_no_chunks(first: str) -> None:
    """RFC 9112 §6.1: whoever sends Transfer-Encoding in HTTP/1.0 has its framing wrong."""
    with pytest.raises(BadMessage):
        (request if first.startswith("POST") else response)(first, "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("first", "options", "keeps"),
    [
        pytest.param("GET / HTTP/1.1", [], True, id="HTTP/1.1 keeps"),
        pytest.param("GET / HTTP/1.1", ["Connection: close"], False, id="close"),
        pytest.param("GET / HTTP/1.1", ["Connection: keep-alive,\tCLOSE ,"], False, id="close in a list, in any case"),
        pytest.param("GET / HTTP/1.1", ["Connection: x", "connection: close"], False, id="close in a second line"),
        pytest.param("GET / HTTP/1.1", ["Connection: closed, not-close"], True, id="options that only look alike"),
        pytest.param("GET / HTTP/1.0", [], False, id="HTTP/1.0 closes"),
        pytest.param("GET / HTTP/1.0", ["Connection: keep-alive"], False, id="HTTP/1.0's keep-alive is not spoken"),
    ],
)
def test_whether_another_request_may_follow(first: str, options: list[str], keeps: bool) -> None:
    assert request(first, *options).keeps_connection is keeps


def test_repeated_fields_are_joined_by_name_and_kept_as_lines() -> None:
    """RFC 9110 §5.2 and §5.3."""
    head = request("GET / HTTP/1.1", "X-A: 1", "x-b:", "x-A:\t2 ")
    assert head.named == {b"x-a": b"1, 2", b"x-b": b""}
    assert head.names == [b"x-a", b"x-b", b"x-a"]
    assert head.lines == [b"X-A: 1", b"x-b:", b"x-A:\t2 "]


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_a_field_after_an_upgrade_is_read_too(protocol: str) -> None:
    head = request("GET / HTTP/1.1", "Connection: Upgrade", f"Upgrade: {protocol}", "X-Last: 1")
    assert head.named[b"x-last"] == b"1"
    assert head.connection == {b"upgrade"}


@given(fields)
def test_what_is_read_is_what_was_written(written: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    lines = [b"".join((name, b":", before, value, after)) for name, before, value, after in written]
    named: dict[bytes, bytes] = {}
    for name, _, value, _ in written:
        lower = name.lower()
        named[lower] = named[lower] + b", " + value if lower in named else value
    block = b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    asked, answered = (
        parse_request_head(b"GET / HTTP/1.1\r\n" + block),
        parse_response_head(b"HTTP/1.1 200\r\n" + block),
    )
    assert asked.lines == answered.lines == lines
    assert asked.names == answered.names == [name.lower() for name, _, _, _ in written]
    assert asked.named == answered.named == named


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    """Nothing but BadMessage ever comes out, and what is read has no byte that could split a line."""
    for parse, first in ((parse_request_head, b"GET / HTTP/1.1\r\n"), (parse_response_head, b"HTTP/1.1 200 OK\r\n")):
        try:
            read = parse(first + b"A: " + noise + b"\r\n\r\n")
        except BadMessage:
            continue
        assert len(read.lines) == len(read.names)
        for line in (*read.lines, *read.named.values()):
            assert not {0, 10, 13} & {*line}


def test_a_refusal_quotes_nothing_of_the_message() -> None:
    for lines in (b"Authorization : s3cret\r\n", b"Content-Length: s3cret\r\n", b"s3cret\r\n", b"Cookie: s3cret\0\r\n"):
        with pytest.raises(BadMessage) as caught:
            parse_request_head(b"GET /s3cret HTTP/1.1\r\n" + lines + b"\r\n")
        assert "s3cret" not in str(caught.value)


# A head that is not all there yet.


def test_where_a_head_ends() -> None:
    head = raw("GET / HTTP/1.1", "Host: localhost")
    assert find_head_end(head) == len(head)
    assert find_head_end(bytearray(head + b"body\n")) == len(head)


@given(st.integers(min_value=0, max_value=200), st.sampled_from([b"", b"\r\n"]))
def test_no_beginning_of_a_good_head_is_refused(cut: int, before: bytes) -> None:
    head = raw("OPTIONS http://localhost:8080/a?b HTTP/1.1", "Host: localhost", "A: \xff b", "C:")
    beginning = head[: min(cut, len(head) - 1)]
    assert find_head_end(beginning) == 0
    assert may_begin_request(beginning)
    assert may_begin_request(before[:1]), "an empty line may come first (RFC 9112 §2.2), in two pieces too"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nA: 1\n\n", b"GET /\rA", b"A\r\r", b"\n"])
def test_a_bare_cr_or_lf_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(BadMessage):
        find_head_end(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="a TLS hello"),
        pytest.param(b" GET", id="a space first"),
        pytest.param(b"GET / http", id="a version in lower case"),
        pytest.param(b"GET / FTP/", id="another protocol"),
        pytest.param(b"GET / HTTP/1.1 x", id="more than a request line"),
        pytest.param(b"GET /\r\n", id="HTTP/0.9, which ends here"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: ", id="a version in a whole line"),
        pytest.param(b"\0", id="NUL"),
    ],
)
def test_nobody_waits_for_the_rest_of_what_is_no_request(data: bytes) -> None:
    assert not may_begin_request(data)


@pytest.mark.parametrize(
    "data",
    [
        b"A" * HEAD_LIMIT,
        b"GET " + b"/" * HEAD_LIMIT,
        b"GET / " + b"HTTP/" * (HEAD_LIMIT // 5),
        b"GET / HTTP/1.1\r\n" + b"A:\r\n" * (HEAD_LIMIT // 4),
        b"GET / HTTP/1.1\r\nA:" + b" \t" * (HEAD_LIMIT // 2),
        b"GET / HTTP/1.1\r\nConnection:" + b"," * HEAD_LIMIT,
        b"HTTP/1.1 200 " + b" " * HEAD_LIMIT,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_a_large_head_takes_no_long_look(data: bytes) -> None:
    """A regular expression that goes back and forth over these would not come back within the test's time."""
    for ending in (b"", b"\0", b"\r\n\r\n"):
        for look in (find_head_end, may_begin_request, parse_request_head, parse_response_head):
            try:
                look(data + ending)
            except BadMessage:
                pass


def test_a_coding_has_its_one_spelling_in_requests_and_any_case_in_responses() -> None:
    field = "Transfer-Encoding: Chunked"
    with pytest.raises(BadMessage):
        request("POST / HTTP/1.1", "Host: a", field)
    assert response("HTTP/1.1 200 OK", field).chunked, "a coding has no case (RFC 9112 §7)"
