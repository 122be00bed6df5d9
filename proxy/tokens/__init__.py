"""The life of a token: from asking the token endpoint for it to asking for the next one, in time.

    rules.py        the states, and the one decision: pure
    life.py  backoff.py  refusals.py     how long a token lives, a pause lasts, what a 401 means: pure
    endpoint.py     what is asked of a token endpoint, and what its answer means
    http.py         the way there (aiohttp's client)
    credentials.py  the secrets, and which of them works
    identity.py     who shares a token
    source.py       the small part that acts: it keeps a token alive and hands it out
    news.py         where requests wait
    status.py  journal.py                what can be told about it, to people and to the log
    interface.py    what `proxy.forward` may ask

This room knows nothing of HTTP servers, requests or upstreams but their names. It must never show a token or
a secret to anybody but the endpoint and, through `AccessToken.reveal`, the one place that sends it.
"""

from __future__ import annotations

from proxy.tokens.credentials import SecretUse
from proxy.tokens.identity import Identity, combined, heirs, identity, lasting_identity
from proxy.tokens.interface import AccessToken, Recovery, TokenProvider
from proxy.tokens.source import TokenSource
from proxy.tokens.status import LastError, TokenStatus

__all__ = [
    "AccessToken",
    "Identity",
    "LastError",
    "Recovery",
    "SecretUse",
    "TokenProvider",
    "TokenSource",
    "TokenStatus",
    "combined",
    "heirs",
    "identity",
    "lasting_identity",
]
