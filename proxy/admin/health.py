"""How an upstream fares: one pure function from its token to a word, a sentence and whether it is ready.

Probes, `/status` and the page all read this one, so that they can never tell different stories.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from proxy.admin.view import TokenStatus
from proxy.admin.words import duration, one_line, until

Level = Literal["ok", "busy", "rest", "warn", "bad"]
"""ok: nothing to do. busy: fetching or renewing. rest: idle by configuration. warn: failing, while requests still
succeed. bad: requests fail."""


class Health(NamedTuple):
    """The verdict on one upstream."""

    level: Level
    word: str
    """Two or three words for a badge: `Healthy`, `Renewal fails`."""
    sentence: str
    """What it means, for a person, on one line."""
    ready: bool
    """A request would get a token at once, or (at rest) a request is what the next token waits for."""


def health(token: TokenStatus, now: float) -> Health:
    """The verdict on the upstream of `token` at `now` (Unix time)."""
    failing = token.consecutive_failures > 0
    if token.usable:
        left = "" if token.expires_at is None else f" for another {duration(token.expires_at - now)}"
        if failing:
            return Health("warn", "Renewal fails", f"the token is good{left}, but {_why(token, now)}", True)
        if token.state == "STALE" and not token.at_rest:
            return Health("busy", "Renewing", f"the token is good{left} and is being renewed", True)
        return Health("ok", "Healthy", f"the token is good{left}", True)
    # A token that ran out because nobody asked for it is no fault: the first request fetches the next one. Were this
    # unready, Kubernetes would send no request, and it would stay unready for ever. A source that never had a token
    # has proven nothing, and does not count as at rest.
    if token.at_rest and token.state != "EMPTY":
        return Health("rest", "At rest", "no request came lately; the next one fetches a token", True)
    if token.state == "EMPTY":
        if failing:
            return Health("bad", "No token yet", f"no token yet: {_why(token, now)}", False)
        return Health("busy", "First token", "no token yet: the first one is being fetched", False)
    if token.ends_rest:  # Ready a moment ago, and no request has failed.
        return Health("busy", "New token", "a request has ended the rest: a new token is being fetched", True)
    if failing:
        return Health("bad", "Token expired", f"the token has expired: {_why(token, now)}", False)
    return Health("busy", "New token", "the token has expired: a new one is being fetched", False)


def failure(token: TokenStatus) -> str:
    """The last error as `reason: detail`, on one line."""
    error = token.last_error
    return "the reason is not known" if error is None else one_line(f"{error.reason}: {error.detail}")


def _why(token: TokenStatus, now: float) -> str:
    if token.fetching:
        return f"{failure(token)} (trying again now)"
    if token.next_attempt_at is None:
        return failure(token)
    return f"{failure(token)} (next attempt {until(token.next_attempt_at, now)})"
