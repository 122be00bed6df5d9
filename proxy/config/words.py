"""How problems are worded: what was expected and what is there, without showing what may be secret."""

from __future__ import annotations

import re
from collections.abc import Iterable


def got(raw: object, *, quote: bool = False) -> str:
    """What a value of the file is, in words, without its text.

    With `quote`, a string was expected: say so where quotes would make it one. YAML 1.1 reads more than one
    thinks as something else: yes and on are booleans, 10:30 is 630, 2026-11-23 is a date.
    """
    if raw is None:
        return "nothing"
    if isinstance(raw, str):
        return "a string"
    if isinstance(raw, list):
        return "a list"
    if isinstance(raw, dict):
        return "a mapping"
    if isinstance(raw, bool):
        what = "true or false (YAML reads yes, no, on and off that way too)" if quote else "true or false"
    elif isinstance(raw, int | float):
        what = "a number"
    else:
        what = "a date" if hasattr(raw, "isoformat") else "something else"
    return f"{what}: put it in quotes" if quote else what


def key_name(key: object) -> str:
    """A key as a message may show it. One that looks like more than a name may hold a value that slipped into it:
    `client_secret:x`, without the space, is one key to YAML."""
    if isinstance(key, str) and re.fullmatch(r"[\w.-]{1,64}", key):
        return key
    return "<a key that is no plain name>" if isinstance(key, str) else f"<a key that is {got(key)}>"


def suggest(key: object, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is close, else nothing."""
    close = closest(key, known)
    return f"; did you mean {close}?" if close else ""


def closest(key: object, known: Iterable[str]) -> str:
    """The known name that `key` was probably meant for, or ""."""
    import difflib  # noqa: PLC0415 - only for a configuration that is wrong

    return next(iter(difflib.get_close_matches(str(key).lower(), known, n=1, cutoff=0.6)), "")
