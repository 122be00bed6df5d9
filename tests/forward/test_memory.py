"""What is remembered of a request, and what must not be."""

from __future__ import annotations

import pytest

from proxy.forward.admission import Admission, admit
from proxy.forward.guard import make_guard
from proxy.forward.http1 import parse_request_head
from proxy.forward.memory import LARGEST, MOST, Memory
from proxy.forward.routes import Routes
from tests.forward.make import settings, upstream

GUARD = make_guard(settings().listen, False, None)
ROUTES = Routes([upstream()])


def seen(memory: Memory, data: bytes) -> None:
    """A request that comes for the first time."""
    head = parse_request_head(data)
    decision = admit(head, GUARD, ROUTES, draining=False)
    assert isinstance(decision, Admission)
    memory.keep(data, head, decision)


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", "")).encode()


def test_the_same_bytes_are_the_same_request() -> None:
    memory = Memory()
    seen(memory, get("/a"))
    known = memory.recall(get("/a"))
    assert known is not None
    assert known[0].target == b"/a"
    assert known[1].outgoing.reveal().startswith(b"GET /a HTTP/1.1\r\n")
    assert memory.recall(get("/b")) is None
    memory.forget()
    assert memory.recall(get("/a")) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(get("/", "Authorization: Basic c2VjcmV0"), id="the caller's own credentials"),
        pytest.param(get("/", "COOKIE: session=1"), id="a cookie"),
        pytest.param(get("/" + "a" * LARGEST), id="too long"),
    ],
)
def test_what_is_private_or_large_is_not_kept(data: bytes) -> None:
    memory = Memory()
    seen(memory, data)
    assert memory.recall(data) is None


def test_the_oldest_goes_first() -> None:
    memory = Memory()
    for number in range(MOST + 1):
        seen(memory, get(f"/{number}"))
    assert memory.recall(get("/0")) is None
    assert memory.recall(get("/1")) is not None
    assert memory.recall(get(f"/{MOST}")) is not None
