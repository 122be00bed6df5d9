"""Which upstreams share one token: those whose clients are the same to the token endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

import msgspec

from proxy.config.model import Auth, Tls, Value


class Identity(NamedTuple):
    """A client as the token endpoint sees it. Hashable; shows no secret."""

    token_url: str
    client_id: Value
    scopes: frozenset[str]
    """A token for `a b` serves whoever asks for `b a`."""
    method: str
    extra_params: frozenset[tuple[str, Value]]
    secrets: frozenset[Value]

    @property
    def lasting(self) -> Identity:
        """Without the secrets: a reload that changes only those keeps the source and its token."""
        return self._replace(secrets=frozenset())


def identity(auth: Auth) -> Identity:
    """Two upstreams for which this is equal share one source.

    What is left out (header, scheme, times, TLS) does not change what token comes back.
    """
    return Identity(
        token_url=str(auth.token_url),
        client_id=auth.client_id,
        scopes=frozenset(auth.scopes),
        method=auth.method,
        extra_params=frozenset(auth.extra_params.items()),
        secrets=frozenset(auth.client_secret),
    )


def lasting_identity(auth: Auth) -> Identity:
    """What stays of `identity` whatever becomes of the secrets."""
    return identity(auth).lasting


def combined(auths: Sequence[Auth]) -> Auth:
    """The settings by which upstreams of one identity get their one token, whatever their order.

    It is renewed as early, and kept as long without a request, as any of them wants; a call may take as long as the
    most patient allows. Of certificates, the first upstream's that names any are used.
    """
    eager = min(auths, key=lambda auth: (auth.refresh_at, auth.refresh_jitter))
    return msgspec.structs.replace(
        auths[0],
        refresh_at=eager.refresh_at,
        refresh_jitter=eager.refresh_jitter,
        idle_after=max((auth.idle_after for auth in auths), key=lambda seconds: seconds or inf),  # 0: for ever
        request_timeout=max(auth.request_timeout for auth in auths),
        tls=next((auth.tls for auth in auths if auth.tls != Tls()), Tls()),
    )


def heirs(wanted: Mapping[Identity, Sequence[str]], present: Mapping[str, Identity]) -> dict[Identity, Identity]:
    """For the clients of a new configuration, which of the present ones each takes the place of, and the token.

    `wanted` has the names of the upstreams of each; `present` the client of each upstream. First come those that are
    the same in all; then those for whom only the secret has changed: before others those of the same upstream, since
    two clients may differ in nothing but their secrets. No present client has two heirs.
    """
    free = dict.fromkeys(present.values())
    found = {key: key for key in wanted if key in free}
    for key in found:
        del free[key]
    changed = [key for key in wanted if key not in found]
    for key in changed:
        own = (present[name] for name in wanted[key] if name in present)
        before = next((one for one in own if one in free and one.lasting == key.lasting), None)
        if before is not None:
            found[key] = before
            del free[before]
    others: dict[Identity, deque[Identity]] = {}
    for before in free:
        others.setdefault(before.lasting, deque()).append(before)
    for key in changed:
        alike = others.get(key.lasting)
        if key not in found and alike:
            found[key] = alike.popleft()
    return found
