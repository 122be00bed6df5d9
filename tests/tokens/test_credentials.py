"""Two secrets, and which of them is used."""

from __future__ import annotations

from proxy.config.model import Value
from proxy.tokens.credentials import Credentials

OLD, NEW, NEWER = Value("old-secret"), Value("new-secret"), Value("newer-secret")


def test_the_first_is_tried_first_until_the_other_one_works() -> None:
    credentials = Credentials((OLD, NEW))
    assert credentials.order() == (OLD, NEW)
    assert credentials.in_use == "1 of 2"
    assert credentials.worked(OLD) is False
    assert credentials.worked(NEW) is True
    assert credentials.order() == (NEW, OLD)
    assert credentials.in_use == "2 of 2"
    assert credentials.worked(NEW) is False


def test_a_replacement_keeps_the_one_that_works() -> None:
    credentials = Credentials((OLD, NEW))
    credentials.worked(NEW)
    assert credentials.replace((NEWER, NEW)) is True
    assert credentials.order() == (NEW, NEWER)
    assert credentials.replace((NEWER,)) is True
    assert credentials.order() == (NEWER,)
    assert credentials.in_use == "1 of 1"


def test_before_one_is_known_to_work_a_replacement_begins_with_the_first() -> None:
    credentials = Credentials((OLD,))
    credentials.replace((NEW, OLD))
    assert credentials.order() == (NEW, OLD)


def test_the_same_secrets_are_no_change() -> None:
    credentials = Credentials((OLD, NEW))
    assert credentials.replace((OLD, NEW)) is False
    assert credentials.replace((NEW, OLD)) is False
    assert credentials.replace((Value("new-secret", "env OTHER"), OLD)) is False


def test_a_secret_that_was_replaced_meanwhile_changes_nothing() -> None:
    credentials = Credentials((NEW, NEWER))
    assert credentials.worked(OLD) is False
    assert credentials.order() == (NEW, NEWER)


def test_no_secret_shows() -> None:
    assert repr(Credentials((OLD, NEW))) == "<credentials, secret 1 of 2>"
