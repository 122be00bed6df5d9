"""How long to pause after a failed call of the token endpoint. Pure.

There are two kinds of failure. Some pass by themselves, and then soon is better than late; others need a
person, and then each further attempt only adds to a bill and to somebody's log. No failure stops the attempts.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple

from proxy.errors import Reason

Kind = Literal["passing", "mending", "heard"]

MENDING: Final[frozenset[Reason]] = frozenset(
    {
        "invalid_client",
        "invalid_scope",
        "unauthorized_client",
        "invalid_grant",
        "invalid_request",
        "unsupported_grant_type",
        "credentials",
    }
)
"""What a person must mend. `tls` is not among them: a certificate is often mended elsewhere (or is a reset
connection in disguise), an attempt that fails there is never billed, and nobody wants to wait 5 minutes after."""

PAUSES: Final[dict[Kind, tuple[float, float]]] = {
    "passing": (1.0, 60.0),
    "mending": (30.0, 300.0),
    "heard": (1.0, 12.0),
}
"""The first pause, and the longest, in seconds. `heard` is of a sidecar that made no call, since it was told that
another's had failed: to look again costs the endpoint nothing, and the fleet is served soon after the first success."""

LONGEST_RETRY_AFTER = 300.0
"""Seconds. An endpoint that asks for more is asked again after this, and no pause is longer."""

_SPREAD_OF_THE_LONGEST = 10.0
"""Seconds before LONGEST_RETRY_AFTER, within which those come back that were asked for a longer pause: a thousand of
them are fewer calls a second than Cognito allows, and each has honoured all but the last of what it honours."""


class Backoff(NamedTuple):
    """How many failures of one kind came in a row. A failure of the other kind starts again."""

    kind: Kind = "passing"
    failures: int = 0

    def after(self, reason: Reason) -> Backoff:
        kind: Kind = "mending" if reason in MENDING else "passing"
        return Backoff(kind, self.failures + 1 if kind == self.kind else 1)

    def hearing(self) -> Backoff:
        """After a failure that was another sidecar's."""
        return Backoff("heard", self.failures + 1 if self.kind == "heard" else 1)

    def pause(self, drawn: float, retry_after: float | None) -> float:
        """Seconds until the next attempt. `drawn` is a random number from 0 up to 1.

        The pause is drawn between half and the whole of the doubled one, so that a thousand sidecars do not come
        back together. It is never shorter than the endpoint's own Retry-After, which all of them are told at the same
        time: what is drawn comes on top of it, a quarter of it at least. Of a longer one than we honour only the last
        seconds are drawn.
        """
        first, longest = PAUSES[self.kind]
        # The exponent is bounded because a float is: years of failures must not end in an OverflowError.
        half = min(longest, first * 2.0 ** min(max(self.failures - 1, 0), 16)) / 2
        asked = retry_after or 0.0
        if asked > LONGEST_RETRY_AFTER:
            return LONGEST_RETRY_AFTER - _SPREAD_OF_THE_LONGEST * (1.0 - drawn)
        return min(max(half, asked) + max(half, asked / 4) * drawn, LONGEST_RETRY_AFTER)


def parse_retry_after(text: str | None, wall: float) -> float | None:
    """Seconds from a Retry-After field: a number of seconds or an HTTP date (RFC 9110 §10.2.3).

    `wall` is the time now. None where there is no such field, or none that makes sense.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:10]) if len(text) <= 10 else LONGEST_RETRY_AFTER
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - wall)
