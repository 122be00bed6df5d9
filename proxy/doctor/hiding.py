"""What others say, less the credentials that it may repeat. Pure.

API Gateway itself quotes the header that it could not read, and a token endpoint may put anything into a claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Final

_PIECE: Final = 8
"""Characters of a credential that say something of it."""
_WORD: Final = 4
"""Shorter credentials could be any word's part."""


def hide(text: str, credentials: Iterable[str]) -> str:
    """`text` with `…` in place of each run of characters that is a piece of a credential, or a whole short one."""
    pieces = {piece for credential in credentials for piece in _pieces(credential)}
    hidden = [False] * len(text)
    for length in {len(piece) for piece in pieces}:
        for at in range(len(text) - length + 1):
            if text[at : at + length] in pieces:
                hidden[at : at + length] = [True] * length
    runs = groupby(zip(text, hidden, strict=True), key=lambda pair: pair[1])
    return "".join("…" if secret else "".join(char for char, _ in run) for secret, run in runs)


def _pieces(credential: str) -> Iterable[str]:
    if len(credential) <= _PIECE:
        return [credential] if len(credential) >= _WORD else []
    return (credential[at : at + _PIECE] for at in range(len(credential) - _PIECE + 1))
