"""Users, groups and permissions: what is read, and what a person is told to write instead."""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from proxy.config.accounts import MODE_PATTERN, parse_group, parse_mode, parse_user
from proxy.config.scalars import InvalidError


@pytest.mark.parametrize(
    ("text", "mode"),
    [("0660", 0o660), ("660", 0o660), ("0o660", 0o660), ("0600", 0o600), ("0777", 0o777), ("220", 0o220)],
)
def test_modes(text: str, mode: int) -> None:
    assert parse_mode(text) == mode
    assert re.search(MODE_PATTERN, text)


@pytest.mark.parametrize("text", ["", "0", "66", "0668", "1777", "00660", "u+rw", "-660", "0x1b0", "rw-rw----"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InvalidError, match=r'as an octal number in quotes, such as "0660"$'):
        parse_mode(text)
    assert not re.search(MODE_PATTERN, text)


@pytest.mark.parametrize("text", ["0440", "0060", "0000", "577"])
def test_a_mode_with_which_not_even_the_owner_could_connect(text: str) -> None:
    with pytest.raises(InvalidError, match="the right to write, which not even the owner has here"):
        parse_mode(text)


@pytest.mark.parametrize("written", ["0660", "660", "0600", "600", "0777", "777", "0640", "640", "0700", "700", "0666"])
def test_a_mode_without_quotes_is_told_how_to_write_it(written: str) -> None:
    """YAML has made a number of it, of 0660 another one than of 660."""
    raw = yaml.safe_load(written)
    assert isinstance(raw, int)
    with pytest.raises(InvalidError) as caught:
        parse_mode(raw)
    assert str(caught.value).endswith(f'got a number: write "{int(written):04d}"')


@pytest.mark.parametrize(
    ("raw", "got"),
    [
        (99999, "a number: put it in quotes"),
        (-1, "a number: put it in quotes"),
        (True, "true or false"),
        (None, "nothing"),
        ([], "a list"),
        (6.6, "a number"),
    ],
)
def test_what_is_no_mode_at_all(raw: object, got: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_mode(raw)
    assert str(caught.value).endswith(f"got {got}")


ROOT = pwd.getpwuid(0).pw_name
ROOTS = grp.getgrgid(0).gr_name


@pytest.mark.parametrize(
    ("parse", "name", "what"), [(parse_user, ROOT, "user"), (parse_group, ROOTS, "group")], ids=["user", "group"]
)
def test_users_and_groups(parse: Callable[[Any], int], name: str, what: str) -> None:
    assert (parse(name), parse(0), parse("0"), parse(1000), parse("1000"), parse(2**32 - 2)) == (
        *(0, 0, 0, 1000, 1000),
        2**32 - 2,
    )
    for unknown in ("no-such-name", "", "a\0b", "\ud800", "-1", "٣"):
        with pytest.raises(InvalidError, match=f"of a {what}, and this machine has no {what} of that name$"):
            parse(unknown)
    for number in (-1, 2**32 - 1, str(2**32 - 1), "9" * 5000):
        with pytest.raises(InvalidError, match=f"of a {what}, from 0 to 4294967294$"):
            parse(number)
    for raw, got in ((None, "nothing"), (True, "true or false"), (["x"], "a list"), (1.5, "a number")):
        with pytest.raises(InvalidError, match=f"the number of a {what}, got {got}$"):
            parse(raw)
