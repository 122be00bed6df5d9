"""Tests that wait for one thing go together, and all others one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist import newhooks

from tests import conftest
from tests.sharing_out import TOGETHER, room_of


@pytest.mark.parametrize("room", TOGETHER)
def test_a_room_is_there_and_goes_together(room: str) -> None:
    place = Path(__file__).parents[1] / room
    files = place.glob("test_*.py") if place.is_dir() else [place]
    rooms = {room_of(f"{room}{file.name if place.is_dir() else ''}::test[{way}]") for file in files for way in "ab"}
    assert rooms == {room}


def test_another_test_goes_alone() -> None:
    assert room_of("tests/test_log.py::test[a]") != room_of("tests/test_log.py::test[b]")


def test_the_hook_has_the_name_that_pytest_xdist_asks_for() -> None:
    assert hasattr(newhooks, conftest.pytest_xdist_make_scheduler.__name__)
