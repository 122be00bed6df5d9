"""How fast a body has to come."""

from __future__ import annotations

from math import inf

import pytest

from proxy.forward.pace import NO_BODY, QUANTUM, Pace


def test_nothing_is_due_before_the_body_is_wanted() -> None:
    assert (Pace(60).due, Pace(60).since) == (inf, inf)
    assert NO_BODY.due == inf


@pytest.mark.parametrize(
    ("arrivals", "due"),
    [
        pytest.param([], 160, id="nothing came"),
        pytest.param([(101, 1), (102, 2), (150, QUANTUM - 1)], 160, id="a byte now and then is no progress"),
        pytest.param([(130, QUANTUM)], 190, id="a whole quantum is"),
        pytest.param([(130, QUANTUM), (180, 2 * QUANTUM - 1)], 190, id="and then the next one counts"),
        pytest.param([(130, 5 * QUANTUM), (140, 5 * QUANTUM + 5)], 190, id="however much came at once"),
    ],
)
def test_each_quantum_has_its_time(arrivals: list[tuple[float, int]], due: float) -> None:
    pace = Pace(60)
    pace.begin(100, 0)
    for now, size in arrivals:
        pace.came(now, size)
    assert pace.due == due


def test_time_stands_still_while_the_body_is_not_wanted() -> None:
    pace = Pace(60)
    pace.begin(100, 0)
    pace.stop()
    assert (pace.due, pace.since) == (inf, inf)
    pace.begin(500, 900)
    assert pace.due == 560
    pace.came(510, 900 + QUANTUM)
    assert pace.since == 510


def test_without_a_span_a_body_may_take_for_ever_but_is_seen_to_be_slow() -> None:
    pace = Pace(inf)
    pace.begin(100, 0)
    assert (pace.due, pace.since) == (inf, 100)
