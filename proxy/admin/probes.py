"""The three probes, as pure functions of the view: what Kubernetes, `wait` and `healthcheck` ask.

A probe never waits, never calls anything and never changes anything.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.admin.health import health
from proxy.admin.view import UpstreamView, View


class Answer(NamedTuple):
    """Good (200) or not (503), and plain text: the verdict on the first line, then one line for each upstream."""

    good: bool
    text: str

    @property
    def status(self) -> int:
        return 200 if self.good else 503


def livez(view: View) -> Answer:
    """Is the process worth keeping?

    It depends on nothing remote, on purpose: a failing liveness probe gets the container restarted, and a restart
    cures neither an identity provider nor an upstream that is down. It would throw away tokens that are still valid
    and send every replica to the token endpoint at once, just when that is struggling. What a restart does cure is a
    stuck event loop (then nobody answers here) and a renewal task that has ended.
    """
    if view.alive():
        return Answer(True, "alive\nthe event loop turns and every renewal task runs\n")
    return Answer(False, "not alive\na renewal task has ended: tokens are no longer renewed\n")


def startupz(view: View, now: float) -> Answer:
    """Has the sidecar got going: are its listeners open, and has every required upstream had its first token?"""
    lines = [(upstream, *_first_token(upstream, now)) for upstream in view.upstreams()]
    return _answer(view, "started", lines, [] if view.started else [_NOT_OPEN])


def readyz(view: View, now: float) -> Answer:
    """Should requests be sent here: is it not draining, and does every required upstream hold a usable token?

    An identity provider that is down does not fail this while tokens are valid, nor does a token that ran out at rest.
    """
    lines = []
    for upstream in view.upstreams():
        verdict = health(upstream.token, now)
        lines.append((upstream, verdict.ready, verdict.sentence))
    general = [] if view.started else [_NOT_OPEN]
    if view.draining:
        general.append("draining: the sidecar is shutting down")
    return _answer(view, "ready", lines, general)


_NOT_OPEN = "starting: the listeners are not open yet"


def _first_token(upstream: UpstreamView, now: float) -> tuple[bool, str]:
    if upstream.token.number > 0:
        return True, "has had its first token"
    return False, health(upstream.token, now).sentence


def _answer(view: View, word: str, lines: list[tuple[UpstreamView, bool, str]], general: list[str]) -> Answer:
    good = not general and all(fine for upstream, fine, _ in lines if upstream.required)
    text = [word if good else f"not {word}", *general]
    for upstream, _, sentence in lines:
        optional = "" if upstream.required else " (not required)"
        text.append(f"{upstream.name}{optional}: {sentence}")
    return Answer(good, "\n".join(text) + "\n")
