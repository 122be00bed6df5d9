"""Which upstreams share one token: those whose clients are the same to the token endpoint."""

from __future__ import annotations

from typing import NamedTuple

from proxy.config.model import Auth, Value


class Identity(NamedTuple):
    """A client as the token endpoint sees it. Hashable; shows no secret."""

    token_url: str
    client_id: Value
    scopes: frozenset[str]
    """A token for `a b` serves whoever asks for `b a`."""
    method: str
    extra_params: frozenset[tuple[str, Value]]
    secrets: frozenset[Value]


def identity(auth: Auth) -> Identity:
    """Two upstreams for which this is equal share one source.

    What is left out (header, scheme, times, TLS) does not change what token comes back.
    """
    return lasting_identity(auth)._replace(secrets=frozenset(auth.client_secret))


def lasting_identity(auth: Auth) -> Identity:
    """`identity` without the secrets: a reload that changes only those keeps the source and its token."""
    return Identity(
        token_url=str(auth.token_url),
        client_id=auth.client_id,
        scopes=frozenset(auth.scopes),
        method=auth.method,
        extra_params=frozenset(auth.extra_params.items()),
        secrets=frozenset(),
    )
