"""The way of a pod that shares nothing: it asks the token endpoint, and has its answer."""

from __future__ import annotations

from functools import partial
from typing import Final

from proxy.tokens.interface import AccessToken
from trials.fleet.cognito import Answer, Endpoint
from trials.fleet.pod import Pod
from trials.fleet.timeline import Timeline

ACCESS: Final = AccessToken("the same for all: nothing depends on its text", 1)


class Alone:
    """Every fetch is a call."""

    looks = False

    def __init__(self, endpoint: Endpoint, life: float, timeline: Timeline) -> None:
        """`life` is that of the tokens, in seconds."""
        self._endpoint = endpoint
        self._life = life
        self._timeline = timeline

    def fetch(self, pod: Pod) -> None:
        now = self._timeline.now
        answer = self._endpoint.call(now)
        self._timeline.at(now + answer.seconds, partial(self._answered, pod, now, answer))

    def stopped(self) -> None:
        pass

    def _answered(self, pod: Pod, sent: float, answer: Answer) -> None:
        if pod.stopped:
            return
        if answer.reason is None:
            pod.succeeded(sent, self._life, ACCESS)
        else:
            pod.failed(answer.reason, answer.retry_after)
