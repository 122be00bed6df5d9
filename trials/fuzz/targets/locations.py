"""Location and Content-Location: what points at the upstream leads back to the listener, all else stays as it came.

Input: the value of a Location field.

Oracle: `urllib.parse` reads the value before and after. One that was below the upstream's base URL is below the
listener's prefix after, with the same rest, query and fragment; any other is the same, byte for byte. Resolved against
the address that the caller asked for, a value that was mapped never leads to another host, and never carries the
upstream's name.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin, urlsplit

from proxy.forward.fields import Locations

ASKED: Final = "http://localhost:8080/local/x?y"
PLACES: Final = (
    Locations(b"https://api.test", b"", b"", b"http://localhost:8080"),
    Locations(b"https://api.test", b"/dev", b"/local", b"http://localhost:8080"),
    Locations(b"http://api.test:8000", b"/dev", b"", b"http://localhost:8080"),
)


def check(data: bytes) -> None:
    value = data.strip(b" \t")
    # urllib reads past control characters, which no field line may hold, and takes a few bytes for spaces.
    if any(byte < 0x21 or byte == 0x7F for byte in value):
        return
    for place in PLACES:
        mapped = place.to_local(value)
        if mapped != value:
            _judge(place, value.decode("latin-1"), mapped.decode("latin-1"))
        else:
            _judge_untouched(place, value.decode("latin-1"))


def _judge(place: Locations, before: str, after: str) -> None:
    base, prefix = place.base_path.decode(), place.prefix.decode()
    for reference in (before, after):
        urlsplit(reference)  # Raises ValueError for one that nobody can read.
    upstream = f"{place.origin.decode()}{base}/x"
    was, now = urlsplit(urljoin(upstream, before)), urlsplit(urljoin(ASKED, after))
    own = urlsplit(place.origin.decode())
    assert (was.scheme, was.hostname, _port(was)) == (own.scheme, own.hostname, _port(own)), "it was not the upstream's"
    assert was.path == base or was.path.startswith(base + "/"), "it was not below the base path"
    assert (now.scheme, now.netloc) == ("http", "localhost:8080"), "it leads elsewhere"
    assert now.path == prefix + (was.path[len(base) :] or "/"), "it leads to another path"
    assert (now.query, now.fragment) == (was.query, was.fragment)


def _judge_untouched(place: Locations, value: str) -> None:
    """A plain URL of the upstream's must not slip through: the caller would leave the sidecar, without its token."""
    if value.startswith(f"{place.origin.decode()}{place.base_path.decode()}/") and "." not in value.partition("//")[2]:
        raise AssertionError("it leads past the sidecar")


def _port(parts: object) -> int:
    port: int | None = getattr(parts, "port", None)
    return port or {"https": 443, "http": 80}[getattr(parts, "scheme", "")]
