"""The clock that other tests rely on."""

from __future__ import annotations

from tests.fakes import FakeClock


def test_calls_are_made_in_order_each_at_its_own_moment() -> None:
    clock = FakeClock(monotonic=0.0, wall=100.0)
    seen: list[tuple[str, float, float]] = []

    def note(name: str) -> None:
        seen.append((name, *clock.read()))

    def soon() -> None:
        clock.call_later(0.5, lambda: note("first"))

    clock.call_later(2.0, lambda: note("second"))
    clock.call_later(1.0, soon)
    clock.call_later(1.0, lambda: note("cancelled")).cancel()
    assert clock.timers == [1.0, 2.0]
    clock.advance(3.0)
    assert seen == [("first", 1.5, 101.5), ("second", 2.0, 102.0)]
    assert clock.read() == (3.0, 103.0)


def test_a_sleeping_machine_makes_no_calls() -> None:
    clock = FakeClock(monotonic=0.0, wall=100.0)
    timer = clock.call_later(2.0, lambda: None)
    clock.sleep(3600.0)
    assert timer.pending
    assert clock.read() == (0.0, 3700.0)
