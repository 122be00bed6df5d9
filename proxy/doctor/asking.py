"""One request to the upstream, as the sidecar would send it, with the token or without."""

from __future__ import annotations

from typing import NamedTuple

import aiohttp

from proxy.config.model import Egress, Upstream
from proxy.doctor.finding import Finding, fail
from proxy.doctor.gateways import with_token, without_token
from proxy.egress import EgressError
from proxy.outgoing import Outgoing
from proxy.tokens.endpoint import Grant


class Asked(NamedTuple):
    """What the upstream is asked for."""

    method: str = "GET"
    path: str = "/"
    """Below the base path of its URL."""


async def ask(upstream: Upstream, egress: Egress, asked: Asked, grant: Grant | None) -> Finding:
    """What comes back, and what it means. It may repeat what was sent: see `proxy.doctor.hiding`."""
    auth = upstream.auth
    headers = {name: value.reveal() for name, value in upstream.headers.set.items()}
    if grant is not None:
        headers[auth.header] = f"{auth.scheme} {grant.token.reveal()}".lstrip()
    outgoing = Outgoing(upstream.url, upstream.tls, proxy=egress.upstream, replace_trust=True, large_heads=True)
    step = "upstream: without a token" if grant is None else "upstream: with the token"
    seconds = float(upstream.timeouts.response)
    path = upstream.url.path + asked.path
    try:
        # What the API itself says when all is well is nobody's business here, and may never end.
        reply = await outgoing.call(asked.method, headers, seconds=seconds, path=path, reads=lambda code: code >= 400)
    except Exception as error:  # noqa: BLE001  (every error is put in words: its own may quote the request)
        return _no_answer(step, error, seconds)
    judge = without_token if grant is None else with_token
    return judge(reply.status, reply.headers, reply.body or b"")


def _no_answer(step: str, error: Exception, seconds: float) -> Finding:
    """Why there is no answer, though there was a connection a moment ago."""
    match error:
        case TimeoutError():
            return fail(step, f"no answer within {seconds:g} s", "too_slow")
        case EgressError():
            return fail(step, str(error), "proxy_failed")
        case aiohttp.ClientPayloadError():
            return fail(step, "the answer breaks off", "not_http")
        case aiohttp.ClientResponseError():
            return fail(step, "the answer cannot be read", "not_http")
        case aiohttp.ServerDisconnectedError() | OSError():
            return fail(step, "no answer", "no_answer")
        case _:
            return fail(step, f"the request failed ({type(error).__name__})", "upstream_failed")
