"""What is counted and logged of a request."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from proxy.forward.record import CALLER_GONE, Record
from proxy.stats import UpstreamStats
from tests.forward.make import upstream


def test_a_request_counts_for_its_upstream_from_its_beginning_to_its_end() -> None:
    orders, nobody = upstream(), UpstreamStats()
    record = Record(10.0, b"GET", b"/a?b", orders, nobody)
    assert (record.name, orders.stats.in_flight) == ("orders", 1)
    record.error("upstream_timeout")
    record.end(12.5, 504, access=False)
    assert orders.stats.in_flight == 0
    assert orders.stats.requests == {("GET", 504): 1}
    assert orders.stats.errors == {"upstream_timeout": 1}
    assert orders.stats.duration.sum == 2.5
    assert not nobody.requests


def test_what_belongs_to_no_upstream_is_counted_apart() -> None:
    nobody = UpstreamStats()
    record = Record(0.0, b"", b"", None, nobody)
    assert (record.name, nobody.in_flight) == (None, 1)
    record.end(0.0, 400, access=False)
    assert (nobody.in_flight, nobody.requests) == (0, {("OTHER", 400): 1})


@pytest.mark.parametrize(
    ("method", "label"),
    [
        *((name.encode(), name) for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
        *((name.encode(), name) for name in ("CONNECT", "TRACE")),
        (b"PURGE", "OTHER"),
        (b"get", "OTHER"),
        (b"", "OTHER"),
        (b"X" * 5000, "OTHER"),
    ],
)
def test_callers_cannot_make_labels(method: bytes, label: str) -> None:
    nobody = UpstreamStats()
    Record(0.0, method, b"/", None, nobody).end(0.0, CALLER_GONE, access=False)
    assert nobody.requests == {(label, 499): 1}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/b", "/a/b"),
        (b"/a?token=s3cret", "/a"),
        (b"/caf\xe9\x80", r"/caf\xe9\x80"),
        (b"/\x9b31m\x85", r"/\x9b31m\x85"),
        (b"", ""),
    ],
)
def test_the_access_log_has_the_path_without_its_query(target: bytes, path: str) -> None:
    with capture_logs() as lines:
        Record(10.0, b"GET", target, upstream(), UpstreamStats()).end(10.01234, 200, access=True)
    assert lines == [
        {
            "event": "request",
            "log_level": "info",
            "room": "access",
            "upstream": "orders",
            "method": "GET",
            "path": path,
            "status": 200,
            "milliseconds": 12.3,
        }
    ]


def test_without_an_access_log_there_is_no_line() -> None:
    with capture_logs() as lines:
        Record(0.0, b"GET", b"/", upstream(), UpstreamStats()).end(1.0, 200, access=False)
    assert lines == []
