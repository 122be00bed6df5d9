"""One upstream on the page, as a card: its token's life, its last error in words, its numbers so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from proxy.admin.health import Health
from proxy.admin.html import Html, file, fill, join
from proxy.admin.view import SecretUse, TokenStatus, UpstreamView
from proxy.admin.words import ago, amount, duration, iso, one_line, until, within
from proxy.explanations import remedy
from proxy.stats import UpstreamStats

_Name = TypeVar("_Name", bound=str)

ROW = "<div><dt>$term</dt><dd>$value</dd></div>\n"
_TIME = '<time datetime="$iso" title="$iso">$words</time>'
_SCALE = 1000
"""The width of a token's life in the drawing's own units."""


def card(index: int, upstream: UpstreamView, verdict: Health, now: float) -> Html:
    """The card of the `index`th upstream at `now` (Unix time)."""
    return fill(
        file("upstream.html"),
        index=index,
        level=verdict.level,
        word=verdict.word,
        name=upstream.name,
        optional=Html() if upstream.required else Html('<p class="optional">not required</p>\n'),
        local_url=upstream.local_url,
        url=upstream.url,
        life=_life(upstream.token, now),
        problem=_problem(upstream.token, verdict, now),
        numbers=_numbers(upstream),
        lists=_lists(upstream, now),
    )


def _life(token: TokenStatus, now: float) -> Html:
    """The token's life as a bar: what is gone of it, and the moment from which it is renewed."""
    if token.obtained_at is None or token.expires_at is None:
        return Html()
    life = max(1.0, token.expires_at - token.obtained_at)
    renew = token.expires_at if token.renew_at is None else token.renew_at
    gone, mark = (max(0, min(_SCALE, round((at - token.obtained_at) / life * _SCALE))) for at in (now, renew))
    past = token.expires_at <= now
    caption = [fill("<span>Token <b>$age</b> old</span> ", age=duration(now - token.obtained_at))]
    if token.renew_at is not None and not past:
        due = moment(token.renew_at, _renewal(token, token.renew_at, now))
        caption.append(fill('<span class="renews">$time</span> ', time=due))
    words = f"expired {ago(token.expires_at, now)}" if past else f"expires {until(token.expires_at, now)}"
    caption.append(fill('<span class="expires">$time</span>', time=moment(token.expires_at, words)))
    return fill(
        file("life.html"),
        label=f"{gone * 100 // _SCALE} % of the token's life is over; it is renewed at {mark * 100 // _SCALE} %.",
        now=gone,
        renew=mark,
        after=_SCALE - mark,
        caption=join(caption),
    )


def _renewal(token: TokenStatus, renew_at: float, now: float) -> str:
    if token.fetching:
        return "being renewed"
    if renew_at > now:
        return f"renews {until(renew_at, now)}"
    if token.at_rest:
        return "renews when a request comes"
    return "renewal overdue" if token.consecutive_failures else "renewal is due"


def _problem(token: TokenStatus, verdict: Health, now: float) -> Html:
    """The last error: a problem while it lasts, a remark once it is over."""
    error, attempts = token.last_error, token.consecutive_failures
    if error is None or not attempts:
        # Nothing fails now: a word on why there is no token, and one on what failed before.
        past = []
        if not token.usable:
            past.append(fill('<p class="past">$text</p>\n', text=_sentence(verdict.sentence)))
        if error is not None:
            past.append(
                fill(
                    '<p class="past">Last error $time: $detail <code>$reason</code></p>\n',
                    time=moment(error.at, ago(error.at, now)),
                    detail=one_line(error.detail),
                    reason=error.reason,
                )
            )
        return join(past)
    again = ""
    if token.fetching:
        again = " Trying again now."
    elif token.next_attempt_at is not None:
        again = f" Next attempt {until(token.next_attempt_at, now)}."
    count = "One failed attempt" if attempts == 1 else f"{amount(attempts)} failed attempts"
    since = "since the last success" if token.number else "so far"
    return fill(
        '<div class="problem"><p><b>$detail</b></p>\n<p>$remedy</p>\n'
        "<p><code>$reason</code> $time. $count $since.$again</p></div>\n",
        detail=_sentence(one_line(error.detail)),
        remedy=remedy(error.reason),
        reason=error.reason,
        time=moment(error.at, ago(error.at, now)),
        count=count,
        since=since,
        again=again,
    )


