"""By which name the admin listener was asked, and whether that could be a web page's. Pure.

This is against DNS rebinding: a page whose name is made to lead to this machine has the listener as its own origin,
and may read what it answers. Its requests name it in Host, and that alone tells them from others.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::\d*)?")
_ADDRESS = re.compile(r"\[.*\]|[\d.]+")
"""No domain ends in digits alone, so that nobody can have a name that looks like this."""


def is_foreign(host: str | None, known: Collection[str]) -> bool:
    """Whether `host`, a Host field, may be a page's name: of two labels or more, no address, and not `known`.

    Names of one label (`localhost`, a container's, a service's) are not for anybody on the Internet to have. `known`
    are in lower case, or `*` for all. Without a Host it is HTTP/1.0, which no browser speaks.
    """
    if host is None or "*" in known:
        return False
    authority = _AUTHORITY.fullmatch(host)
    if authority is None:
        return True
    name = authority[1].lower()
    return "." in name.rstrip(".") and not _ADDRESS.fullmatch(name) and name not in known
