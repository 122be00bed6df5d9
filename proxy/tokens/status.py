"""What a token source tells about itself, for `/status`, the metrics and the page. Never a credential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from proxy.errors import Reason
from proxy.tokens.credentials import SecretUse

Origin = Literal["endpoint", "cache"]


class LastError(NamedTuple):
    """The last failed call of the token endpoint. It stays after a success: somebody will ask what it was."""

    reason: Reason
    detail: str
    at: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """One moment of a token source. Times are Unix time in seconds."""

    state: str
    """EMPTY, FRESH, STALE or EXPIRED."""
    usable: bool
    """A request would get the token without waiting."""
    at_rest: bool
    """Not renewed because no request came for `idle_after`; not a failure, even when the token has run out."""
    token_id: str | None
    number: int
    """Of the token that is held; 0 before the first."""
    obtained_at: float | None
    expires_at: float | None
    """The end of the token's life, without the margin."""
    renew_at: float | None
    lifetime: float | None
    """Seconds."""
    scopes: tuple[str, ...]
    """As granted, or as asked for before the first token."""
    scopes_requested: tuple[str, ...]
    last_error: LastError | None
    next_attempt_at: float | None
    """When the next fetch is due; None while one is running or at rest."""
    fetching: bool
    consecutive_failures: int
    origin: Origin | None
    """Who gave the token that is held: the token endpoint, or the cache that is shared with other sidecars."""
    secret: str
    """Which of the secrets works, as `1 of 2`."""
    secrets: tuple[SecretUse, ...]
    """What is known of each of them."""
    ends_rest: bool = False
    """The token ran out at rest, and a request has just begun to fetch the next one."""
