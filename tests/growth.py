"""How the work of something grows with its size: counted in calls of functions, which no busy machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

FEW, MANY = 20, 160


def grows_linearly(work: Callable[[], object], more_work: Callable[[], object]) -> bool:
    """Whether `more_work`, on MANY things, takes about as many calls for each of them as `work` on FEW."""
    work()  # What is done once and remembered is not counted.
    return calls(more_work) / MANY < 1.5 * calls(work) / FEW


def calls(work: Callable[[], object]) -> int:
    """How many functions `work` calls, of Python's and of C's."""
    count = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