def _numbers(upstream: UpstreamView) -> Html:
    stats, tokens = upstream.stats, upstream.token_stats
    total = sum(stats.requests.values())
    calls_failed = sum(tokens.failures.values())
    waiting = f", {amount(tokens.waiters)} waiting for a token" if tokens.waiters else ""
    half, most = within(stats.duration, 0.5), within(stats.duration, 0.99)
    return join(
        [
            _figure("Requests", total, f"{amount(stats.in_flight)} in flight{waiting}"),
            _figure("Errors", sum(stats.errors.values()), "answered by the sidecar"),
            _figure("Unauthorized", sum(stats.unauthorized.values()), "401 from the upstream"),
            _figure("Half within", half or "\N{EN DASH}", f"99 % within {most}" if most else "no request yet"),
            _figure(
                "Connections",
                upstream.connections_busy + upstream.connections_idle,
                f"{amount(upstream.connections_busy)} busy, {amount(upstream.connections_idle)} idle",
            ),
            _figure("Token calls", tokens.successes + calls_failed, f"{amount(calls_failed)} failed"),
        ]
    )


def _figure(term: str, value: int | str, remark: str) -> Html:
    return fill(
        "<div$zero><dt>$term</dt><dd><b>$value</b> <span>$remark</span></dd></div>\n",
        zero=Html(' class="zero"') if value == 0 else Html(),
        term=term,
        value=amount(value) if isinstance(value, int) else value,
        remark=remark,
    )


def _secret(use: SecretUse, now: float) -> str:
    """What is known of one of two secrets: a rotation is watched here."""
    parts = []
    if use.in_use and use.in_use_since is not None:
        parts.append(f"in use for {duration(now - use.in_use_since)}")
    elif use.accepted_at is not None:
        parts.append(f"last used {ago(use.accepted_at, now)}")
    if use.refused_at is not None and use.refused_at >= (use.accepted_at or 0):
        parts.append(f"refused {ago(use.refused_at, now)}")
    return ", ".join(parts) or "not used yet"


def _lists(upstream: UpstreamView, now: float) -> Html:
    stats, token = upstream.stats, upstream.token
    rows = [
        ("Answers", counts(_classes(stats))),
        ("Errors", counts(stats.errors)),
        ("After a 401", counts(stats.unauthorized)),
        ("Failed token calls", counts(upstream.token_stats.failures)),
        ("Scopes", " ".join(token.scopes) or "all that the client may have"),
    ]
    if token.token_id is not None:
        origin = f"secret {token.secret}" if token.origin != "cache" else "from the shared token cache"
        rows.append(("Token", f"{token.token_id}, number {amount(token.number)}, {origin}"))
    if len(token.secrets) > 1:
        rows.extend((f"Secret {place}", _secret(use, now)) for place, use in enumerate(token.secrets, 1))
    return join(fill(ROW, term=term, value=value) for term, value in rows if value)


def _classes(stats: UpstreamStats) -> dict[str, int]:
    """Answers by the hundred: 2xx, 4xx."""
    classes: dict[str, int] = {}
    for (_, code), count in sorted(stats.requests.items(), key=lambda item: item[0][1]):
        name = f"{code // 100}xx"
        classes[name] = classes.get(name, 0) + count
    return classes


def counts(numbers: Mapping[_Name, int]) -> str:
    """Counters that are not 0 as `name 3, other 1`."""
    return ", ".join(f"{name} {amount(count)}" for name, count in numbers.items() if count)


def moment(unix: float, words: str) -> Html:
    """A time in words, with the exact one for machines and for whoever points at it."""
    return fill(_TIME, iso=iso(unix), words=words)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")
