"""What the benchmark has to know of a contender."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.site import Site

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".bench"
"""What `make bench-tools` and the contenders' own builds leave behind."""


class Contender(NamedTuple):
    """One program that forwards requests with a token."""

    key: str
    title: str
    install: str
    """What is missing where `version` finds nothing; `make bench-tools` installs it on Debian."""
    version: Callable[[], str]
    """What it is made of, with versions; "" where it is not installed. What has to be built is built here."""
    command: Callable[[Site, Path, int], list[str]]
    """Write its configuration into a directory of its own; the command that then listens at this port of loopback."""
