"""A client's secrets, of which Cognito allows two at a time, and what is known of each of them.

Two secrets are how a rotation goes without a gap: the new one is added here before the old one is deleted
there. The texts stay inside `Value`, which shows in no repr. Times are Unix time in seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.config.model import Value


class SecretUse(NamedTuple):
    """What the token endpoint has made of one secret, for people."""

    origin: str
    """Where it comes from, as in `Value`."""
    in_use: bool
    """It is the one that the endpoint accepted last."""
    in_use_since: float | None
    """The first time that it was accepted since another one was."""
    accepted_at: float | None
    """The last time that it was."""
    refused_at: float | None
    """The last time that it was answered by invalid_client."""


class Credentials:
    """One or two secrets. The one that worked last is tried first, unless a newer one has taken the first place."""

    def __init__(self, secrets: tuple[Value, ...]) -> None:
        self._secrets = _different(secrets)
        self._first = 0
        self._working: Value | None = None
        """The one that was accepted last, whether it is still one of ours or not."""
        self._since: float | None = None
        self._accepted: dict[Value, float] = {}
        self._refused: dict[Value, float] = {}

    def order(self) -> tuple[Value, ...]:
        """The secrets in the order in which they should be tried."""
        return self._secrets[self._first :] + self._secrets[: self._first]

    def worked(self, secret: Value, now: float) -> bool:
        """Remember that the token endpoint accepted `secret`.

        True when it is not the one that it accepted before, or that was to be tried first where it accepted none.
        A secret that was replaced while its call was under way is no longer ours, and changes nothing.
        """
        if secret not in self._secrets:
            return False
        switched = secret != (self._working or self._secrets[self._first])
        if secret != self._working:
            self._working, self._since = secret, now
        self._first = self._secrets.index(secret)
        self._accepted[secret] = now
        return switched

    def refused(self, secret: Value, now: float) -> None:
        """Remember that the token endpoint answered invalid_client."""
        if secret in self._secrets:
            self._refused[secret] = now

    def replace(self, secrets: tuple[Value, ...]) -> bool:
        """Take these secrets from now on. True when their content differs.

        The one that works goes on being tried first, but for a new secret in the first place: whoever put it there has
        added it at the token endpoint before, and waits to see that it works before the old one is deleted there.
        """
        before = self._secrets
        secrets = self._secrets = _different(secrets)
        if secrets[:1] and secrets[0] not in before:
            self._first = 0
        else:
            self._first = secrets.index(self._working) if self._working in secrets else 0
        for known in (self._accepted, self._refused):
            for gone in known.keys() - {*secrets}:
                del known[gone]
        return set(secrets) != set(before)

    @property
    def in_use(self) -> str:
        """The one that works, as `1 of 2`; before any of them has worked, the one that is tried first."""
        index = self._secrets.index(self._working) if self._working in self._secrets else self._first
        return f"{index + 1} of {len(self._secrets)}"

    def uses(self) -> tuple[SecretUse, ...]:
        """What is known of each, in the order of the configuration."""
        return tuple(
            SecretUse(
                origin=secret.origin,
                in_use=secret == self._working,
                in_use_since=self._since if secret == self._working else None,
                accepted_at=self._accepted.get(secret),
                refused_at=self._refused.get(secret),
            )
            for secret in self._secrets
        )

    def __repr__(self) -> str:
        return f"<credentials, secret {self.in_use}>"


def _different(secrets: tuple[Value, ...]) -> tuple[Value, ...]:
    """Two files may hold the same secret between two rotations: it need not be tried twice."""
    return tuple(dict.fromkeys(secrets))
