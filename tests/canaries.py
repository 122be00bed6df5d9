"""Secrets that are looked for where none may be: whole or in part, plain or in any form in which they travel."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

PIECE = 16
"""Characters in a row that give a secret away. Every run of half as many more has one of the pieces that are sought."""


def spellings(secret: str) -> set[str]:
    """A secret as it is, as documents and programs quote it, and in the middle of something encoded."""
    raw = secret.encode()
    found = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        repr(raw)[2:-1],
        html.escape(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        raw.hex(),
        raw.hex().upper(),
    }
    for text in (raw, quote_plus(secret).encode()):
        for before in range(3):
            # What stands before it decides where a character begins; the first and the last depend on the neighbours.
            bits = (before + len(text)) * 8
            for encode in (b64encode, urlsafe_b64encode):
                found.add(encode(bytes(before) + text)[-(-before * 8 // 6) : bits // 6].decode())
    return found


def _pieces(secret: str) -> Iterator[str]:
    for text in spellings(secret):
        for start in range(0, max(1, len(text) - PIECE + 1), PIECE // 2):
            yield text[start : start + PIECE]


def leaks(secrets: Mapping[str, str] | Iterable[str], told: Mapping[str, str]) -> list[str]:
    """Which secrets which of the texts give away. Secrets are no shorter than a piece."""
    named = secrets if isinstance(secrets, Mapping) else {f"secret {index}": one for index, one in enumerate(secrets)}
    assert all(len(secret) >= PIECE for secret in named.values()), "too short to be told from other text"
    sought = {piece: name for name, secret in named.items() for piece in _pieces(secret)}
    found = set()
    for place, text in told.items():
        there = {text[start : start + PIECE] for start in range(len(text) - PIECE + 1)}
        found |= {f"{place} tells {sought[piece]}: {piece!r}" for piece in there & sought.keys()}
    return sorted(found)
