"""The answers in the sidecar's own name, byte by byte."""

from __future__ import annotations

import json

import pytest

from proxy.errors import KINDS, Name, Refusal
from proxy.forward.answers import answer
from proxy.forward.http1 import find_head_end, parse_response_head

NAMES: list[Name] = sorted(KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_its_whole_answer(name: Name) -> None:
    data = answer(Refusal(name, "why it is so"), upstream="orders", close=False)
    end = find_head_end(data)
    head = parse_response_head(data[:end])
    assert head.status == KINDS[name].status
    assert head.reason
    assert head.named[b"x-sidecar-error"] == name.encode()
    assert head.named[b"content-type"] == b"application/problem+json"
    assert head.named[b"cache-control"] == b"no-store"
    assert head.length == len(data) - end
    assert json.loads(data[end:]) == {
        "type": f"urn:cognito-sidecar:error:{name}",
        "title": KINDS[name].title,
        "status": KINDS[name].status,
        "detail": "why it is so",
        "upstream": "orders",
    }


def test_the_sidecar_never_says_401() -> None:
    assert 401 not in {kind.status for kind in KINDS.values()}


def test_to_head_goes_the_head_alone() -> None:
    refusal = Refusal("no_route", "x")
    whole = answer(refusal, upstream=None, close=False)
    assert answer(refusal, upstream=None, close=False, with_body=False) == whole[: find_head_end(whole)]


@pytest.mark.parametrize(("close", "options"), [(True, {b"close"}), (False, set())])
def test_whether_the_connection_closes(close: bool, options: set[bytes]) -> None:
    data = answer(Refusal("bad_request", "x"), upstream=None, close=close)
    assert parse_response_head(data[: find_head_end(data)]).connection == options


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, None), (0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.01, b"2"), (59.5, b"60")],
)
def test_retry_after_is_in_whole_seconds_and_never_too_early(seconds: float | None, text: bytes | None) -> None:
    data = answer(Refusal("token_unavailable", "x", retry_after=seconds), upstream=None, close=False)
    assert parse_response_head(data[: find_head_end(data)]).named.get(b"retry-after") == text


@pytest.mark.parametrize(
    ("detail", "read"),
    [
        pytest.param("a\r\nX-Sidecar-Error: forged\r\n\r\n<b>", None, id="line breaks stay in the JSON"),
        pytest.param('quotes " and \\', None, id="quotes"),
        pytest.param("Grüße \U0001f600", None, id="beyond ASCII"),
        pytest.param("half \ud800 a pair", "half ? a pair", id="half a surrogate pair, which is no UTF-8"),
    ],
)
def test_any_detail_is_an_answer(detail: str, read: str | None) -> None:
    data = answer(Refusal("token_unavailable", detail), upstream=None, close=True)
    end = find_head_end(data)
    head = parse_response_head(data[:end])
    assert head.length == len(data) - end
    assert head.named[b"x-sidecar-error"] == b"token_unavailable"
    document = json.loads(data[end:])
    assert document["detail"] == (detail if read is None else read)
    assert document["upstream"] is None
