"""Ways in which a network may cut the same bytes into pieces. Pure: the same input is always cut alike."""

from __future__ import annotations

import random
import zlib

_SHORT = 200
"""Up to so many bytes an input is fed byte by byte as well."""


def cuts(data: bytes) -> list[list[bytes]]:
    """The pieces: all at once; a few, where a draw from the input itself puts the cuts; and each byte alone."""
    draw = random.Random(zlib.crc32(data))
    places = sorted({draw.randrange(len(data)) for _ in range(draw.randrange(1, 5))} - {0}) if data else []
    some = [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]
    ways = [[data], some]
    if len(data) <= _SHORT:
        ways.append([data[at : at + 1] for at in range(len(data))])
    return ways
