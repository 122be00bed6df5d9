"""When memory is given back to the system."""

from __future__ import annotations

import pytest

from proxy.heap import RUSH, Heap, is_over


@pytest.mark.parametrize(
    ("connections", "most", "over"),
    [(0, RUSH - 1, False), (0, RUSH, True), (RUSH, RUSH, False), (RUSH, 2 * RUSH, True), (RUSH + 1, 2 * RUSH, False)],
)
def test_a_rush_is_over_when_many_have_gone_and_few_are_left(connections: int, most: int, over: bool) -> None:
    assert is_over(connections, most) is over


def test_once_after_each_rush() -> None:
    trimmed = []
    heap = Heap(lambda: trimmed.append(seen))
    for seen in (0, 1000, 5000, 4000, 3000, 2500, 2400, 2000, 3000, 1500, 10, 0, 0, 100, 0):
        heap.look(seen)
    assert trimmed == [2500, 1500, 10]


def test_the_systems_own_way_can_be_called() -> None:
    heap = Heap()
    heap.look(RUSH)
    heap.look(0)
