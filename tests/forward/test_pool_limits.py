"""When all connections to an upstream are busy: who is given up, who is turned away, and who waits."""

from __future__ import annotations

import pytest

from proxy.errors import Refusal
from proxy.forward.pool import patience_left
from proxy.forward.queue import Line
from tests.fakes import settle
from tests.forward.pools import PATIENCE, House
from tests.growth import FEW, MANY, calls


@pytest.mark.parametrize(
    ("waiting", "limit", "longest", "left"),
    [
        pytest.param(1, 100, 0.0, 2.5, id="nobody waits long"),
        pytest.param(1000, 100, 1.2, 2.5, id="many, but none of them long"),
        pytest.param(1, 1, 1.3, 1.25, id="one alone"),
        pytest.param(50, 100, 1.3, 2.5, id="fewer than connections"),
        pytest.param(100, 100, 1.3, 1.25, id="as many"),
        pytest.param(500, 100, 1.3, 0.25, id="more"),
        pytest.param(10_000, 100, 5.0, 0.2, id="very many"),
    ],
)
def test_patience_is_less_where_many_wait_long(waiting: int, limit: int, longest: float, left: float) -> None:
    assert patience_left(PATIENCE, waiting, limit, longest) == left


def test_patience_is_never_more_than_usual() -> None:
    assert patience_left(0.1, 1000, 1, 1.0) == 0.1


async def test_a_connection_that_stood_still_is_given_up_for_who_waits() -> None:
    house = House()
    slow, quick = await house.get(), await house.get()
    await house.settle()
    slow.stalled_since = house.loop.now - PATIENCE
    waiting = house.wait()
    assert [slow.given_up, quick.given_up] == [True, False]
    slow.gone()
    await house.accept()
    assert await waiting.given not in (slow, quick)


async def test_no_connection_is_given_up_before_its_time() -> None:
    house = House()
    slow, quick = await house.get(), await house.get()
    await house.settle()
    slow.stalled_since = house.loop.now
    waiting = house.wait()
    house.loop.turn(PATIENCE - 1)
    assert [slow.given_up, quick.given_up] == [False, False]
    house.loop.turn(2)
    assert [slow.given_up, quick.given_up] == [True, False]
    house.pool.stop_waiting(waiting)


async def test_nothing_is_given_up_for_nobody() -> None:
    house = House()
    slow = await house.get()
    slow.stalled_since = house.loop.now - 100
    await house.get()
    house.loop.turn(100)
    assert not slow.given_up


async def test_no_more_are_given_up_than_others_wait() -> None:
    house = House(limit=4)
    busy = [await house.get() for _ in range(4)]
    await house.settle()
    for since, connection in enumerate(busy, 1):
        connection.stalled_since = float(since)
    house.wait()
    assert [connection.given_up for connection in busy] == [True, False, False, False]
    house.wait()
    house.loop.turn(1)
    assert [connection.given_up for connection in busy] == [True, True, False, False]


async def test_a_request_that_waits_costs_the_same_however_many_connections_are_busy() -> None:
    async def cost(limit: int) -> int:
        house = House(limit=limit)
        for _ in range(limit):
            await house.get()
        await house.settle()
        house.wait()  # Whether any of them stands still has been seen now, and is not looked at again at once.
        return calls(house.wait)

    assert await cost(FEW) == await cost(MANY)


async def test_room_for_one_more_costs_nobody_a_connection() -> None:
    house = House()
    slow = await house.get()
    slow.stalled_since = 0
    house.wait()
    assert house.pool.opening == 1
    assert not slow.given_up


async def test_what_those_who_wait_are_waiting_for() -> None:
    house = House(limit=3)
    first = house.wait()
    assert house.pool.cannot_connect, "nothing but the upstream"
    await house.accept()
    await first.given
    second = house.wait()
    assert house.pool.cannot_connect, "there is room for one more, and it is being made"
    house.wait()
    house.wait()
    assert house.pool.cannot_connect, "most places are"
    await house.accept()
    await second.given
    await settle()
    assert not house.pool.cannot_connect, "others have most of them"


async def test_who_sends_all_at_once_does_not_wait_behind_all_who_do_not() -> None:
    house = House(limit=1)
    busy = await house.get()
    slow = [house.wait(Line.PARTIAL) for _ in range(3)]
    whole = house.wait()
    for _ in range(2):
        house.pool.release(busy.real)
    assert whole.given.done()
    assert [one.given.done() for one in slow] == [True, False, False]
    assert house.pool.waiting == 2


async def test_who_still_waits_when_the_pool_is_retired_is_served() -> None:
    house = House(limit=1)
    slow = await house.get()
    waiting = house.wait()
    await house.settle()
    house.pool.retire()
    slow.stalled_since = house.loop.now
    house.loop.turn(PATIENCE + 1)
    assert slow.given_up
    slow.gone()
    await house.accept()
    assert await waiting.given is not slow


async def test_a_rush_that_is_still_being_opened_for_looks_for_nobody_to_give_up() -> None:
    house = House(limit=3)
    slow = await house.get()
    slow.stalled_since = 0
    for _ in range(2):
        house.wait()
    assert (house.pool.opening, slow.given_up) == (2, False)
    house.wait()
    assert slow.given_up


async def test_who_is_displaced_hears_of_it() -> None:
    house = House(limit=1)
    await house.get()
    slow = house.wait(Line.PARTIAL)
    assert not house.pool.displace(Line.PARTIAL)
    assert house.pool.displace(Line.WHOLE)
    with pytest.raises(Refusal) as refused:
        await slow.given
    assert (refused.value.name, refused.value.retry_after) == ("overloaded", 1)
    assert not house.pool.waiting
