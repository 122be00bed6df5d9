"""A client, a token endpoint that does as it is told, and a source on a clock that is turned by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from proxy.config.model import Auth, Duration, Proxy, Url, Value
from proxy.errors import Reason, TokenError
from proxy.secret import Secret
from proxy.tokens.endpoint import Grant
from proxy.tokens.interface import AccessToken
from proxy.tokens.source import TokenSource
from tests.fakes import FakeClock

SECRET = "s3cret-that-nobody-may-see"
OTHER_SECRET = "the-0ther-secret-that-nobody-may-see"


def make_auth(**changes: Any) -> Auth:
    """A client with one secret; a renewal without jitter at three quarters of the life."""
    settings: dict[str, Any] = {
        "token_url": Url("https", "idp.example", 443, "/oauth2/token"),
        "client_id": Value("the-client"),
        "client_secret": (Value(SECRET, "file /secret"),),
        "scopes": ("orders/READ",),
        "refresh_jitter": 0.0,
    }
    for name in ("idle_after", "request_timeout", "wait"):
        if name in changes:
            changes[name] = Duration(changes[name])
    return Auth(**settings | changes)


def failure(reason: Reason, retry_after: float | None = None) -> TokenError:
    return TokenError(reason, f"words about {reason}", retry_after=retry_after)


class FakeEndpoint:
    """Answers each call with the next of `script`, and when that is empty with a new token of `life` seconds."""

    def __init__(self) -> None:
        self.script: deque[Grant | Exception] = deque()
        self.by_secret: dict[str, Exception] = {}
        """Secrets that are answered with an error, always."""
        self.life = 3600.0
        self.calls: list[str] = []
        """The secret of each call."""
        self.running = 0
        self.most_running = 0
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        """Let calls wait until `release`."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def obtain(self, secret: Value) -> Grant:
        self.calls.append(secret.reveal())
        number = len(self.calls)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._open.wait()
        finally:
            self.running -= 1
        if (error := self.by_secret.get(secret.reveal())) is not None:
            raise error
        outcome = (
            self.script.popleft() if self.script else Grant(Secret(f"token-{number}"), self.life, ("orders/READ",))
        )
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Bench:
    """A source with everything around it. `random` is what each draw gives: 1 makes pauses whole."""

    def __init__(self, **changes: Any) -> None:
        self.clock = FakeClock()
        self.endpoint = FakeEndpoint()
        self.random = 1.0
        self.connected = 0
        self.source = TokenSource(
            make_auth(**changes), ("orders",), clock=self.clock, draw=lambda: self.random, connect=self._connect
        )

    def _connect(self, auth: Auth, extra_ca_file: str | None, proxy: Proxy | None, clock: object) -> FakeEndpoint:
        self.connected += 1
        return self.endpoint

    async def started(self) -> Bench:
        """Started, and with whatever the first call gave."""
        self.source.start()
        await self.clock.turn(0)
        return self

    @property
    def calls(self) -> int:
        return len(self.endpoint.calls)

    @property
    def state(self) -> str:
        return self.source.status().state

    def token(self) -> AccessToken:
        token = self.source.current()
        assert token is not None
        return token


@contextmanager
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """The log lines written meanwhile, at every level."""
    with structlog.testing.capture_logs() as lines:
        yield lines  # type: ignore[misc]
