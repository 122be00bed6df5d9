"""What the admin listener can see: the whole door between this room and the rest of the program.

`service.py` builds these from what it holds, when it is asked. Everything here is for reading: nothing
in it starts, stops or changes anything, and nothing in it is secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from proxy.clock import Reading
from proxy.stats import CacheStats, TokenStats, UpstreamStats

StateName = Literal["EMPTY", "FRESH", "STALE", "EXPIRED"]


class LastError(Protocol):
    """The last failed call of the token endpoint, or of Secrets Manager."""

    @property
    def reason(self) -> str:
        """One word; of a token endpoint one of `proxy.errors.Reason`."""

    @property
    def detail(self) -> str:
        """One sentence for a person, without any credential."""

    @property
    def at(self) -> float:
        """Unix time, in seconds."""


class SecretUse(Protocol):
    """What the token endpoint has made of one of the client's secrets. Times are Unix times in seconds."""

    @property
    def origin(self) -> str:
        """Where it comes from, such as `file /run/secret`."""

    @property
    def in_use(self) -> bool:
        """It is the one that the endpoint accepted last."""

    @property
    def in_use_since(self) -> float | None: ...

    @property
    def accepted_at(self) -> float | None: ...

    @property
    def refused_at(self) -> float | None: ...


class TokenStatus(Protocol):
    """One token source at one moment. Times are Unix times in seconds; None where there is nothing to tell."""

    @property
    def state(self) -> str:
        """One of `StateName`."""

    @property
    def usable(self) -> bool:
        """A request would be sent with this token, now."""

    @property
    def at_rest(self) -> bool:
        """No request came for `idle_after`, so that nothing is renewed until one does."""

    @property
    def ends_rest(self) -> bool:
        """The token ran out at rest, and a request has just begun to fetch the next one."""

    @property
    def number(self) -> int:
        """Of the token that is held, counted from 1; 0 before the first."""

    @property
    def token_id(self) -> str | None: ...

    @property
    def scopes(self) -> Sequence[str]: ...

    @property
    def obtained_at(self) -> float | None: ...

    @property
    def renew_at(self) -> float | None: ...

    @property
    def expires_at(self) -> float | None: ...

    @property
    def lifetime(self) -> float | None:
        """Seconds."""

    @property
    def origin(self) -> str | None:
        """Who gave the token that is held: `endpoint`, or `cache`."""

    @property
    def secret(self) -> str:
        """Which of the client's secrets is in use, such as `1 of 2`; never the secret."""

    @property
    def secrets(self) -> Sequence[SecretUse]:
        """What is known of each of them, in the order of the configuration."""

    @property
    def last_error(self) -> LastError | None: ...

    @property
    def fetching(self) -> bool:
        """The token endpoint is being asked right now."""

    @property
    def consecutive_failures(self) -> int: ...

    @property
    def next_attempt_at(self) -> float | None:
        """When the endpoint is asked next; None while it is being asked, and at rest."""


class SecretStatus(Protocol):
    """One secret in AWS Secrets Manager at one moment. Times are Unix times in seconds."""

    @property
    def id(self) -> str:
        """Its name or ARN."""

    @property
    def region(self) -> str:
        """ "" where AWS's own settings decide."""

    @property
    def version(self) -> str | None: ...

    @property
    def has_previous(self) -> bool:
        """There is an AWSPREVIOUS that differs."""

    @property
    def read_at(self) -> float | None:
        """The last time that it was read well."""

    @property
    def changed_at(self) -> float | None:
        """The last time that this brought another text."""

    @property
    def next_read_at(self) -> float | None: ...

    @property
    def failing(self) -> bool:
        """The last reading failed; what was read before is still used."""

    @property
    def last_error(self) -> LastError | None: ...


class UpstreamView(NamedTuple):
    """One upstream of the configuration, and what it has come to."""

    name: str
    listen: str
    """The listener's address as configured: `127.0.0.1:8080` or `unix:/run/orders.sock`."""
    local_url: str
    """What a caller uses: listener and prefix, such as `http://127.0.0.1:8080/api`."""
    url: str
    """The upstream's base URL. It holds no credentials (`proxy.config.model.Url` has no place for any)."""
    required: bool
    token: TokenStatus
    token_stats: TokenStats
    stats: UpstreamStats
    connections_idle: int
    connections_busy: int


class View(Protocol):
    """The running sidecar."""

    @property
    def version(self) -> str: ...

    @property
    def python(self) -> str: ...

    @property
    def started_at(self) -> Reading:
        """When the process began to serve: the uptime counts from its monotonic part."""

    @property
    def config_hash(self) -> str: ...

    @property
    def admin_hosts(self) -> Sequence[str]:
        """Names by which the admin listener may be asked where it is on loopback: `admin.hosts`."""

    @property
    def started(self) -> bool:
        """Every data listener is open."""

    @property
    def draining(self) -> bool: ...

    @property
    def reloads(self) -> Mapping[str, int]:
        """How often the configuration was read again, by result: `success`, `failure`."""

    @property
    def last_reload_error(self) -> str | None:
        """Why the most recent reload failed; None when it did not."""

    @property
    def token_cache(self) -> CacheStats | None:
        """What was asked of the shared token cache; None where there is none."""

    @property
    def log_lines_dropped(self) -> int:
        """Lines of the log that standard error did not take."""

    @property
    def unrouted(self) -> UpstreamStats:
        """Requests that were refused before an upstream was chosen (`bad_request`, `no_route`, …)."""

    @property
    def tasks(self) -> int:
        """How many tasks run on the event loop."""

    @property
    def caller_connections(self) -> int:
        """How many connections of callers are open, busy and idle ones."""

    @property
    def secret_reads(self) -> Mapping[str, int]:
        """How often a secret in Secrets Manager was read, by result: `success`, `failure`."""

    def secrets(self) -> Sequence[SecretStatus]:
        """The secrets in Secrets Manager that values of the configuration are in."""

    def upstreams(self) -> Sequence[UpstreamView]:
        """In the order of the configuration."""

    def alive(self) -> bool:
        """The renewal tasks run. Must not depend on anything remote."""
