"""What is fuzzed. Each module has `check(data)`: it raises AssertionError, or whatever else must never be raised.

The oracles share no line with what they judge: where one has to read HTTP, `tests.conformance.reader` does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

Check = Callable[[bytes], None]

TARGETS: Final = {
    "paths": "http",
    "heads": "http",
    "bodies": "http",
    "requests": "http",
    "responses": "http",
    "locations": "http",
    "egress": "http",
    "tokens": "tokens",
    "config": "config",
}
"""Each with the dictionary of words that its inputs are made of."""


def load(target: str) -> Check:
    """The check of a target. Imported only now: whoever wants the code below it instrumented can see to that."""
    check: Check = importlib.import_module(f"{__name__}.{target}").check
    return check
