"""The page at `/`: the sidecar at one glance, for a person. Rendered here, from the view, on each request.

It shows what `/status` shows and never anything secret. Every text in it passes through `html.fill`, which escapes.
There are no inline styles or scripts, so that the Content-Security-Policy can forbid them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proxy.admin.card import ROW, card, counts, moment
from proxy.admin.health import Health, Level, health
from proxy.admin.html import Html, file, fill, join
from proxy.admin.process import usage
from proxy.admin.view import View
from proxy.admin.words import ago, amount, duration, iso, one_line
from proxy.clock import Reading
from proxy.explanations import cache_meaning, cache_remedy, secret_remedy


class Headline(NamedTuple):
    """The verdict on the whole sidecar."""

    level: Level
    text: str


def headline(view: View, verdicts: Mapping[str, Health], required: set[str]) -> Headline:
    """What stands on top. The worst thing that matters decides: an upstream that is not required cannot make it bad."""
    failed = [name for name, verdict in verdicts.items() if not verdict.ready and name in required]
    if view.draining:
        return Headline("rest", "Shutting down")
    if not view.started:
        return Headline("busy", "Starting")
    if failed:
        broken = any(verdicts[name].level == "bad" for name in failed)
        return Headline("bad" if broken else "busy", f"Not ready: {', '.join(failed)}")
    if any(verdict.level in ("warn", "bad") for verdict in verdicts.values()):
        return Headline("warn", "Ready, with problems")
    return Headline("ok", "Ready")


def render(view: View, now: Reading) -> bytes:
    """The whole page, UTF-8."""
    upstreams = view.upstreams()
    verdicts = {upstream.name: health(upstream.token, now.wall) for upstream in upstreams}
    top = headline(view, verdicts, {upstream.name for upstream in upstreams if upstream.required})
    cards = (card(index, each, verdicts[each.name], now.wall) for index, each in enumerate(upstreams, 1))
    text = fill(
        file("page.html"),
        title=f"{top.text} · cognito-sidecar",
        level=top.level,
        headline=top.text,
        summary=_summary(verdicts),
        notes=join((_reload_note(view), _secret_note(view, now.wall), _cache_note(view))),
        upstreams=join(cards),
        about=_about(view, now),
    )
    return text.encode("utf-8", "replace")


def _summary(verdicts: Mapping[str, Health]) -> str:
    count = len(verdicts)
    good = sum(verdict.ready for verdict in verdicts.values())
    match count, good:
        case 0, _:
            return "No upstream is being served yet."
        case 1, _:
            return f"The upstream is {'ready' if good else 'not ready'}."
        case 2, 2:
            return "Both upstreams are ready."
        case _:
            return f"{'All' if good == count else f'{good} of'} {count} upstreams are ready."


def _reload_note(view: View) -> Html:
    """What went wrong with the last reload, a line for each problem."""
    if view.last_reload_error is None:
        return Html()
    lines = [fill("<li>$line</li>\n", line=one_line(line)) for line in view.last_reload_error.splitlines()]
    return fill(
        '<div class="note"><p><strong>The last reload failed</strong>, and the running configuration was kept.</p>\n'
        "<ul>\n$lines</ul></div>\n",
        lines=join(lines),
    )


def _secret_note(view: View, now: float) -> Html:
    """Which secrets cannot be read again, and why."""
    lines = [
        fill(
            "<li>$secret: $detail <code>$reason</code> $time $to_do</li>\n",
            secret=secret.id,
            detail=one_line(secret.last_error.detail),
            reason=secret.last_error.reason,
            to_do=secret_remedy(secret.last_error.reason),
            time=moment(secret.last_error.at, ago(secret.last_error.at, now)),
        )
        for secret in view.secrets()
        if secret.failing and secret.last_error is not None
    ]
    if not lines:
        return Html()
    return fill(
        '<div class="note"><p><strong>Secrets Manager cannot be read</strong>, and what was read before is used.</p>\n'
        "<ul>\n$lines</ul></div>\n",
        lines=join(lines),
    )


def _cache_note(view: View) -> Html:
    """That tokens are not shared at the moment, and why."""
    cache = view.token_cache
    if cache is None or cache.trouble is None:
        return Html()
    how = "It is left alone for a while" if cache.left_alone else "It is asked again with the next renewal"
    return fill(
        '<div class="note"><p><strong>The shared token cache cannot be used</strong>: $meaning <code>$trouble</code>. '
        "Tokens come from the token endpoint meanwhile. $how. $to_do</p></div>\n",
        meaning=cache_meaning(cache.trouble),
        trouble=cache.trouble,
        how=how,
        to_do=cache_remedy(cache.trouble),
    )


def _about(view: View, now: Reading) -> Html:
    rows: list[tuple[str, object]] = [
        ("Version", view.version),
        ("Python", view.python),
        ("Up", duration(now.monotonic - view.started_at.monotonic)),
        ("Configuration", view.config_hash),
        ("Reloads", f"{amount(view.reloads.get('success', 0))} done, {amount(view.reloads.get('failure', 0))} failed"),
        ("Uses", _used(view)),
        ("As of", moment(now.wall, (iso(now.wall) or "")[11:19] + " UTC")),
    ]
    if view.token_cache is not None:
        gets = {result: count for (name, result), count in view.token_cache.operations.items() if name == "get"}
        rows.append(("Looked up in the shared token cache", counts(gets) or "not yet"))
    for secret in view.secrets():
        if secret.read_at is not None:
            read = moment(secret.read_at, f"{secret.id}, read {ago(secret.read_at, now.wall)}")
            rows.append(("Secret", read))
    if unrouted := counts(view.unrouted.errors):
        rows.append(("Refused before an upstream was chosen", unrouted))
    return join(fill(ROW, term=term, value=value) for term, value in rows)


def _used(view: View) -> str:
    used = usage()
    parts = [f"{amount(view.caller_connections)} caller connections", f"{amount(view.tasks)} tasks"]
    if used.open_fds is not None:
        parts.append(f"{amount(used.open_fds)} file descriptors")
    if used.resident_bytes is not None:
        parts.append(f"{used.resident_bytes / 2**20:.0f} MiB")
    return ", ".join(parts)
