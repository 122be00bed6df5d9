"""Where a target's inputs are: those of the repository, and what runs on this machine have added."""

from __future__ import annotations

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SEEDS: Final = HERE / "corpus"
"""In the repository: a folder for each target, a file for each input, named for what it means."""
DICTIONARIES: Final = HERE / "dictionaries"
GROWN: Final = HERE.parents[1] / ".fuzz"
"""What runs leave behind: inputs that reached something new, inputs that found a fault, and logs."""


def seeds(target: str) -> list[Path]:
    """The repository's inputs for a target."""
    return sorted((SEEDS / target).iterdir())
