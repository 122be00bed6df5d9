"""The steps of one upstream, in the order in which a request would meet them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import quote_plus

import jwt

from proxy.clock import Clock
from proxy.config.model import Auth, Egress, Tls, Upstream, Value
from proxy.config.walk import BROKEN, Unusable
from proxy.doctor.asking import Asked, ask
from proxy.doctor.claims import (
    look_at_claims,
    look_at_clock,
    look_at_credentials,
    look_at_life,
    look_at_scopes,
    look_at_unusable,
    whence,
)
from proxy.doctor.finding import Finding, Mark, fail, ok, skip, warn
from proxy.doctor.gateways import as_sent
from proxy.doctor.hiding import hide
from proxy.doctor.keys import SIGNATURE, look_at_signature
from proxy.doctor.reach import reach
from proxy.errors import TokenError
from proxy.outgoing import Outgoing
from proxy.tls import TlsFileError
from proxy.tokens.endpoint import Answer, Call, Endpoint, Grant
from proxy.tokens.http import HttpTransport

_BEFORE: Final = "because of what failed before"


async def examine(
    upstream: Upstream, asked: Asked, clock: Clock, unusable: Sequence[Unusable] = ()
) -> AsyncIterator[Finding]:
    """Every step, each as soon as it is done. What depends on a step that failed is skipped, and said so.

    `unusable` are the values that the upstream lacks, by the paths of their keys below its own.
    """
    auth = upstream.auth
    egress = upstream.egress_proxy or Egress()
    for finding in (*look_at_unusable(unusable), *look_at_credentials(auth)):
        yield finding

    reached = BROKEN not in (auth.token_url, upstream.egress_proxy)
    for finding in await _endpoint_reached(upstream, egress, clock) if reached else ():
        reached = reached and finding.mark is not Mark.FAIL
        yield finding
    grant: Grant | None = None
    verified = False
    if tried := reached and _may_ask_for_a_token(auth, unusable):
        findings, grant = await _token(upstream, egress, clock)
        for finding in findings:
            yield finding
    if grant is not None:
        for finding in await _look_at(grant, upstream, egress):
            verified = verified or (finding.step == SIGNATURE and finding.mark is Mark.OK)
            yield _told(finding, upstream, grant)
    elif not tried:
        yield skip("token", _BEFORE)

    reached = BROKEN not in (upstream.url, upstream.egress_proxy)
    for finding in await _upstream_reached(upstream, egress, clock) if reached else ():
        reached = reached and finding.mark is not Mark.FAIL
        yield finding
    if not reached or any(lack.path.startswith("headers.") for lack in unusable):
        yield skip("upstream: without a token", _BEFORE)
        yield skip("upstream: with the token", _BEFORE)
        return
    yield _told(await ask(upstream, egress, asked, None), upstream, None)
    if grant is None:
        yield skip("upstream: with the token", _BEFORE)
    else:
        finding = as_sent(await ask(upstream, egress, asked, grant), auth, verified=verified)
        yield _told(finding, upstream, grant)


def _may_ask_for_a_token(auth: Auth, unusable: Sequence[Unusable]) -> bool:
    """Whether all is there that the request is made of; of two secrets one is enough."""
    if auth.client_id is BROKEN or not any(secret is not BROKEN for secret in auth.client_secret):
        return False
    return not any(lack.path.startswith("auth.extra_params.") for lack in unusable)


def _told(finding: Finding, upstream: Upstream, grant: Grant | None) -> Finding:
    """A finding in the words of others, who may have repeated what they were sent."""
    values = (*upstream.auth.client_secret, *upstream.headers.set.values())
    secrets = [value.reveal() for value in values if value is not BROKEN]
    token = [] if grant is None else [grant.token.reveal()]
    return finding._replace(detail=hide(finding.detail, [*secrets, *map(quote_plus, secrets), *token]))


async def _endpoint_reached(upstream: Upstream, egress: Egress, clock: Clock) -> list[Finding]:
    auth = upstream.auth
    extra = upstream.tls.ca_file if auth.tls == Tls() else None
    try:
        context = Outgoing(auth.token_url, auth.tls, extra_ca_file=extra).tls_context()
    except TlsFileError as error:
        return [fail("token endpoint: TLS", str(error), "tls_failed")]
    seconds = float(auth.request_timeout)
    return await reach("token endpoint", auth.token_url, auth.tls, context, egress.token, seconds, clock)


async def _upstream_reached(upstream: Upstream, egress: Egress, clock: Clock) -> list[Finding]:
    try:
        context = Outgoing(upstream.url, upstream.tls, replace_trust=True).tls_context()
    except TlsFileError as error:
        return [fail("upstream: TLS", str(error), "tls_failed")]
    seconds = float(upstream.timeouts.connect)
    return await reach("upstream", upstream.url, upstream.tls, context, egress.upstream, seconds, clock)


class _Noting(HttpTransport):
    """Remembers the last answer's Date."""

    date: str | None = None

    async def post(self, call: Call) -> Answer:
        answer = await super().post(call)
        self.date = answer.date
        return answer


async def _token(upstream: Upstream, egress: Egress, clock: Clock) -> tuple[list[Finding], Grant | None]:
    """A token with each secret, since each may be the one that works tomorrow."""
    auth, step = upstream.auth, "token"
    transport = _Noting(auth, extra_ca_file=upstream.tls.ca_file, proxy=egress.token)
    endpoint = Endpoint(auth, transport, clock)
    grant: Grant | None = None
    findings: list[Finding] = []
    failed: list[Finding] = []
    for number, secret in enumerate(auth.client_secret, 1):
        if secret is BROKEN:
            continue
        which = _which(auth, secret, number)
        try:
            grant = await endpoint.obtain(secret)
            findings.append(ok(step, f"given{which}"))
        except TokenError as error:
            failed.append(fail(step, f"{error.reason}: {error.detail}{which}", error.reason))
    if grant is not None:
        # One of two secrets is enough to work with; that the other one is not accepted is worth knowing.
        failed = [warn(step, finding.detail, finding.name) for finding in failed]
    clock_finding = look_at_clock(transport.date, clock.read().wall)
    return [*findings, *failed, *([clock_finding] if clock_finding else [])], grant


def _which(auth: Auth, secret: Value, number: int) -> str:
    total = len(auth.client_secret)
    return f", with secret {number} of {total} (from {whence(secret)})" if total > 1 else ""


async def _look_at(grant: Grant, upstream: Upstream, egress: Egress) -> list[Finding]:
    auth = upstream.auth
    found = [look_at_scopes(auth.scopes, grant.scopes)]
    try:
        claims = jwt.decode(grant.token.reveal(), options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return [*found, ok("token: form", "opaque: only its issuer can read it"), look_at_life(grant.life)]
    granted = claims.get("scope")
    if isinstance(granted, str):  # Cognito's answer does not name the scopes, its token does.
        found = [look_at_scopes(auth.scopes, tuple(granted.split()))]
    extra = upstream.tls.ca_file if auth.tls == Tls() else None
    seconds = float(auth.request_timeout)
    signature = await look_at_signature(grant.token.reveal(), claims.get("iss"), auth.tls, egress.token, extra, seconds)
    return [*found, *look_at_claims(claims, auth, grant.life), signature]
