"""What can be told of a secret in Secrets Manager, for `/status` and the metrics. Never its text."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class ReadError(NamedTuple):
    """The last reading that failed. It stays after a success, for whoever asks what it was."""

    reason: str
    detail: str
    at: float
    """Unix time."""


class SecretStatus(NamedTuple):
    """One secret at one moment. Times are Unix time in seconds, None where there is nothing to tell."""

    id: str
    region: str
    """"" where AWS's own settings decide."""
    version: str | None
    """The id of the version that is held."""
    has_previous: bool
    """There is an AWSPREVIOUS that differs."""
    read_at: float | None
    """The last time that it was read well."""
    changed_at: float | None
    """The last time that a reading brought another text."""
    next_read_at: float | None
    failing: bool
    """The last reading failed: what is held may be old."""
    last_error: ReadError | None


class SecretStats:
    """Readings so far, by result: `success`, `failure`."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
