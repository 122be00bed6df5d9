"""Faults chosen without a socket: what each does to the answer that was due."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.emulator.answers import Answer
from proxy.emulator.faults import AnyFault, parse
from proxy.emulator.outcomes import Planned, Voice, plan


def planned(fault: AnyFault | None) -> tuple[Planned, int]:
    """What is planned, and how often the proper answer was asked for."""
    asked: list[int] = []

    def proper() -> Answer:
        asked.append(1)
        return Answer(200, (("A", "1"),), b"proper", "allowed")

    def raw(status: int, body: bytes, content_type: str) -> Answer:
        return Answer(status, (("Content-Type", content_type),), body, "")

    voice = Voice(proper, lambda fault: raw(fault.status, b"failed", "x/y"), raw)
    return plan(fault, voice, bytes), len(asked)


@pytest.mark.parametrize(
    ("fault", "status", "body", "dropped", "halved"),
    [
        (None, 200, b"proper", False, False),
        ({"fault": "delay", "seconds": 1}, 200, b"proper", False, False),
        ({"fault": "cut"}, 200, b"proper", False, True),
        ({"fault": "drop"}, 500, b"", True, False),
        ({"fault": "error", "error": "invalid_grant"}, 400, b'{"error":"invalid_grant"}', False, False),
        ({"fault": "status", "status": 502}, 502, b"failed", False, False),
        ({"fault": "empty"}, 200, b"", False, False),
        ({"fault": "answer", "status": 302, "body": "ü"}, 302, "ü".encode(), False, False),
    ],
)
def test_what_a_fault_makes_of_an_answer(
    fault: dict[str, Any] | None, status: int, body: bytes, dropped: bool, halved: bool
) -> None:
    found, asked = planned(parse({"token": [fault]}).token[0] if fault else None)
    assert (found.answer.status, found.answer.body, found.dropped, found.halved) == (status, body, dropped, halved)
    assert found.answer.outcome == (f"fault:{fault['fault']}" if fault else "allowed")
    # A proper answer issues a token, so one that is not sent is not made.
    assert asked == (1 if body == b"proper" else 0)


def test_ordered_headers_take_the_place_of_usual_ones() -> None:
    fault = parse({"rest": [{"fault": "answer", "headers": {"content-TYPE": "a/b", "X": "1"}}]}).rest[0]
    assert planned(fault)[0].answer.fields == (("content-TYPE", "a/b"), ("X", "1"))
