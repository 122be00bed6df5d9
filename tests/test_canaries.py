"""The search for secrets finds them in every form, and nothing where there is none."""

from __future__ import annotations

import gzip
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote_plus

import pytest

from tests.canaries import leaks

SECRET = "s3cr:/+ %&ü\"'=~-0123456789abcdef"


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda s: s, id="as it is"),
        pytest.param(lambda s: s[: len(s) // 2 + 8], id="its beginning"),
        pytest.param(lambda s: s[8:], id="its end"),
        pytest.param(repr, id="as Python shows it"),
        pytest.param(lambda s: repr(s.encode()), id="as Python shows its bytes"),
        pytest.param(quote_plus, id="in a form"),
        pytest.param(lambda s: s.encode().hex(), id="in hexadecimal digits"),
        pytest.param(lambda s: b64encode(f"id:{s}".encode()).decode(), id="in Basic"),
        pytest.param(lambda s: b64encode(f"a-id:{quote_plus(s)}".encode()).decode(), id="in Basic, encoded first"),
        pytest.param(lambda s: urlsafe_b64encode(f"ab-id:{s}!".encode()).decode(), id="in base64 for URLs"),
        pytest.param(lambda s: b64encode(f"id:{s}".encode()).decode()[20:], id="a part of Basic"),
    ],
)
def test_a_secret_is_found(told: Callable[[str], str]) -> None:
    assert leaks({"it": SECRET}, {"page": f"before {told(SECRET)} after", "log": "nothing"})[0].startswith(
        "page tells it"
    )


def test_what_is_no_secret_is_not_found() -> None:
    assert leaks([SECRET], {"page": "s3cr and 0123456789 and abcdef", "log": "", "zip": str(gzip.compress(b"x"))}) == []


def test_a_short_secret_is_no_canary() -> None:
    with pytest.raises(AssertionError, match="too short"):
        leaks(["secret"], {})
