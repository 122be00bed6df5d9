"""Virtual time goes from one thing that is due to the next."""

from __future__ import annotations

from functools import partial

from trials.fleet.timeline import Timeline


def test_what_is_due_is_done_at_its_moment_and_in_order() -> None:
    timeline, done = Timeline(), list[tuple[str, float]]()

    def act(name: str) -> None:
        done.append((name, timeline.now))
        if name == "first":
            timeline.at(2.0, partial(act, "between"))
            timeline.at(0.5, partial(act, "too late"))

    for name, moment in (("last", 3.0), ("first", 1.0), ("with the last", 3.0), ("beyond", 3.5)):
        timeline.at(moment, partial(act, name))
    timeline.run(3.0)
    assert done == [("first", 1.0), ("too late", 1.0), ("between", 2.0), ("last", 3.0), ("with the last", 3.0)]
    assert timeline.now == 3.0
