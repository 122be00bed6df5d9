"""By which names the admin listener may be asked."""

from __future__ import annotations

import pytest

from proxy.admin.hosts import is_foreign


@pytest.mark.parametrize(
    ("host", "foreign"),
    [
        (None, False),
        ("", False),
        ("localhost", False),
        ("localhost:9090", False),
        ("LOCALHOST.:9090", False),
        ("127.0.0.1:9090", False),
        ("10.0.0.7", False),
        ("[::1]:9090", False),
        ("[::ffff:127.0.0.1]", False),
        ("sidecar:9090", False),
        ("evil.example", True),
        ("evil.example:9090", True),
        ("EVIL.example.:9090", True),
        ("evil.localhost", True),
        ("127.0.0.1.evil.example", True),
        ("1.example", True),
        ("localhost:9090.evil.example", True),
        ("[::1].evil.example", True),
        ("evil.example@localhost", True),
        ("a:b:c", True),
        ("metrics.internal:9090", False),
        ("METRICS.internal", False),
        ("other.internal", True),
    ],
)
def test_a_name_with_a_dot_is_foreign_unless_it_is_known(host: str | None, foreign: bool) -> None:
    assert is_foreign(host, ("metrics.internal",)) is foreign


def test_any_name_may_be_known() -> None:
    assert not is_foreign("evil.example", ("*",))
