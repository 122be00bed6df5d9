"""The machine's own clock, as the program is handed it."""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy.clock import SystemClock


def test_it_reads_both_clocks() -> None:
    clock = SystemClock()
    before, reading, after = time.monotonic(), clock.read(), time.monotonic()

    assert before <= reading.monotonic <= after
    assert reading.wall == pytest.approx(time.time(), abs=5)


@pytest.mark.uvloop
async def test_it_calls_later_in_order_unless_cancelled() -> None:
    clock = SystemClock()
    called: list[str] = []
    done = asyncio.Event()

    clock.call_later(0.02, done.set)
    clock.call_later(0.01, lambda: called.append("second"))
    clock.call_later(0.005, lambda: called.append("cancelled")).cancel()
    clock.call_later(0, lambda: called.append("first"))
    await done.wait()

    assert called == ["first", "second"]
