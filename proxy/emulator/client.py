"""The app client: its id and at most two live secrets (API reference, AddUserPoolClientSecret)."""

from __future__ import annotations

import hmac
import string
from collections.abc import Sequence
from typing import Final, NamedTuple

from proxy.emulator.answers import Random
from proxy.emulator.settings import MAX_SECRETS
from proxy.secret import Secret

_ALPHABET: Final = string.digits + string.ascii_lowercase
_SECRET_LENGTH: Final = 51


def new_secret(random: Random) -> str:
    """A secret as Cognito makes them up."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in random(_SECRET_LENGTH))


class Live(NamedTuple):
    """A secret that is accepted."""

    id: str
    """`<client-id>--<epoch>`, as ListUserPoolClientSecrets shows it."""
    value: Secret[str]


class LimitExceeded(Exception):
    """Two secrets are live already, or the last one was to be deleted."""


class AppClient:
    """Who may ask for tokens. `secrets` holds the live ones, the oldest first."""

    def __init__(
        self,
        client_id: str,
        secrets: Sequence[str],
        *,
        now: float,
        scopes: tuple[str, ...] = (),
        lifetime: int = 3600,
        may_ask: bool = True,
    ) -> None:
        self.id = client_id
        self.scopes = scopes
        """What it may ask for, and gets when it asks for nothing."""
        self.lifetime = lifetime
        """Seconds that its tokens live."""
        self.may_ask = may_ask
        """Whether client_credentials is among its flows."""
        self.secrets: list[Live] = []
        for value in secrets:
            self._append(value, now)

    def accepts(self, client_id: str, secret: str) -> bool:
        """Whether this id and secret are right."""
        given = secret.encode()
        # Each live secret is compared, in constant time: habits should not depend on who is asking.
        matches = [hmac.compare_digest(given, known.value.reveal().encode()) for known in self.secrets]
        return hmac.compare_digest(client_id.encode(), self.id.encode()) and any(matches)

    def add(self, random: Random, *, now: float, revoke_old: bool = False) -> Live:
        """A new secret, made up here. With `revoke_old` it is the only one from now on."""
        if revoke_old:
            self.secrets = self.secrets[-1:]
        if len(self.secrets) >= MAX_SECRETS:
            raise LimitExceeded(f"an app client has at most {MAX_SECRETS} live secrets; revoke one first")
        secret = self._append(new_secret(random), now)
        if revoke_old:
            self.secrets = [secret]
        return secret

    def revoke_oldest(self) -> Live:
        if len(self.secrets) == 1:
            raise LimitExceeded("the last secret of an app client cannot be deleted; add another one first")
        return self.secrets.pop(0)

    def _append(self, value: str, now: float) -> Live:
        epoch = int(now)
        while any(known.id == f"{self.id}--{epoch}" for known in self.secrets):
            epoch += 1  # two made within one second
        secret = Live(f"{self.id}--{epoch}", Secret(value))
        self.secrets.append(secret)
        return secret
