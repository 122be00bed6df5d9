"""How tests are shared out among the processes that run them (`-n`).

One by one, so that none is left with a long file at the end. Only those that wait for one and the same thing that takes
its time to make (a browser, an image, an account) go together, and first. pytest-xdist's own way to say that, groups,
does nothing with pytest 9.2: it writes them into a field that items have no more.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadScopeScheduling

TOGETHER: Final = (
    "tests/browser/",
    "tests/image/",
    "tests/infra/",
    "tests/oncall/test_live.py",
    "tests/requirements/test_sbom.py",
)
"""Each a folder or file whose tests are run in one process."""


def room_of(nodeid: str) -> str:
    """What is given to a process in one piece: a room of `TOGETHER`, or this test alone."""
    return next((room for room in TOGETHER if nodeid.startswith(room)), nodeid)


class Rooms(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Rooms first, those of the most tests before others; then tests in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return room_of(nodeid)
