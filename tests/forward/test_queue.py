"""Who is next among the requests that wait for a connection, and who makes room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forward.queue import Line, Queue

LINES = {"a": Line.AGAIN, "k": Line.KNOWN, "w": Line.WHOLE, "p": Line.PARTIAL}


def _queue(*came: str, at: float = 0.0) -> Queue[str]:
    queue: Queue[str] = Queue()
    for item in came:
        queue.put(item, LINES[item[0]], at)
    return queue


def _all(queue: Queue[str]) -> list[str]:
    return [queue.take(new=True) or "nobody" for _ in range(len(queue))]


@pytest.mark.parametrize(
    ("came", "served"),
    [
        pytest.param(["k1", "k2", "k3"], ["k1", "k2", "k3"], id="in a line as they came"),
        pytest.param(["w1", "w2", "w3"], ["w1", "w2", "w3"], id="in another one as well"),
        pytest.param(["p1", "p2", "p3"], ["p1", "p2", "p3"], id="and in the last"),
        pytest.param(["p1", "p2", "w1", "w2", "k1", "k2"], ["k1", "w1", "p1", "k2", "w2", "p2"], id="in turn"),
        pytest.param(["w1", "w2", "w3", "p1"], ["w1", "p1", "w2", "w3"], id="nobody is kept waiting for ever"),
        pytest.param(["k1", "w1", "a1", "p1", "a2"], ["a1", "a2", "k1", "w1", "p1"], id="who lost one comes first"),
    ],
)
def test_lines_are_served_in_turn(came: list[str], served: list[str]) -> None:
    assert _all(_queue(*came)) == served


@pytest.mark.parametrize("crowd", ["p", "w"])
def test_a_crowd_keeps_no_known_caller_waiting(crowd: str) -> None:
    queue = _queue(*(f"{crowd}{number}" for number in range(1000)))
    queue.take(new=False)
    queue.put("known", Line.KNOWN, 1.0)
    assert "known" in (queue.take(new=False), queue.take(new=False))


def test_since_when_somebody_waits() -> None:
    queue = _queue("w1", at=5.0)
    queue.put("k1", Line.KNOWN, 7.0)
    queue.put("p1", Line.PARTIAL, 6.0)
    assert queue.since == 5.0
    queue.remove("w1")
    assert queue.since == 6.0


@pytest.mark.parametrize(
    ("waiting", "line", "displaced"),
    [
        ("k1 w1 p1 p2", Line.KNOWN, "p2"),
        ("k1 w1 p1 p2", Line.WHOLE, "p2"),
        ("k1 w1 p1 p2", Line.PARTIAL, None),
        ("k1 w1 w2", Line.KNOWN, "w2"),
        ("k1 w1 w2", Line.WHOLE, None),
        ("k1 k2", Line.KNOWN, None),
        ("", Line.KNOWN, None),
        ("a1 k1", Line.AGAIN, "k1"),
        ("a1", Line.AGAIN, None),
        ("a1", Line.KNOWN, None),
    ],
)
def test_who_makes_room(waiting: str, line: Line, displaced: str | None) -> None:
    queue = _queue(*waiting.split())
    assert queue.displace(line) == displaced
    assert sorted(_all(queue)) == sorted(one for one in waiting.split() if one != displaced)


def test_who_leaves_is_not_served() -> None:
    queue = _queue("w1", "w2", "p1", "w3")
    queue.remove("w1")
    queue.remove("p1")
    queue.remove("p1")
    assert _all(queue) == ["w2", "w3"]


def test_nobody_waits() -> None:
    assert _queue().take(new=True) is None


def test_a_used_connection_is_not_for_who_needs_a_new_one() -> None:
    queue = _queue("a1", "w1")
    assert [queue.take(new=False), queue.take(new=False)] == ["w1", None]
    assert len(queue) == 1


@given(st.lists(st.sampled_from(list(Line))))
def test_everybody_is_served_once_and_in_order_within_a_line(kinds: list[Line]) -> None:
    queue: Queue[tuple[Line, int]] = Queue()
    for number, kind in enumerate(kinds):
        queue.put((kind, number), kind, 0.0)
    served = [queue.take(new=True) for _ in kinds]
    assert not queue
    for kind in Line:
        line = [item[1] for item in served if item is not None and item[0] is kind]
        assert line == [number for number, one in enumerate(kinds) if one is kind]
