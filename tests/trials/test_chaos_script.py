"""The script of a round: drawn from its seed alone, with all that there is to try, and never in its own way."""

from __future__ import annotations

from itertools import combinations
from typing import get_args

import msgspec
import pytest

from proxy.emulator.faults import TokenFault, parse
from proxy.emulator.oauth import OAuthError
from trials.chaos.scenarios import SCENARIOS
from trials.chaos.script import ENDPOINT_FAULTS, KINDS, PASSING, Fault, write_script

ALL = tuple(KINDS)


def test_a_seed_gives_one_script() -> None:
    assert write_script(ALL, 7, 30) == write_script(ALL, 7, 30)
    assert write_script(ALL, 7, 30) != write_script(ALL, 8, 30)


@pytest.mark.parametrize("seed", range(20))
def test_faults_come_in_order_and_are_over_in_time(seed: int) -> None:
    script = write_script(ALL, seed, 20)
    assert [fault.at for fault in script] == sorted(fault.at for fault in script)
    assert all(0 < fault.at < 20 and fault.ends <= 20.02 for fault in script)


@pytest.mark.parametrize("seed", range(20))
def test_faults_that_need_the_same_thing_do_not_overlap(seed: int) -> None:
    for one, other in combinations(write_script(ALL, seed, 60), 2):
        needs = KINDS[one.kind].needs
        if needs and needs == KINDS[other.kind].needs:
            assert other.at >= one.ends


def test_each_kind_has_its_turn() -> None:
    kinds = [fault.kind for fault in write_script(ALL, 3, 60)]
    assert set(kinds) == set(ALL)


def test_scenarios_play_known_kinds_and_all_of_them() -> None:
    played = {kind for scenario in SCENARIOS.values() for kind in scenario.kinds}
    assert played == set(ALL)


def test_a_fault_is_told_in_one_line() -> None:
    assert str(Fault(1.0, "upstream killed", 0.44)) == "upstream killed for 0.4 s"
    assert str(Fault(1.0, "keys rotated", detail={"keep_old": True})) == "keys rotated (keep_old True)"


def test_the_token_endpoint_fails_in_every_way_that_the_emulator_knows() -> None:
    tags = {msgspec.inspect.type_info(kind).tag for kind in get_args(TokenFault)}  # type: ignore[attr-defined]
    assert {fault["fault"] for fault in ENDPOINT_FAULTS} == tags
    assert {fault["error"] for fault in ENDPOINT_FAULTS if fault["fault"] == "error"} == set(get_args(OAuthError))
    assert len(parse({"token": list(ENDPOINT_FAULTS)}).token) == len(ENDPOINT_FAULTS)
    assert len(PASSING) < len(ENDPOINT_FAULTS)
