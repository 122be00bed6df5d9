"""What is asked and what has to come: the same for both ends, and another for each id."""

from __future__ import annotations

import pytest

from trials.asks import KINDS, Ask, answer_body, event, read_target, request_body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", ["", "/base", "/two/levels"])
def test_the_upstream_reads_what_the_caller_wrote(kind: str, before: str) -> None:
    ask = Ask("run-7.12", kind=kind, size=300, seconds=0.25)  # type: ignore[arg-type]
    assert read_target(before + ask.target) == ask


@pytest.mark.parametrize("target", ["/", "/sized/", "/nothing/1?size=1&seconds=0", "/sized/1?size=x&seconds=0"])
def test_other_targets_are_no_asks(target: str) -> None:
    assert read_target(target) is None


def test_bodies_are_the_ids_own() -> None:
    one, other = (Ask(id, body=500, size=500) for id in ("1", "2"))
    bodies = {request_body(one), request_body(other), answer_body(one), answer_body(other)}
    assert len(bodies) == 4
    assert {len(body) for body in bodies} == {500}
    assert answer_body(one) == answer_body(one._replace(method="POST", body=7))


def test_a_stream_is_made_of_its_events() -> None:
    assert answer_body(Ask("e", kind="events", size=3)) == event("e", 0) + event("e", 1) + event("e", 2)


def test_who_answers_nothing_has_no_body() -> None:
    assert answer_body(Ask("e", kind="eof", size=3)) == b""
