"""Who is next among the requests that wait for a connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forward.queue import Queue


def _all(queue: Queue[str]) -> list[str]:
    return [queue.take() for _ in range(len(queue))]


@pytest.mark.parametrize(
    ("came", "served"),
    [
        pytest.param(["w1", "w2", "w3"], ["w1", "w2", "w3"], id="whole ones as they came"),
        pytest.param(["b1", "b2", "b3"], ["b1", "b2", "b3"], id="those with a body to come as well"),
        pytest.param(["b1", "b2", "b3", "w1", "w2"], ["w1", "b1", "w2", "b2", "b3"], id="in turn"),
        pytest.param(["w1", "w2", "w3", "b1"], ["w1", "b1", "w2", "w3"], id="nobody is kept waiting for ever"),
    ],
)
def test_two_lines_are_served_in_turn(came: list[str], served: list[str]) -> None:
    queue: Queue[str] = Queue()
    for item in came:
        queue.put(item, whole=item.startswith("w"))
    assert _all(queue) == served


def test_a_crowd_of_slow_senders_keeps_nobody_else_waiting() -> None:
    queue: Queue[str] = Queue()
    for number in range(1000):
        queue.put(f"slow {number}", whole=False)
    queue.put("whole", whole=True)
    assert "whole" in (queue.take(), queue.take())


def test_who_leaves_is_not_served() -> None:
    queue: Queue[str] = Queue()
    for item in ("w1", "w2", "b1"):
        queue.put(item, whole=item.startswith("w"))
    queue.remove("w1")
    queue.remove("b1")
    queue.remove("b1")
    assert _all(queue) == ["w2"]


def test_nobody_waits() -> None:
    with pytest.raises(IndexError):
        Queue[str]().take()


@given(st.lists(st.booleans()))
def test_everybody_is_served_once_and_in_order_within_a_line(kinds: list[bool]) -> None:
    queue: Queue[tuple[bool, int]] = Queue()
    for number, whole in enumerate(kinds):
        queue.put((whole, number), whole=whole)
    served = [queue.take() for _ in kinds]
    assert not queue
    for kind in (True, False):
        line = [number for whole, number in served if whole is kind]
        assert line == [number for number, whole in enumerate(kinds) if whole is kind]
