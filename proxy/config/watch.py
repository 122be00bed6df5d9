"""Whether files have changed, by content: Kubernetes swaps symlinks, editors rename, and neither keeps an inode.

The service asks every couple of seconds, on the event loop: the files are few and small, and reading them takes
less than a thread would. Fingerprints must be taken before the load they are to be compared with, so that a
change in between is not missed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping

from proxy.config.scalars import InvalidError
from proxy.config.values import read_bytes

MISSING = "missing"
"""A file that cannot be read, for whatever reason: its coming back is a change too."""
NOT_A_FILE = "not a file"
"""A pipe or a device, such as `--config <(…)`: it can be read once, so it never counts as changed."""


def fingerprint(files: Iterable[str]) -> dict[str, str]:
    """By path: the SHA-256 of the content in hex, or MISSING, or NOT_A_FILE. Never raises for a file's sake."""
    return {path: _digest(path) for path in files}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The paths whose content differs, or that are in one of the two only, in order."""
    return [path for path in {**before, **after} if before.get(path) != after.get(path)]


def _digest(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return MISSING if stat.S_ISDIR(mode) else NOT_A_FILE
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except (OSError, ValueError, InvalidError):
        return MISSING
