"""The probes: what fails them, what must not, and that they say which upstream and why."""

from __future__ import annotations

import pytest

from proxy.admin.probes import livez, readyz, startupz
from proxy.admin.view import UpstreamView
from tests.admin.fakes import NOW, FakeView, Token, empty, expired, failing, stale, upstream


def test_livez_depends_on_nothing_remote() -> None:
    view = FakeView([upstream(token=failing(expired()))], draining=True, started=False)
    assert livez(view).status == 200


def test_livez_fails_when_renewal_has_ended() -> None:
    answer = livez(FakeView(living=False))
    assert answer.status == 503
    assert "renewal task has ended" in answer.text


@pytest.mark.parametrize(
    ("token", "started", "ready"),
    [
        (Token(), 200, 200),
        (stale(), 200, 200),
        (failing(stale()), 200, 200),
        (expired(), 200, 503),
        (failing(expired()), 200, 503),
        (expired(at_rest=True), 200, 200),
        (empty(), 503, 503),
        (failing(empty()), 503, 503),
        (empty(at_rest=True), 503, 503),
    ],
)
def test_a_required_upstream_decides_and_an_optional_one_does_not(token: Token, started: int, ready: int) -> None:
    required, optional = upstream("it", token), upstream("it", token, required=False)
    assert startupz(FakeView([required]), NOW.wall).status == started
    assert readyz(FakeView([required]), NOW.wall).status == ready
    assert startupz(FakeView([optional]), NOW.wall).status == 200
    assert readyz(FakeView([optional]), NOW.wall).status == 200


def test_one_bad_upstream_among_good_ones_is_named_with_its_reason() -> None:
    shown = [upstream("orders", failing(empty())), upstream("reports"), upstream("batch", empty(), required=False)]
    answer = readyz(FakeView(shown), NOW.wall)
    assert answer.status == 503
    assert answer.text == (
        "not ready\n"
        "orders: no token yet: invalid_client: the token endpoint does not accept this client id and secret"
        " (next attempt in 18 s)\n"
        "reports: the token is good for another 48 min\n"
        "batch (not required): no token yet: the first one is being fetched\n"
    )


def test_startupz_names_what_it_waits_for() -> None:
    answer = startupz(FakeView([upstream("orders", failing(empty())), upstream("reports")]), NOW.wall)
    assert answer.text.startswith("not started\norders: no token yet: invalid_client: ")
    assert answer.text.endswith("reports: has had its first token\n")


def test_draining_is_unready_but_started() -> None:
    view = FakeView(draining=True)
    assert readyz(view, NOW.wall).status == 503
    assert "draining" in readyz(view, NOW.wall).text
    assert startupz(view, NOW.wall).status == 200


@pytest.mark.parametrize("shown", [[], [upstream()]])
def test_before_the_listeners_are_open_it_is_neither_started_nor_ready(shown: list[UpstreamView]) -> None:
    view = FakeView(shown, started=False)
    for answer in (startupz(view, NOW.wall), readyz(view, NOW.wall)):
        assert answer.status == 503
        assert "listeners are not open" in answer.text
