"""One thing that was looked at, and how it is."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from proxy.explanations import Explanation, explain


class Mark(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should look at it."""
    FAIL = "fail"
    SKIP = "skip"
    """Not tried, because of what failed before."""


class Finding(NamedTuple):
    """One step's result. `name` is the explanation's where there is something to explain."""

    step: str
    """`token endpoint: name`, `token: scopes`, `upstream: with a token`."""
    mark: Mark
    detail: str
    """What was seen, on one line."""
    name: str = ""

    @property
    def explanation(self) -> Explanation | None:
        return explain(self.name) if self.name else None


def ok(step: str, detail: str) -> Finding:
    return Finding(step, Mark.OK, detail)


def warn(step: str, detail: str, name: str) -> Finding:
    return Finding(step, Mark.WARN, detail, name)


def fail(step: str, detail: str, name: str) -> Finding:
    return Finding(step, Mark.FAIL, detail, name)


def skip(step: str, detail: str) -> Finding:
    return Finding(step, Mark.SKIP, detail)
