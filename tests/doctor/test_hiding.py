"""Credentials in what others say are put out of sight, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.doctor.hiding import hide

TOKEN = "eyJraWQiOiJhYmMifQ.eyJzY29wZSI6ImEvYiJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "credentials", "told"),
    [
        ("nothing of it", [TOKEN], "nothing of it"),
        (f"Bearer {TOKEN}!", [TOKEN], "Bearer …!"),
        (f"the first half: {TOKEN[:20]}", [TOKEN], "the first half: …"),
        (f"two: {TOKEN[:9]} {TOKEN[30:]}", [TOKEN], "two: … …"),
        ("a/b eyJraWQ", [TOKEN], "a/b eyJraWQ"),  # seven characters that every JWT begins with
        ("hunter2 is short, and so is it", ["hunter2"], "… is short, and so is it"),
        ("a secret of three letters: abc", ["abc"], "a secret of three letters: abc"),
        ("one and another", ["one and ", "another!"], "…another"),
        ("", [TOKEN], ""),
        ("no credentials", [], "no credentials"),
    ],
)
def test_what_is_told(text: str, credentials: list[str], told: str) -> None:
    assert hide(text, credentials) == told


@given(st.text(max_size=40), st.text(min_size=8, max_size=30), st.text(max_size=40))
def test_no_piece_of_a_credential_is_left(before: str, credential: str, after: str) -> None:
    told = hide(before + credential + after, [credential])
    assert not any(credential[at : at + 8] in told for at in range(len(credential) - 7))
