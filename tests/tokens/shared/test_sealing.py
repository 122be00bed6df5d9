"""An entry in the cache is of no use to anybody who has not the client's secret."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import Auth, Url, Value
from proxy.secret import Secret
from proxy.tokens.identity import lasting_identity
from proxy.tokens.shared.rules import Entry, Note
from proxy.tokens.shared.sealing import LONGEST, NONCE, Seal, lock_name

ENTRY = Entry(Secret("eyJ.token.text"), 1_800_000_000.5, 3600.0, ("a/x", "a/y"))


NOTE = Note("timeout", 1_800_000_000.5)


def _auth(**changes: Any) -> Auth:
    fields = {
        "token_url": Url("https", "idp.example", 443, "/t"),
        "client_id": Value("id"),
        "client_secret": (Value("secret"),),
        "scopes": ("a/x", "a/y"),
        **changes,
    }
    return Auth(**fields)


def _seal(secret: str = "secret", **changes: Any) -> Seal:
    return Seal(lasting_identity(_auth(**changes)), Value(secret))


SEALED = _seal().close(ENTRY, os.urandom(NONCE))


def test_what_was_closed_opens() -> None:
    assert _seal().open(SEALED) == ENTRY


def test_nothing_of_it_can_be_read() -> None:
    for part in (b"token", b"text", b"a/x", b"3600", b"secret"):
        assert part not in SEALED
    assert "secret" not in repr(_seal())
    assert "eyJ" not in repr(ENTRY)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(_seal("another secret"), id="another secret"),
        pytest.param(_seal(client_id=Value("other")), id="another client"),
        pytest.param(_seal(scopes=("a/x",)), id="other scopes"),
        pytest.param(_seal(token_url=Url("https", "other.example", 443, "/t")), id="another endpoint"),
        pytest.param(_seal(extra_params={"a": Value("b")}), id="other parameters"),
        pytest.param(_seal(method="post"), id="another method"),
    ],
)
def test_nobody_else_opens_it_and_it_has_another_name(other: Seal) -> None:
    assert other.open(SEALED) is None
    assert other.name != _seal().name


def test_a_note_opens_as_a_note_with_the_same_secret() -> None:
    sealed = _seal().close_note(NOTE, os.urandom(NONCE))
    assert _seal().open_note(sealed) == NOTE
    assert _seal("another secret").open_note(sealed) is None
    assert b"timeout" not in sealed


def test_a_note_is_no_entry_and_an_entry_no_note() -> None:
    assert _seal().open(_seal().close_note(NOTE, os.urandom(NONCE))) is None
    assert _seal().open_note(SEALED) is None
    assert _seal().note_name != _seal().name


def test_a_note_has_a_reason_that_there_is() -> None:
    made_up = NOTE._replace(reason="\x1b[2J")  # type: ignore[arg-type]
    assert _seal().open_note(_seal().close_note(made_up, os.urandom(NONCE))) is None


def test_the_order_of_scopes_does_not_matter() -> None:
    assert _seal(scopes=("a/y", "a/x")).open(SEALED) == ENTRY


def test_one_lock_for_a_client_whatever_its_secret() -> None:
    one = lasting_identity(_auth())
    assert lock_name(one) == lock_name(lasting_identity(_auth(client_secret=(Value("new"), Value("secret")))))
    assert lock_name(one) != lock_name(lasting_identity(_auth(client_id=Value("other"))))
    assert lock_name(one) != _seal().name


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_one_changed_byte_is_noticed(at: int, change: int) -> None:
    broken = SEALED[:at] + bytes([SEALED[at] ^ change]) + SEALED[at + 1 :]
    assert _seal().open(broken) is None


@given(st.binary(max_size=200))
def test_any_bytes_will_do(data: bytes) -> None:
    assert _seal().open(data) is None
    assert _seal().open_note(data) is None


@pytest.mark.parametrize("cut", [0, 1, NONCE, NONCE + 1, len(SEALED) - 1])
def test_a_cut_is_noticed(cut: int) -> None:
    assert _seal().open(SEALED[:cut]) is None


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(ENTRY._replace(life=0.0), id="no life"),
        pytest.param(ENTRY._replace(life=float("inf")), id="eternal life"),
        pytest.param(ENTRY._replace(obtained=float("nan")), id="no time"),
        pytest.param(ENTRY._replace(token=Secret("")), id="no token"),
        pytest.param(ENTRY._replace(token=Secret("x" * 17_000)), id="too long a token"),
        pytest.param(ENTRY._replace(token=Secret("x\r\nHost: evil.example")), id="more than one field"),
        pytest.param(ENTRY._replace(token=Secret("x y")), id="two words"),
        pytest.param(ENTRY._replace(scopes=("a/x", "\r\n")), id="scopes that are none"),
        pytest.param(ENTRY._replace(token=Secret("x" * LONGEST)), id="far too long"),
    ],
)
def test_what_nobody_should_have_written_is_not_believed(entry: Entry) -> None:
    assert _seal().open(_seal().close(entry, os.urandom(NONCE))) is None
