"""A short round of each scenario, on real processes, with a seed that never changes: `make chaos` plays longer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from trials.chaos.__main__ import verdict_of
from trials.chaos.scenarios import SCENARIOS

SEED = 20_261_127
SECONDS = 3.0
"""Of faults. With start, warm-up, recovery and rest, a round takes some ten seconds."""

LONG = {"backoff"}
"""Waits for the sidecar's own next attempt, which may be minutes away."""


@pytest.mark.timeout(180)  # When all is lost: recovery, rest and the end each have their own bound.
@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - LONG))
async def test_whatever_is_done_to_it_the_invariants_hold(name: str, tmp_path: Path) -> None:
    report, failed = await verdict_of(name, SEED, SECONDS, tmp_path, print)
    assert not failed, report
