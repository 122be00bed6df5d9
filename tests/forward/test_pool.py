"""Which request gets which connection, and when one is opened or dropped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.forward.pool import connections_to_open, outlived
from proxy.forward.queue import Line
from tests.forward.pools import House


@pytest.mark.parametrize(
    ("waiting", "opening", "open_now", "limit", "expected"),
    [
        pytest.param(0, 0, 0, 10, 0, id="nobody waits"),
        pytest.param(3, 0, 0, 10, 3, id="one for each"),
        pytest.param(3, 2, 0, 10, 1, id="less those on their way"),
        pytest.param(1, 3, 0, 10, 0, id="more on their way than wait"),
        pytest.param(3, 0, 9, 10, 1, id="room for one"),
        pytest.param(3, 1, 9, 10, 0, id="that one is on its way"),
        pytest.param(3, 0, 10, 10, 0, id="no room"),
        pytest.param(3, 0, 12, 10, 0, id="less than no room, after a reload"),
    ],
)
def test_how_many_to_open(waiting: int, opening: int, open_now: int, limit: int, expected: int) -> None:
    assert connections_to_open(waiting, opening, open_now, limit) == expected


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(1, 9))
def test_never_over_the_limit_and_never_too_few(waiting: int, opening: int, open_now: int, limit: int) -> None:
    more = connections_to_open(waiting, opening, open_now, limit)
    assert more >= 0
    assert more == 0 or open_now + opening + more <= limit
    assert opening + more >= waiting or open_now + opening + more >= limit


@pytest.mark.parametrize(("now", "expected"), [(10.0, False), (59.9, False), (60.0, True), (99.0, True)])
def test_when_a_connection_has_outlived_its_time(now: float, expected: bool) -> None:
    assert outlived(10.0, now, 50.0) is expected


# Taking and giving back.


async def test_a_connection_is_opened_for_a_request_and_used_again() -> None:
    house = House()
    assert house.take() is None
    request = house.wait()
    assert house.counts == (0, 0, 1)
    await house.accept()
    connection = await request.given
    await house.settle()
    assert house.counts == (0, 1, 0)
    house.pool.release(connection.real)
    assert house.counts == (1, 0, 0)
    assert house.take() is connection
    assert house.counts == (0, 1, 0)
    assert house.stats.connects == {"success": 1}


async def test_the_last_one_used_is_the_first_one_used() -> None:
    house = House()
    first, second = await house.get(), await house.get()
    house.pool.release(first.real)
    house.pool.release(second.real)
    assert house.take() is second
    assert house.take() is first
    assert house.take() is None


async def test_the_limit_holds_and_who_waited_longest_is_served_first() -> None:
    house = House(limit=1)
    connection = await house.get()
    await house.settle()
    first, second = house.wait(), house.wait()
    assert house.counts == (0, 1, 0)
    house.pool.release(connection.real)
    assert await first.given is connection
    assert not second.given.done()
    house.pool.release(connection.real)
    assert await second.given is connection


async def test_a_connection_that_broke_is_closed_and_its_place_is_free() -> None:
    house = House(limit=1)
    connection = await house.get()
    await house.settle()
    waiting = house.wait()
    connection.usable = False
    house.pool.release(connection.real)
    assert connection.closed
    assert not waiting.given.done()
    connection.gone()
    await house.accept()
    assert await waiting.given is not connection


async def test_what_was_never_taken_cannot_be_given_back() -> None:
    house = House()
    connection = await house.get()
    house.pool.release(connection.real)
    house.pool.release(connection.real)
    assert house.counts[:2] == (1, 0)
    connection.gone()
    assert house.counts[:2] == (0, 0)
    house.pool.release(connection.real)
    assert house.take() is None


async def test_an_idle_connection_that_broke_is_passed_over() -> None:
    house = House()
    good, broken = await house.get(), await house.get()
    house.pool.release(good.real)
    house.pool.release(broken.real)
    broken.usable = False
    assert house.take() is good


# Requests that go, connections that fail.


async def test_a_failure_is_for_the_one_who_waited_longest() -> None:
    house = House(limit=1)
    first, second = house.wait(), house.wait()
    await house.accept(Refusal("upstream_unreachable", "refused"))
    with pytest.raises(Refusal, match="refused"):
        await first.given
    await house.accept()  # The next has its own attempt.
    await second.given
    assert house.stats.connects == {"failure": 1, "success": 1}


async def test_a_connection_that_is_closed_as_soon_as_it_is_made_takes_no_place() -> None:
    """Its end came before the pool had it: were it counted as busy then, it would be for ever."""
    house = House(limit=1)
    first, second = house.wait(), house.wait()
    await house.accept(stays=False)
    with pytest.raises(Refusal) as caught:
        await first.given
    assert caught.value.name == "upstream_unreachable"
    await house.accept()
    await second.given
    assert house.stats.connects == {"failure": 1, "success": 1}


async def test_a_connection_is_opened_for_the_pool_and_not_for_the_request() -> None:
    house = House()
    gone = house.wait()
    house.pool.stop_waiting(gone)
    house.pool.stop_waiting(gone)
    await house.accept()
    await house.settle()
    assert house.counts == (1, 0, 0)
    assert not gone.given.done()


async def test_a_failure_that_nobody_waits_for_is_only_counted() -> None:
    house = House()
    house.pool.stop_waiting(house.wait())
    await house.accept(Refusal("upstream_unreachable", "refused"))
    await house.settle()
    assert house.counts == (0, 0, 0)
    assert house.stats.connects == {"failure": 1}


async def test_a_request_that_was_served_by_another_leaves_its_connection_for_the_next() -> None:
    house = House()
    connection = await house.get()
    await house.settle()
    waiting = house.wait()
    house.pool.release(connection.real)
    assert await waiting.given is connection
    await house.accept()
    await house.settle()
    assert house.counts == (1, 1, 0)


async def test_a_lost_connection_is_replaced_for_those_who_wait() -> None:
    house = House(limit=1)
    connection = await house.get()
    await house.settle()
    waiting = house.wait()
    connection.gone()
    assert house.counts == (0, 0, 1)
    await house.accept()
    await waiting.given


# A new one is asked for.


async def test_a_fresh_connection_takes_the_place_of_the_oldest_idle_one() -> None:
    house = House(limit=2)
    old, newer = await house.get(), await house.get()
    await house.settle()
    house.pool.release(old.real)
    house.pool.release(newer.real)
    request = house.wait(Line.AGAIN)
    assert (old.closed, newer.closed) == (True, False)
    assert house.counts == (1, 0, 1)
    await house.accept()
    assert await request.given not in (old, newer)


async def test_a_fresh_connection_closes_nothing_where_there_is_room_or_nothing_idle() -> None:
    house = House(limit=2)
    idle = await house.get()
    await house.settle()
    house.pool.release(idle.real)
    fresh = house.wait(Line.AGAIN)
    assert not idle.closed
    await house.accept()
    await fresh.given
    await house.settle()
    assert house.take() is idle
    waiting = house.wait(Line.AGAIN)
    assert house.counts == (0, 2, 0)
    assert not waiting.given.done()


async def test_a_used_connection_is_for_others_and_makes_room_for_a_new_one() -> None:
    """The next used one may be as dead as the one that was lost."""
    house = House(limit=1)
    used = await house.get()
    again, ordinary = house.wait(Line.AGAIN), house.wait()
    house.pool.release(used.real)
    assert await ordinary.given is used
    assert not again.given.done()
    house.pool.release(used.real)
    await house.settle()
    assert used.closed
    used.gone()
    last = house.wait()
    await house.accept()
    new = await again.given
    assert new is not used
    house.pool.release(new.real)
    assert await last.given is new


async def test_a_connection_stays_while_a_new_one_is_being_made() -> None:
    house = House(limit=2)
    used = await house.get()
    again = house.wait(Line.AGAIN)
    house.pool.release(used.real)
    assert not used.closed
    await house.accept()
    assert await again.given is not used


async def test_who_waits_for_a_new_connection_hears_that_there_is_none() -> None:
    house = House(limit=1)
    again = house.wait(Line.AGAIN)
    await house.accept(Refusal("upstream_unreachable", "refused"))
    with pytest.raises(Refusal, match="refused"):
        await again.given


# Time, and the end.


async def test_idle_connections_are_dropped_when_their_time_is_over() -> None:
    house = House(keepalive=50)
    old, newer = await house.get(), await house.get()
    house.pool.release(old.real)
    house.loop.turn(20)
    house.pool.release(newer.real)
    house.loop.turn(31)
    assert (old.closed, newer.closed) == (True, False)
    old.gone()
    assert house.loop.timers
    house.loop.turn(20)
    assert newer.closed
    newer.gone()
    house.loop.turn(60)
    assert house.counts[:2] == (0, 0)
    assert not house.loop.timers, "nothing idle, nothing to watch"


async def test_the_watch_begins_again_with_the_next_idle_connection() -> None:
    house = House(keepalive=10)
    connection = await house.get()
    house.pool.release(connection.real)
    assert house.take() is connection
    house.loop.turn(30)
    assert not connection.closed, "a busy connection has all the time it needs"
    assert house.pool.deadline == float("inf")
    house.pool.release(connection.real)
    house.loop.turn(11)
    assert connection.closed


async def test_an_outlived_connection_is_not_used_even_before_it_is_dropped() -> None:
    house = House(keepalive=10)
    connection = await house.get()
    house.pool.release(connection.real)
    house.loop.now += 10
    assert house.take() is None
    assert connection.closed


async def test_without_a_keepalive_no_connection_is_used_again() -> None:
    house = House(keepalive=0)
    connection = await house.get()
    house.pool.release(connection.real)
    assert house.take() is None
    assert connection.closed


async def test_a_retired_pool_serves_what_is_under_way_and_keeps_nothing() -> None:
    house = House(limit=3)
    idle, busy = await house.get(), await house.get()
    await house.settle()
    house.pool.release(idle.real)
    waiting, left = house.wait(), house.wait()
    assert house.counts == (1, 1, 1)
    house.pool.retire()
    assert (idle.closed, busy.closed) == (True, False)
    house.pool.release(busy.real)
    assert await waiting.given is busy, "who waits is served"
    house.pool.stop_waiting(left)
    house.pool.release(busy.real)
    assert busy.closed
    await house.accept()
    await house.settle()
    assert house.pool.idle == 1, "the closed one, until its end shows"
    idle.gone()
    assert house.pool.idle == 0
