"""The page: what a person reads on it, and that nothing from outside can become markup."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from proxy.admin.page import render
from proxy.admin.process import Usage
from proxy.admin.view import UpstreamView
from proxy.explanations import remedy, secret_remedy
from proxy.stats import CacheStats
from tests.admin.fakes import (
    NOW,
    OBTAINED,
    Error,
    FakeView,
    Secret,
    Token,
    Use,
    empty,
    expired,
    failing,
    stale,
    upstream,
)

HOSTILE = "<script>alert(1)</script>\"'&amp;<img src=x onerror=alert(2)>"


class _Reader(HTMLParser):
    """Text, tags and attributes, and that what was opened was closed in order."""

    VOID = ("meta", "link", "br")
    ALONE = ("path", "rect", "line", "use")

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.ALONE
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(view: FakeView) -> _Reader:
    reader = _Reader()
    reader.feed(render(view, NOW).decode())
    reader.close()
    assert reader.open == []
    return reader


def text(view: FakeView) -> str:
    return re.sub(r"\s+", " ", " ".join(read(view).words))


@pytest.mark.parametrize(
    ("shown", "level", "headline", "summary"),
    [
        ([upstream()], "ok", "Ready", "The upstream is ready."),
        ([upstream(), upstream("b")], "ok", "Ready", "Both upstreams are ready."),
        ([upstream(), upstream("b"), upstream("c", stale())], "ok", "Ready", "All 3 upstreams are ready."),
        ([upstream(token=failing(stale()))], "warn", "Ready, with problems", "The upstream is ready."),
        ([upstream(token=empty())], "busy", "Not ready: orders", "The upstream is not ready."),
        ([upstream(token=failing(empty()))], "bad", "Not ready: orders", "The upstream is not ready."),
        (
            [upstream(), upstream("b", failing(empty()), required=False)],
            "warn",
            "Ready, with problems",
            "1 of 2 upstreams are ready.",
        ),
        ([upstream(token=expired(at_rest=True))], "ok", "Ready", "The upstream is ready."),
        ([], "ok", "Ready", "No upstream is being served yet."),
    ],
)
def test_one_glance_tells_how_it_is(shown: list[UpstreamView], level: str, headline: str, summary: str) -> None:
    html = render(FakeView(shown), NOW).decode()
    assert f'<h1 class="{level}">' in html
    assert f"<title>{headline} · cognito-sidecar</title>" in html
    assert summary in text(FakeView(shown))


def test_starting_and_stopping_are_told() -> None:
    assert "Starting" in text(FakeView(started=False))
    assert "Shutting down" in text(FakeView(draining=True))


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (Token(), ["Healthy", "Token 12 min old", "renews in 33 min", "expires in 48 min"]),
        (stale(), ["Renewing", "renewal is due", "expires in 10 min"]),
        (stale(fetching=True), ["Renewing", "being renewed"]),
        (stale(at_rest=True), ["Healthy", "renews when a request comes"]),
        (failing(stale()), ["Renewal fails", "renewal overdue", "3 failed attempts since the last success"]),
        (failing(empty(), attempts=1), ["No token yet", "One failed attempt so far. Next attempt in 18 s."]),
        (empty(), ["First token", "No token yet: the first one is being fetched."]),
        (expired(), ["New token", "expired 5 min ago"]),
        (expired(at_rest=True), ["At rest", "No request came lately; the next one fetches a token."]),
        (Token(renew_at=None), ["Token 12 min old", "expires in 48 min"]),
    ],
)
def test_the_life_of_a_token_in_words(token: Token, words: list[str]) -> None:
    shown = text(FakeView([upstream(token=token)]))
    for word in words:
        # An inline element may stand between two words and its punctuation.
        assert word.replace(" ", "") in shown.replace(" ", ""), word


def test_the_bar_shows_what_is_gone_and_where_renewal_is() -> None:
    html = render(FakeView(), NOW).decode()
    assert "20 % of the token's life is over; it is renewed at 75 %." in html.replace("&#x27;", "'")
    assert '<rect class="gone" width="200"' in html
    assert 'x1="750"' in html


def test_a_bar_never_leaves_its_frame() -> None:
    odd = Token(expires_at=OBTAINED, renew_at=OBTAINED + 99)
    html = render(FakeView([upstream(token=odd)]), NOW).decode()
    assert '<rect class="gone" width="1000"' in html


def test_the_last_error_is_told_in_words() -> None:
    shown = text(FakeView([upstream(token=failing(empty()))]))
    assert "The token endpoint does not accept this client id and secret." in shown
    assert remedy("invalid_client") in shown
    assert "invalid_client" in shown
    assert "42 s ago" in shown


def test_an_attempt_under_way_and_an_error_that_is_over() -> None:
    token = failing(empty())
    token.fetching = True
    assert "Trying again now." in text(FakeView([upstream(token=token)]))
    token.fetching, token.next_attempt_at = False, None
    assert "attempt in" not in text(FakeView([upstream(token=token)]))
    assert "Last error" in text(FakeView([upstream(token=Token(last_error=Error()))]))


def test_numbers_so_far() -> None:
    shown = upstream(connections_idle=3, connections_busy=1, required=False)
    shown.stats.requests.update({("GET", 200): 12_000, ("POST", 201): 345, ("GET", 503): 2})
    shown.stats.duration.observe(0.02)
    shown.stats.in_flight = 7
    shown.stats.errors["token_unavailable"] = 2
    shown.stats.unauthorized["cooling_down"] = 9
    shown.token_stats.successes = 14
    shown.token_stats.failures["throttled"] = 1
    shown.token_stats.waiters = 5
    view = FakeView([shown], reloads=Counter(success=2))
    view.unrouted.errors["bad_request"] = 6
    words = text(view)
    for word in (
        "12,347",
        "7 in flight, 5 waiting for a token",
        "2xx 12,345, 5xx 2",
        "token_unavailable 2",
        "cooling_down 9",
        "99 % within 25 ms",
        "1 busy, 3 idle",
        "throttled 1",
        "not required",
        "2 done, 0 failed",
        "bad_request 6",
        "1f2e3d4c, number 3, secret 1 of 2",
        "mydomain.com/API_ACCESS",
        "https://abc123.execute-api.eu-central-1.amazonaws.com/dev",
        "0123456789ab",
        "1.2.3",
        "07:33:20 UTC",
    ):
        assert word in words, word


@pytest.mark.parametrize(
    ("used", "told"),
    [
        (Usage(31, 52_428_800), "1,234 caller connections, 5 tasks, 31 file descriptors, 50 MiB"),
        (Usage(None, None), "1,234 caller connections, 5 tasks"),
    ],
)
def test_what_the_process_uses(used: Usage, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.admin.page.usage", lambda: used)
    assert f"Uses {told} As of" in text(FakeView())


def test_a_failed_reload_is_told_line_by_line() -> None:
    words = text(FakeView(last_reload_error="a.b: unknown key\nc: expected a string"))
    assert "The last reload failed" in words
    assert "a.b: unknown key c: expected a string" in words


def test_a_rotation_can_be_watched() -> None:
    words = text(FakeView())
    assert "Secret 1 in use for 1 d" in words
    assert "Secret 2 last used 1 d 1 h ago" in words
    refused = Use(refused_at=NOW.wall - 5)
    words = text(FakeView([upstream(token=Token(secrets=(Use(accepted_at=None, in_use=False), refused)))]))
    assert "Secret 1 not used yet" in words
    assert "Secret 2 in use for 1 d, refused 5 s ago" in words
    assert "Secret 1" not in text(FakeView([upstream(token=Token(secrets=(Use(),)))]))


def test_secrets_manager_that_cannot_be_read() -> None:
    words = text(FakeView(held=[Secret()]))
    assert "Secret prod/orders, read 1 min ago" in words
    assert "Secrets Manager cannot be read" not in words
    words = text(FakeView(held=[Secret(failing=True, last_error=Error("timeout", "it did not answer"))]))
    assert "Secrets Manager cannot be read" in words
    assert f"prod/orders: it did not answer timeout 42 s ago {secret_remedy('timeout')}" in words


def test_a_shared_token_cache() -> None:
    assert "shared token cache" not in text(FakeView())
    cache = CacheStats()
    view = FakeView([upstream(token=Token(origin="cache"))], token_cache=cache)
    assert "Looked up in the shared token cache not yet" in text(view)
    cache.count("get", "hit", 0.1)
    words = text(view)
    assert "Looked up in the shared token cache hit 1" in words
    assert "1f2e3d4c, number 3, from the shared token cache" in words
    assert "cannot be used" not in words
    cache.trouble = "denied"
    words = text(view)
    assert "The shared token cache cannot be used : the engine does not let this user in" in words
    assert "It is asked again with the next renewal. Compare token_cache.username" in words
    cache.left_alone = True
    assert "It is left alone for a while" in text(view)


def test_nothing_from_outside_becomes_markup() -> None:
    token = failing(
        Token(token_id=HOSTILE, scopes=(HOSTILE,), secret=HOSTILE, state="FRESH"), error=Error(HOSTILE, HOSTILE)
    )
    shown = upstream(HOSTILE, token, url=HOSTILE, local_url=HOSTILE, listen=HOSTILE)
    shown.stats.unauthorized[HOSTILE] = 1
    view = FakeView([shown], version=HOSTILE, python=HOSTILE, config_hash=HOSTILE, last_reload_error=HOSTILE)
    view.held = [Secret(HOSTILE, failing=True, last_error=Error(HOSTILE, HOSTILE))]
    reader = read(view)
    assert reader.tags.count("script") == 1
    assert "img" not in reader.tags
    assert all(not name.startswith("on") for name, _ in reader.attributes)
    assert HOSTILE in " ".join(reader.words)


def test_the_page_needs_no_inline_code_and_nothing_from_elsewhere() -> None:
    reader = read(FakeView([upstream(token=failing(stale()))]))
    assert "style" not in reader.tags
    assert all(name != "style" for name, _ in reader.attributes)
    for name, target in reader.attributes:
        if name in ("src", "href"):
            assert target is not None
            assert "//" not in target


def test_health_is_not_told_by_colour_alone() -> None:
    for token, level in ((Token(), "ok"), (failing(stale()), "warn"), (failing(empty()), "bad")):
        reader = read(FakeView([upstream(token=token)]))
        assert ("href", f"#{level}") in reader.attributes
        assert ("id", level) in reader.attributes
