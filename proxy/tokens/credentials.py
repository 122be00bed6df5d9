"""A client's secrets, of which Cognito allows two at a time, and which of them works.

Two secrets are how a rotation goes without a gap: the new one is added here before the old one is deleted
there. The texts stay inside `Value`, which shows in no repr.
"""

from __future__ import annotations

from proxy.config.model import Value


class Credentials:
    """One or two secrets. The one that worked last is tried first."""

    def __init__(self, secrets: tuple[Value, ...]) -> None:
        self._secrets = secrets
        self._first = 0
        self._known = False

    def order(self) -> tuple[Value, ...]:
        """The secrets in the order in which they should be tried."""
        return self._secrets[self._first :] + self._secrets[: self._first]

    def worked(self, secret: Value) -> bool:
        """Remember that the token endpoint accepted `secret`. True when it is not the one that was tried first.

        A secret that was replaced while its call was under way is no longer ours, and changes nothing.
        """
        if secret not in self._secrets:
            return False
        switched = self._secrets.index(secret) != self._first
        self._first = self._secrets.index(secret)
        self._known = True
        return switched

    def replace(self, secrets: tuple[Value, ...]) -> bool:
        """Take these secrets from now on, keeping the one that works. True when their content differs."""
        before, working = self._secrets, self._secrets[self._first] if self._known else None
        self._secrets = secrets
        self._known = working in secrets
        self._first = secrets.index(working) if working is not None and working in secrets else 0
        return set(secrets) != set(before)

    @property
    def in_use(self) -> str:
        """The one that works, as `1 of 2`; before any has worked, the one that is tried first."""
        return f"{self._first + 1} of {len(self._secrets)}"

    def __repr__(self) -> str:
        return f"<credentials, secret {self.in_use}>"
