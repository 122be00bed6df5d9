"""Users, groups and permissions of this machine: from a name, a number or an octal text to the model's types.

It asks the system's list of accounts and nothing else. As in `proxy.config.scalars`, what cannot be read raises
InvalidError with words that do not quote the text.
"""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Callable
from typing import Final

from proxy.config.model import FileMode, GroupId, UserId
from proxy.config.scalars import InvalidError
from proxy.config.words import got

A_MODE: Final = 'permissions as an octal number in quotes, such as "0660"'
MODE_PATTERN: Final = "^(0|0o)?[0-7]{3}$"

_LARGEST: Final = 2**32 - 2
"""The number after it, -1 to the system, stands for no change (chown(2))."""


def parse_mode(raw: object) -> FileMode:
    """Permissions from `"0660"`, `"660"` or `"0o660"`."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        # YAML 1.1 reads 0660 as 432, and 660 as it stands, which as an octal number is none of these permissions.
        text = f"{raw:04o}" if 0 <= raw <= 0o777 else f"{raw:04d}"
        hint = f'write "{text}"' if re.fullmatch("0[0-7]{3}", text) else "put it in quotes"
        raise InvalidError(f"expected {A_MODE}, got a number: {hint}")
    if not isinstance(raw, str):
        raise InvalidError(f"expected {A_MODE}, got {got(raw)}")
    if not re.fullmatch(MODE_PATTERN[1:-1], raw):
        raise InvalidError(f"expected {A_MODE}")
    mode = int(raw, 8)
    if not mode & 0o200:
        raise InvalidError(f"expected {A_MODE}: to connect takes the right to write, which not even the owner has here")
    return FileMode(mode)


def parse_user(raw: object) -> UserId:
    """A user's number, from it or from the name."""
    return UserId(_number(raw, "user", lambda name: pwd.getpwnam(name).pw_uid))


def parse_group(raw: object) -> GroupId:
    """A group's number, from it or from the name."""
    return GroupId(_number(raw, "group", lambda name: grp.getgrnam(name).gr_gid))


def _number(raw: object, what: str, find: Callable[[str], int]) -> int:
    expected = f"expected the name or the number of a {what}"
    if isinstance(raw, str):
        if not re.fullmatch("[0-9]+", raw):
            try:
                return find(raw)
            except (KeyError, ValueError):  # ValueError: a NUL, or half a surrogate pair
                raise InvalidError(f"{expected}, and this machine has no {what} of that name") from None
        raw = int(raw) if len(raw) < 12 else _LARGEST + 1
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise InvalidError(f"{expected}, got {got(raw)}")
    if not 0 <= raw <= _LARGEST:
        raise InvalidError(f"{expected}, from 0 to {_LARGEST}")
    return raw
