"""What a token says of itself, against the configuration that it was asked for with. Pure.

Nothing here is trusted: it is shown and compared, so that a person sees what the upstream's authorizer will see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

from proxy.config.model import Auth, Value
from proxy.config.walk import BROKEN, Unusable
from proxy.doctor.finding import Finding, ok, warn
from proxy.doctor.finding import fail as failed

SHORT: Final = 300.0
"""Seconds of life below which somebody pays for many tokens."""
SKEW: Final = 30.0
"""Seconds by which two clocks may differ: the Date field has whole seconds, and an answer takes its time."""
_ADDRESSES: Final = ("url", "egress_proxy")
"""The ends of keys whose values are no credentials."""
_COGNITO_ID = re.compile(r"[a-z0-9]{20,32}")
_COGNITO_HOST = re.compile(r"\.auth(?:-fips)?\.[a-z0-9-]+\.amazoncognito\.com$")


def look_at_credentials(auth: Auth) -> list[Finding]:
    """Whether id and secrets, as far as they can be read, look like what they should be; their text is never shown."""
    step, client_id = "credentials", auth.client_id
    secrets = [secret for secret in auth.client_secret if secret is not BROKEN]
    found: list[Finding] = []
    for what, value in (("client_id", client_id), *(("client_secret", secret) for secret in secrets)):
        if value is not BROKEN and (problem := _odd(value.reveal())):
            found.append(warn(step, f"{what} (from {whence(value)}) {problem}", "looks_wrong"))
    cognitos = BROKEN not in (client_id, auth.token_url) and _COGNITO_HOST.search(auth.token_url.host)
    if cognitos and not _COGNITO_ID.fullmatch(client_id.reveal()):
        detail = f"client_id (from {whence(client_id)}) is not like Cognito's, 26 lower-case letters and digits"
        found.append(warn(step, detail, "looks_wrong"))
    if found or client_id is BROKEN or not secrets or len(secrets) < len(auth.client_secret):
        return found
    places = " and ".join(dict.fromkeys(map(whence, secrets)))
    return [ok(step, f"client id from {whence(client_id)}, secret from {places}")]


def look_at_unusable(lacks: Sequence[Unusable]) -> list[Finding]:
    """The values that come from elsewhere and cannot be used, by the paths of their keys."""
    return [
        failed(
            "address" if lack.path.endswith(_ADDRESSES) else "credentials",
            f"{lack.path}: {lack.problem}",
            lack.explanation,
        )
        for lack in lacks
    ]


def whence(value: Value) -> str:
    """Where a value is from, after `from `."""
    return "the configuration itself" if value.origin == "literal" else value.origin


def _odd(text: str) -> str:
    if text != text.strip():
        return "begins or ends with white space"
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return "is in quotes"
    if re.fullmatch(r"<.*>|\$\{.*\}|(?i:changeme|change-me|todo|xxx+|secret|example)", text):
        return "looks like a placeholder"
    return ""


def look_at_scopes(requested: tuple[str, ...], granted: tuple[str, ...]) -> Finding:
    """Granted against requested."""
    step = "token: scopes"
    lacking = [scope for scope in requested if scope not in granted]
    if lacking:
        return failed(step, f"asked for {' '.join(requested)}, not granted: {' '.join(lacking)}", "scopes_missing")
    more = [scope for scope in granted if scope not in requested]
    note = f" (more than asked for: {' '.join(more)})" if more and requested else ""
    return ok(step, f"{' '.join(granted) or 'none, as asked'}{note}")


def look_at_claims(claims: Mapping[str, Any], auth: Auth, life: float) -> list[Finding]:
    """Issuer, use, client and life, as a JWT says them. `life` is the token's in seconds, as the sidecar counts it."""
    found = [ok("token: issuer", _text(claims.get("iss"), "it does not say"))]
    use = claims.get("token_use")
    if isinstance(use, str) and use != "access":
        found.append(failed("token: use", f"token_use is {_text(use)}", "no_access_token"))
    client = claims.get("client_id", claims.get("azp"))
    if client == auth.client_id.reveal():
        found.append(ok("token: client", "the configured one"))
    elif isinstance(client, str):
        found.append(failed("token: client", "client_id is not the configured one", "other_client"))
    found.append(look_at_life(life))
    return found


def look_at_life(life: float) -> Finding:
    step = "token: life"
    if life < SHORT:
        return warn(step, f"{life:.0f} s", "short_life")
    return ok(step, f"{life / 60:.0f} min")


def look_at_clock(date: str | None, now: float) -> Finding | None:
    """This machine's clock against the Date field of an answer that has just come; None where there is none."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    difference = now - theirs
    step = "clock"
    if abs(difference) > SKEW:
        way = "ahead of" if difference > 0 else "behind"
        return warn(step, f"this machine is {abs(difference):.0f} s {way} the token endpoint", "clock_skew")
    return ok(step, f"within {SKEW:g} s of the token endpoint's")


def _text(value: object, otherwise: str = "odd") -> str:
    """A claim for a person: printable, and not endless."""
    if not isinstance(value, str) or not value:
        return otherwise
    return "".join(char if char.isprintable() else " " for char in value)[:200]
