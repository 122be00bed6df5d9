"""What the callers send, and what is read from a server's own counts: the same request whoever sends it."""

from __future__ import annotations

import pytest

from bench.__main__ import REAL_HEADERS, SCENARIOS
from bench.callers import Target, all_headers, wrk_script
from bench.figures import Scenario
from bench.load import request_bytes
from bench.world import Counts, nginx_counts

POST = Scenario("post-16", "4 KiB post", "/post", 16, (("X-A", 'say "a"'),), 4096)
TARGET = Target("http://127.0.0.1:8080", headers=(("Authorization", "Bearer t"),))


def test_wrk_is_told_the_whole_request() -> None:
    settings = wrk_script(POST, TARGET).partition("done =")[0].splitlines()
    assert settings == [
        'wrk.method = "POST"',
        'wrk.body = string.rep("x", 4096)',
        'wrk.headers["X-A"] = "say \\"a\\""',
        'wrk.headers["Content-Type"] = "application/json"',
        'wrk.headers["Authorization"] = "Bearer t"',
    ]


def test_the_callers_in_python_send_the_same() -> None:
    told = {"url": "http://127.0.0.1:8080/post", "headers": all_headers(POST, TARGET), "body_bytes": 4096}
    head, _, body = request_bytes(told).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /post HTTP/1.1",
        b"Host: 127.0.0.1:8080",
        b'X-A: say "a"',
        b"Content-Type: application/json",
        b"Authorization: Bearer t",
        b"Content-Length: 4096",
    ]
    assert body == b"x" * 4096


def test_a_bare_request_is_a_get_with_nothing_but_a_host() -> None:
    told = {"url": "http://127.0.0.1:8080", "headers": {}, "body_bytes": 0}
    assert request_bytes(told) == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"


def test_real_clients_send_a_dozen_headers() -> None:
    assert len(REAL_HEADERS) == 12
    assert len({name.lower() for name, _ in REAL_HEADERS}) == 12


@pytest.mark.parametrize("connections", [1, 16, 256])
def test_each_kind_of_request_is_made_on_few_and_on_many_connections(connections: int) -> None:
    keys = {one.key for one in SCENARIOS if one.connections == connections}
    assert {f"bare-{connections}", f"headers-{connections}"} <= keys


def test_the_counts_of_nginx() -> None:
    status = (
        "Active connections: 2 \nserver accepts handled requests\n 17 17 4711 \nReading: 0 Writing: 1 Waiting: 1 \n"
    )
    assert nginx_counts(status) == Counts(requests=4711, connections=17)
