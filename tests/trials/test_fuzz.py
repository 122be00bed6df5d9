"""The corpus of the fuzzers, input by input; and that each oracle sees the fault that it is there for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from proxy import egress
from proxy.config import values
from proxy.config.scalars import InvalidError
from proxy.forward import admission, body, caller, connection, fields, guard
from proxy.forward.body import Piece
from proxy.forward.fields import RequestRules
from proxy.forward.http1 import BadMessage, RequestHead
from proxy.tokens import endpoint
from tests.conformance.reader import Unreadable
from trials.fuzz.corpus import DICTIONARIES, SEEDS, seeds
from trials.fuzz.cuts import cuts
from trials.fuzz.targets import TARGETS, load

CORPUS = [(target, file.name) for target in TARGETS for file in seeds(target)]


@pytest.mark.parametrize(("target", "name"), CORPUS)
def test_every_input_of_the_corpus(target: str, name: str) -> None:
    load(target)((SEEDS / target / name).read_bytes())


def test_nothing_of_the_corpus_is_left_out() -> None:
    assert {folder.name for folder in SEEDS.iterdir()} == TARGETS.keys()
    assert {file.name for file in DICTIONARIES.iterdir()} == {f"{name}.dict" for name in TARGETS.values()}


@pytest.mark.parametrize("name", sorted(set(TARGETS.values())))
def test_dictionaries_are_in_the_form_that_libfuzzer_reads(name: str) -> None:
    lines = (DICTIONARIES / f"{name}.dict").read_text(encoding="ascii").splitlines()
    words = [line for line in lines if line and not line.startswith("#")]
    assert [word for word in words if not re.fullmatch(r'"(?:[ !#-\[\]-~]|\\\\|\\"|\\x[0-9a-f]{2})+"', word)] == []


@pytest.mark.parametrize("data", [b"", b"a", b"some bytes that a network may cut", b"x" * 5_000])
def test_cuts_lose_nothing_and_are_always_the_same(data: bytes) -> None:
    ways = cuts(data)
    assert all(b"".join(pieces) == data for pieces in ways)
    assert ways == cuts(data)
    assert len(ways) == (2 if len(data) == 5_000 else 3)


def _anything(*_: object, **__: object) -> None:
    return None


def _no_parameters(part: bytes, segment: bytes) -> bool:
    return guard._matches_segment(part, segment)


class _Trusting(body.ChunkedBody):
    """Takes the first line for the whole of a chunk."""

    def feed(self, data: bytes) -> list[Piece]:
        self.done = data.endswith(b"0\r\n\r\n")
        return [data]


def _as_it_came(head: RequestHead, target: bytes, rules: RequestRules, *, websocket: bool) -> bytes:
    return b"\r\n".join((b"%b %b HTTP/1.1" % (head.method, target), *head.lines, rules.lines.reveal()))


def _first_line_only(self: Any) -> None:
    self._status = 200
    self._end = len(self._received)


def _quoting(path: str) -> bytes:
    raise InvalidError("cannot be used: hush4secret")


@pytest.mark.parametrize(
    ("target", "name", "where", "what", "instead"),
    [
        pytest.param("paths", "dots-encoded", admission, "check_spelling", _anything, id="no check of the spelling"),
        pytest.param("paths", "parameter-for-a-suffix", guard, "_matches_both", _no_parameters, id="parameters"),
        pytest.param("heads", "hop-by-hop", admission, "request_head", _as_it_came, id="nothing is dropped"),
        pytest.param("heads", "foreign-host", admission, "check_caller", _anything, id="no check of the caller"),
        pytest.param("responses", "error-of-ours", fields, "_RESPONSE_DROPS", frozenset(), id="a forged error"),
        pytest.param("responses", "chunk-too-long", connection, "response_body", lambda *_: _Trusting(), id="framing"),
        pytest.param("requests", "pipelined", caller, "request_body", lambda _: body._NO_BODY, id="a body left unread"),
        pytest.param("egress", "says-more", egress._Asking, "on_headers_complete", _first_line_only, id="more"),
        pytest.param("tokens", "token-with-newline", endpoint, "_TOKEN", re.compile(r"(?s).+"), id="any token"),
        pytest.param("config", "from-files", values, "read_bytes", _quoting, id="a secret in a problem"),
    ],
)
def test_each_oracle_sees_the_faults_it_is_for(
    monkeypatch: pytest.MonkeyPatch, target: str, name: str, where: Any, what: str, instead: Any
) -> None:
    check: Callable[[bytes], None] = load(target)
    data = (SEEDS / target / name).read_bytes()
    check(data)
    monkeypatch.setattr(where, what, instead)
    with pytest.raises((AssertionError, Unreadable, BadMessage)):
        check(data)
