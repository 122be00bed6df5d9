"""One timer for many deadlines, on a loop that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable

from proxy.forward.ticker import Ticker
from tests.forward.make import HandLoop


class Item:
    """Notes when its deadline was seen to have passed."""

    def __init__(self, loop: HandLoop, deadline: float, then: Callable[[], None] = lambda: None) -> None:
        self._loop = loop
        self.deadline = deadline
        self.then = then
        self.called: list[float] = []

    def on_deadline(self) -> None:
        self.called.append(self._loop.now)
        self.then()


def test_a_deadline_is_noticed_at_most_one_interval_late() -> None:
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 0.5)
    exact, between, never = Item(loop, 1001.0), Item(loop, 1001.1), Item(loop, float("inf"))
    for item in (exact, between, never):
        ticker.watch(item)
        item.then = lambda item=item: ticker.forget(item)  # type: ignore[misc]
    loop.turn(10)
    assert (exact.called, between.called, never.called) == ([1001.0], [1001.5], [])


def test_it_is_called_again_until_the_deadline_is_moved() -> None:
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 1)
    item = Item(loop, 1002.0)
    ticker.watch(item)
    loop.turn(3.5)
    item.deadline = float("inf")
    loop.turn(3)
    assert item.called == [1002.0, 1003.0]


def test_one_timer_for_all_and_none_when_nothing_is_watched() -> None:
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 1)
    assert not loop.timers
    items = [Item(loop, float("inf")) for _ in range(9)]
    for item in items:
        ticker.watch(item)
        ticker.watch(item)
    loop.turn(1.5)
    assert len(loop.timers) == 1
    for item in items:
        ticker.forget(item)
        ticker.forget(item)
    loop.turn(1)
    assert not loop.timers
    again = Item(loop, 1003.5)
    ticker.watch(again)
    loop.turn(1)
    assert again.called == [1003.5], "it starts anew for what comes later"


def test_who_was_forgotten_is_not_called_even_at_the_same_tick() -> None:
    """One request's end may be the end of another: neither hears of its deadline after that."""
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 1)

    def forget_all() -> None:
        for item in items:
            ticker.forget(item)

    items = [Item(loop, 1000.5, then=forget_all) for _ in range(5)]
    for item in items:
        ticker.watch(item)
    loop.turn(5)
    assert sum(len(item.called) for item in items) == 1


def test_what_is_watched_during_a_tick_waits_for_the_next() -> None:
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 1)
    late = Item(loop, 0.0)
    first = Item(loop, 1001.0, then=lambda: ticker.watch(late))
    ticker.watch(first)
    loop.turn(1)
    assert late.called == []
    loop.turn(1)
    assert late.called == [1002.0]


def test_closing_ends_it_even_from_within_a_tick() -> None:
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 1)
    for _ in range(3):
        ticker.watch(Item(loop, 1001.0, then=ticker.close))
    loop.turn(1)
    assert not loop.timers
    ticker.close()
    assert not loop.timers


def test_after_standing_still_what_came_in_the_meantime_is_read_first() -> None:
    """A frozen process finds deadlines that have passed, and the answers to them in its sockets."""
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 0.5)
    answered, late = Item(loop, 1003.0), Item(loop, 1003.0)
    ticker.watch(answered)
    ticker.watch(late)
    loop.turn(1)
    loop.now += 60
    loop.turn(0)
    assert answered.called == []
    answered.deadline = float("inf")  # The event loop has come to its socket.
    late.then = lambda: ticker.forget(late)
    loop.turn(0.5)
    assert (answered.called, late.called) == ([], [1061.5])


def test_a_loop_that_is_always_slow_ends_requests_all_the_same() -> None:
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 0.5)
    item = Item(loop, 1003.0)
    ticker.watch(item)
    for _ in range(4):
        loop.now += 5
        loop.turn(0)
    assert item.called == [1010.0, 1020.0]
