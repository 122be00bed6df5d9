"""A sidecar made of plain data, for the tests of this room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.admin.view import UpstreamView
from proxy.clock import Reading
from proxy.stats import CacheStats, TokenStats, UpstreamStats

NOW = Reading(monotonic=5_000.0, wall=1_793_000_000.0)
"""2026-10-26T07:33:20Z"""

STARTED = Reading(NOW.monotonic - 90.5, NOW.wall - 90.5)
OBTAINED = NOW.wall - 720


class Error(NamedTuple):
    reason: str = "invalid_client"
    detail: str = "the token endpoint does not accept this client id and secret"
    at: float = NOW.wall - 42


@dataclass
class Use:
    """By default the secret that has been in use for a day."""

    origin: str = "file /run/secrets/new"
    in_use: bool = True
    in_use_since: float | None = NOW.wall - 86_400
    accepted_at: float | None = OBTAINED
    refused_at: float | None = None


def other_use() -> Use:
    """The one that was used before."""
    return Use("file /run/secrets/old", False, None, NOW.wall - 90_000, None)


@dataclass
class Token:
    """By default FRESH: twelve minutes old, of one hour, renewed at three quarters."""

    state: str = "FRESH"
    usable: bool = True
    at_rest: bool = False
    ends_rest: bool = False
    number: int = 3
    token_id: str | None = "1f2e3d4c"
    scopes: tuple[str, ...] = ("mydomain.com/API_ACCESS",)
    obtained_at: float | None = OBTAINED
    renew_at: float | None = OBTAINED + 2_700
    expires_at: float | None = OBTAINED + 3_600
    lifetime: float | None = 3_600.0
    origin: str | None = "endpoint"
    secret: str = "1 of 2"
    secrets: tuple[Use, ...] = field(default_factory=lambda: (Use(), other_use()))
    last_error: Error | None = None
    consecutive_failures: int = 0
    next_attempt_at: float | None = None
    fetching: bool = False


def empty(**changes: object) -> Token:
    """A source that never had a token."""
    blank = {"token_id": None, "obtained_at": None, "renew_at": None, "expires_at": None, "lifetime": None}
    return Token(**{"state": "EMPTY", "usable": False, "number": 0, **blank, **changes})  # type: ignore[arg-type]


def stale(**changes: object) -> Token:
    """Past its renewal time."""
    times = {"obtained_at": NOW.wall - 3_000, "renew_at": NOW.wall - 300, "expires_at": NOW.wall + 600}
    return Token(**{"state": "STALE", **times, **changes})  # type: ignore[arg-type]


def expired(**changes: object) -> Token:
    """Past its expiry."""
    times = {"obtained_at": NOW.wall - 3_900, "renew_at": NOW.wall - 1_200, "expires_at": NOW.wall - 300}
    return Token(**{"state": "EXPIRED", "usable": False, **times, **changes})  # type: ignore[arg-type]


def failing(token: Token, *, attempts: int = 3, error: Error | None = None) -> Token:
    """The same source, while the token endpoint refuses it."""
    token.last_error = error or Error()
    token.consecutive_failures = attempts
    token.next_attempt_at = NOW.wall + 18
    return token


@dataclass
class Secret:
    """By default read a minute ago, for the second time."""

    id: str = "prod/orders"
    region: str = "eu-central-1"
    version: str | None = "8a4b0c1e-5f7d-4a7e-9f7e-3d2c1b0a9f8e"
    has_previous: bool = True
    read_at: float | None = NOW.wall - 60
    changed_at: float | None = NOW.wall - 360
    next_read_at: float | None = NOW.wall + 240
    failing: bool = False
    last_error: Error | None = None


def upstream(name: str = "orders", token: Token | None = None, **changes: object) -> UpstreamView:
    """An upstream on 127.0.0.1:8080 that has done nothing yet."""
    view = UpstreamView(
        name=name,
        listen="127.0.0.1:8080",
        local_url="http://127.0.0.1:8080",
        url="https://abc123.execute-api.eu-central-1.amazonaws.com/dev",
        required=True,
        token=token or Token(),
        token_stats=TokenStats(),
        stats=UpstreamStats(),
        connections_idle=0,
        connections_busy=0,
    )
    return view._replace(**changes)  # type: ignore[arg-type]


@dataclass
class FakeView:
    """`proxy.admin.view.View` as plain fields."""

    shown: list[UpstreamView] = field(default_factory=lambda: [upstream()])
    version: str = "1.2.3"
    python: str = "3.11.7"
    started_at: Reading = STARTED
    config_hash: str = "0123456789ab"
    admin_hosts: tuple[str, ...] = ()
    started: bool = True
    draining: bool = False
    reloads: Counter[str] = field(default_factory=Counter)
    last_reload_error: str | None = None
    log_lines_dropped: int = 0
    unrouted: UpstreamStats = field(default_factory=UpstreamStats)
    living: bool = True
    tasks: int = 5
    caller_connections: int = 1_234
    secret_reads: Counter[str] = field(default_factory=Counter)
    token_cache: CacheStats | None = None
    held: list[Secret] = field(default_factory=list)

    def secrets(self) -> list[Secret]:
        return self.held

    def upstreams(self) -> list[UpstreamView]:
        return self.shown

    def alive(self) -> bool:
        return self.living


class Timer(NamedTuple):
    """A call that a test makes when it likes."""

    seconds: float
    callback: Callable[[], None]
    clock: FakeClock

    def cancel(self) -> None:
        if self in self.clock.timers:
            self.clock.timers.remove(self)


class FakeClock:
    """Stands still; what was to be called later is in `timers`, in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = NOW
        self.timers: list[Timer] = []

    def read(self) -> Reading:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(seconds, callback, self)
        self.timers.append(timer)
        return timer
