"""What `forward` may ask of a token source, and what it is given. The whole door between the two rooms."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple, Protocol

from proxy.secret import Secret


class AccessToken(Secret[str]):
    """An access token as `forward` uses it. `reveal` gives its text to the one place that sends it."""

    __slots__ = ("number", "proven", "token_id")

    def __init__(self, text: str, number: int, *, proven: bool = True) -> None:
        super().__init__(text)
        self.number = number
        """Counts up by one with each token that a source obtains, from 1."""
        self.proven = proven
        """False for a token that was fetched because its predecessor was refused, until an upstream accepts it."""
        self.token_id = hashlib.sha256(text.encode()).hexdigest()[:8]
        """A name for logs and `/status`."""

    def __repr__(self) -> str:
        return f"<access token #{self.number} {self.token_id}>"


class Recovery(NamedTuple):
    """What became of a 401. `token` is the one to send the request again with, or None: pass the 401 on."""

    outcome: Literal["renewed", "failed", "cooling_down"]
    token: AccessToken | None


class TokenProvider(Protocol):
    """A token source, seen from the way of a request."""

    def current(self) -> AccessToken | None:
        """A token that may be used now (FRESH or STALE), without waiting; None where one has to be waited for.

        Notes that a request came, starts what must start in the background.
        """

    async def wait(self, seconds: float) -> AccessToken:
        """Wait for a usable token, at most so long. Raises TokenUnavailable."""

    async def refused(self, number: int, seconds: float) -> Recovery:
        """The upstream answered 401 to token `number`: renew at most once, waiting at most so long, or give the newer
        token that is there."""

    def accepted(self, token: AccessToken) -> None:
        """The upstream answered something else than 401 to a token whose `proven` was False."""
