"""Durations, sizes and addresses."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import Address, Duration, is_loopback
from proxy.config.scalars import (
    InvalidError,
    parse_address,
    parse_duration,
    parse_size,
    write_duration,
    write_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1.5s", 1.5),
        ("30", 30),
        (30, 30),
        (0.5, 0.5),
        (0, 0),
        ("0s", 0),
        ("366m", 21960),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert isinstance(parse_duration(text), Duration)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5 s", "expected a duration such as"),
        ("5S", "expected a duration such as"),
        ("1d", "expected a duration such as"),
        ("1h30m", "expected a duration such as"),
        ("-5s", "expected a duration such as"),
        ("", "expected a duration such as"),
        ("5s\n", "expected a duration such as"),
        ("\u0665s", "expected a duration such as"),
        ("nan", "expected a duration such as"),
        (-1, "a negative one"),
        (-1e400, "one without an end"),
        (float("nan"), "one without an end"),
        (float("inf"), "one without an end"),
        (10**400, "at most a year"),
        ("9000h", "at most a year"),
        (True, "got true or false"),
        (None, "got nothing"),
        ([], "got a list"),
        ({}, "got a mapping"),
        (date(2026, 11, 23), "got a date"),
        (b"5s", "got something else"),
    ],
)
def test_what_is_no_duration(text: object, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (5, "5s"), (300, "300s"), (600, "10m"), (36000, "10h"), (1.5, "1.5s")],
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert write_duration(seconds) == text


@given(st.integers(0, 366 * 24 * 3600 * 1000))
def test_a_written_duration_loads_as_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(write_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KiB", 65536),
        ("10MiB", 10 << 20),
        ("1GiB", 1 << 30),
        ("10MB", 10_000_000),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1GB", 10**9),
        ("5B", 5),
        ("5", 5),
        (0, 0),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("64 KiB", "expected a size such as"),
        ("64k", "expected a size such as"),
        ("1.5MiB", "expected a size such as"),
        ("-1", "expected a size such as"),
        (-1, "a negative one"),
        (1.5, "got a number"),
        (False, "got true or false"),
        (10**30, "at most"),
        ("999999999GiB", "at most"),
    ],
)
def test_what_is_no_size(text: object, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        parse_size(text)


@given(st.integers(0, 1 << 50))
def test_a_written_size_loads_as_the_same(size: int) -> None:
    assert parse_size(write_size(size)) == size


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:0", Address("localhost", 0)),
        ("LocalHost:80", Address("localhost", 80)),
        ("[::1]:8080", Address("::1", 8080)),
        ("[0:0::1]:8080", Address("::1", 8080)),
        ("[fe80::1%eth0]:80", Address("fe80::1%eth0", 80)),
        ("0.0.0.0:65535", Address("0.0.0.0", 65535)),
        ("unix:/run/a.sock", Address("", 0, "/run/a.sock")),
        ("unix:///run/a.sock", Address("", 0, "/run/a.sock")),
        ("unix:/" + "x" * 106, Address("", 0, "/" + "x" * 106)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (8080, "got a number"),
        (None, "got nothing"),
        ("8080", "expected host:port"),
        ("localhost", "expected host:port"),
        ("[::1]", "expected host:port"),
        (":8080", "a port alone"),
        ("::1:8080", "in brackets"),
        ("[localhost]:80", "IPv6 address between the brackets"),
        ("127.0.0.1:65536", "port from 0 to 65535"),
        ("127.0.0.1:-1", "port from 0 to 65535"),
        ("127.0.0.1:", "port from 0 to 65535"),
        ("127.0.0.1:http", "port from 0 to 65535"),
        ("127.1:80", "in full"),
        ("0:80", "in full"),
        ("0x7f000001:80", "in full"),
        ("127.0.0.256:80", "in full"),
        ("a b:80", "a host name or an IP address"),
        ("-a:80", "a host name or an IP address"),
        ("*:80", "a host name or an IP address"),
        ("unix:run/a.sock", "an absolute path"),
        ("unix:@abstract", "an absolute path"),
        ("unix:/run/", "the path of a socket"),
        ("unix:/run/a\0b", "the path of a socket"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        ("unix:/" + "ü" * 54, "at most 107 bytes"),
    ],
)
def test_what_is_no_address(text: object, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "yes"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("127.evil.example", False),
        ("localhost.example", False),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_not_a_matter_of_spelling(host: str, yes: bool) -> None:
    assert is_loopback(host) is yes
    assert Address(host, 80).is_loopback is yes


def test_a_unix_socket_is_local() -> None:
    assert Address("", 0, "/run/a.sock").is_loopback
