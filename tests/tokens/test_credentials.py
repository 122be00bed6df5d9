"""Two secrets, and which of them is used."""

from __future__ import annotations

import pytest

from proxy.config.model import Value
from proxy.tokens.credentials import Credentials, SecretUse

OLD, NEW, NEWER = Value("old-secret", "file /old"), Value("new-secret"), Value("newer-secret")


def test_the_first_is_tried_first_until_the_other_one_works() -> None:
    credentials = Credentials((OLD, NEW))
    assert credentials.order() == (OLD, NEW)
    assert credentials.in_use == "1 of 2"
    assert credentials.worked(OLD, 1) is False
    assert credentials.worked(NEW, 2) is True
    assert credentials.order() == (NEW, OLD)
    assert credentials.in_use == "2 of 2"
    assert credentials.worked(NEW, 3) is False


@pytest.mark.parametrize(
    ("before", "works", "after", "order", "in_use"),
    [
        # By the book: the new one is put first, used from then on, and then stands alone.
        ((OLD,), OLD, (NEW, OLD), (NEW, OLD), "2 of 2"),
        ((NEW, OLD), NEW, (NEW,), (NEW,), "1 of 1"),
        # Put last, it is there for when the old one stops to work.
        ((OLD,), OLD, (OLD, NEW), (OLD, NEW), "1 of 2"),
        # One that does not work is not tried again and again for standing first.
        ((OLD, NEW), NEW, (OLD, NEW), (NEW, OLD), "2 of 2"),
        ((OLD, NEW), NEW, (NEW, OLD), (NEW, OLD), "1 of 2"),
        ((OLD, NEW), NEW, (NEWER, NEW), (NEWER, NEW), "2 of 2"),
        ((OLD, NEW), NEW, (NEW, NEWER), (NEW, NEWER), "1 of 2"),
        ((OLD,), OLD, (NEW,), (NEW,), "1 of 1"),
        # Before any has worked, the first one it is.
        ((OLD,), None, (NEW, OLD), (NEW, OLD), "1 of 2"),
        ((OLD, NEW), None, (NEW, OLD), (NEW, OLD), "1 of 2"),
    ],
)
def test_which_one_is_tried_first_after_a_change(
    before: tuple[Value, ...], works: Value | None, after: tuple[Value, ...], order: tuple[Value, ...], in_use: str
) -> None:
    credentials = Credentials(before)
    if works is not None:
        credentials.worked(works, 1)
    credentials.replace(after)
    assert credentials.order() == order
    assert credentials.in_use == in_use


def test_the_same_secrets_are_no_change() -> None:
    credentials = Credentials((OLD, NEW))
    assert credentials.replace((OLD, NEW)) is False
    assert credentials.replace((NEW, OLD)) is False
    assert credentials.replace((Value("new-secret", "env OTHER"), OLD)) is False
    assert credentials.replace((NEWER, OLD)) is True


def test_a_secret_that_was_replaced_meanwhile_changes_nothing() -> None:
    credentials = Credentials((NEW, NEWER))
    assert credentials.worked(OLD, 1) is False
    credentials.refused(OLD, 1)
    assert credentials.order() == (NEW, NEWER)
    assert [use.accepted_at or use.refused_at for use in credentials.uses()] == [None, None]


def test_the_same_secret_twice_is_one() -> None:
    credentials = Credentials((OLD, Value("old-secret", "file /again")))
    assert credentials.order() == (OLD,)
    assert credentials.in_use == "1 of 1"
    credentials.worked(OLD, 1)
    assert credentials.replace((NEW, OLD)) is True
    assert credentials.order() == (NEW, OLD)
    assert credentials.replace((NEW, NEW)) is True
    assert credentials.order() == (NEW,)


def test_that_only_the_other_one_works_is_a_switch() -> None:
    assert Credentials((OLD, NEW)).worked(NEW, 1) is True


def test_a_rotation_can_be_followed() -> None:
    credentials = Credentials((OLD,))
    assert credentials.uses() == (SecretUse("file /old", False, None, None, None),)
    credentials.worked(OLD, 10)
    credentials.worked(OLD, 20)
    assert credentials.uses() == (SecretUse("file /old", True, 10, 20, None),)

    credentials.replace((NEW, OLD))
    new, old = credentials.uses()
    assert new == SecretUse("literal", False, None, None, None)
    assert old == SecretUse("file /old", True, 10, 20, None)

    assert credentials.worked(NEW, 30) is True
    credentials.worked(NEW, 40)
    new, old = credentials.uses()
    assert new == SecretUse("literal", True, 30, 40, None)
    assert old == SecretUse("file /old", False, None, 20, None)

    credentials.refused(NEW, 50)
    credentials.worked(OLD, 51)
    new, old = credentials.uses()
    assert new == SecretUse("literal", False, None, 40, 50)
    assert old == SecretUse("file /old", True, 51, 51, None)

    # What was known of one that is gone is gone as well.
    credentials.replace((NEW,))
    credentials.replace((NEW, OLD))
    assert credentials.uses()[1].accepted_at is None


def test_no_secret_shows() -> None:
    credentials = Credentials((OLD, NEW))
    assert repr(credentials) == "<credentials, secret 1 of 2>"
    assert "-secret" not in repr(credentials.uses())
