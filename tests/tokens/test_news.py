"""Waiting for news of a fetch."""

from __future__ import annotations

import asyncio

import pytest

from proxy.tasks import spawn
from proxy.tokens.news import News
from tests.fakes import FakeClock, settle


async def test_all_who_wait_are_told() -> None:
    clock = FakeClock()
    news = News(clock)
    waiting = [spawn(news.listen(5.0), name="waiter") for _ in range(3)]
    await settle()
    assert not any(task.done() for task in waiting)
    news.tell()
    await asyncio.gather(*waiting)
    assert clock.timers == [], "whoever has been told holds no timer"


async def test_nobody_waits_longer_than_asked() -> None:
    clock = FakeClock()
    news = News(clock)
    short, long = spawn(news.listen(5.0), name="short"), spawn(news.listen(9.0), name="long")
    await clock.turn(5.0)
    assert (short.done(), long.done()) == (True, False)
    await clock.turn(4.0)
    assert long.done()


async def test_one_that_goes_away_takes_nothing_from_the_others() -> None:
    clock = FakeClock()
    news = News(clock)
    gone, stays = spawn(news.listen(5.0), name="gone"), spawn(news.listen(5.0), name="stays")
    await settle()
    gone.cancel()
    news.tell()
    await stays
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert clock.timers == []
