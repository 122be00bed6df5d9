"""What callers ask: drawn from seed and caller alone, each request with an id of its own."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from trials.asks import KINDS
from trials.caller import Manner
from trials.chaos.mix import VIAS, Call, calls

MANY = 3_000


def _calls(seed: int = 1, caller: int = 1, count: int = MANY) -> list[Call]:
    return [*islice(calls(seed, caller), count)]


def test_a_seed_and_a_caller_give_one_stream() -> None:
    assert _calls(count=50) == _calls(count=50)
    assert _calls(count=50) != _calls(caller=2, count=50)
    assert _calls(count=50) != _calls(seed=2, count=50)


def test_no_id_comes_twice() -> None:
    ids = [ask.id for caller in (1, 2) for call in _calls(caller=caller) for ask in call.asks]
    assert len(ids) == len(set(ids))


def test_everything_is_asked_for_in_every_manner() -> None:
    drawn = _calls()
    asks = [ask for call in drawn for ask in call.asks]
    # Not "long": all its bytes are alike, so that another's would not show.
    assert {ask.kind for ask in asks} == set(KINDS) - {"long"}
    assert {call.via for call in drawn} == set(VIAS)
    assert {ask.method for ask in asks} == {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    assert max(ask.size for ask in asks) > 500_000
    assert {ask.chunked for ask in asks} == {True, False}
    manners = [call.manner for call in drawn]
    assert any(manner.leaves_after for manner in manners)
    assert any(manner.pace for manner in manners)
    assert any(manner.reads_slowly for manner in manners)
    assert any(manner.waits_for_100 for manner in manners)


def test_requests_at_once_are_such_as_keep_the_connection() -> None:
    lengths: Counter[int] = Counter()
    for call in _calls():
        lengths[len(call.asks)] += 1
        if len(call.asks) > 1:
            assert {ask.kind for ask in call.asks} <= {"sized", "chunked", "slow", "late", "once401"}
            assert call.manner == Manner(keep=call.manner.keep)
    assert lengths.keys() == {1, 2, 3, 4}


def test_only_what_has_a_body_is_sent_in_chunks() -> None:
    for call in _calls():
        for ask in call.asks:
            assert not ask.chunked or ask.body
            assert not ask.body or ask.method in ("POST", "PUT", "PATCH") or ask.kind == "socket"
