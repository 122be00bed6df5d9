"""How long a token lives, from what the token endpoint says and what the token itself says. Pure.

A JWT is opened here without checking its signature, for its `exp` and `iat` alone: nothing else in it is ever
believed or shown. What makes no sense is treated as if it were not there, because a wrong guess is mended by
the 401 recovery, while a refusal to use the token would not be.
"""

from __future__ import annotations

import math

DEFAULT = 300.0
"""Seconds, where nobody says anything: the shortest life that Cognito gives."""
SHORTEST = 1.0
"""Seconds. A shorter life is taken for this long, so that no answer makes us call the endpoint in a tight loop."""
LONGEST = 365 * 24 * 3600.0
"""Seconds. A longer life is taken for this long: it is a mistake, and timers and dates have their limits."""

_LONGEST_DIGITS = 20
_EARLIEST_ISSUE = 2.0
"""Seconds that `iat` may lie before the request and still be the request's own: one is lost by the rounding of
`iat` to whole seconds, and one allows for clocks that differ."""


def token_life(expires_in: object, claimed: float | None) -> float:
    """Seconds of life: the shorter of `expires_in` and the JWT's own (`jwt_life`), or of them the one that is there.

    RFC 6749 §5.1 wants a number; servers that send digits in a string are understood. A boolean, a negative
    number, zero, NaN and anything else count as missing.
    """
    given = [life for life in (_positive(_number(expires_in)), claimed) if life is not None]
    return min(max(min(given, default=DEFAULT), SHORTEST), LONGEST)


def jwt_life(token: str, sent: float) -> float | None:
    """`exp` less `iat` of a JWT (RFC 7519 §4.1.4, §4.1.6), in seconds; None for anything that is not one.

    `sent` is when the token was asked for, in Unix time. Most servers, Cognito too, cut `iat` down to whole
    seconds, so that a token's life has begun up to a second before anybody asked for it. That is taken off
    here: of a life of two seconds it may be the half.
    """
    claims = _claims(token)
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires is None or issued is None or not expires > issued:
        return None
    early = sent - issued
    life = expires - issued - (early if 0.0 < early <= _EARLIEST_ISSUE else 0.0)
    # Not infinity less infinity, which is no number, and not nothing: `token_life` knows the least.
    return None if math.isnan(life) else max(life, SHORTEST)


def jwt_end(token: str) -> float | None:
    """`exp` of a JWT, in Unix time by the issuer's clock; None for anything that is not one."""
    return _number(_claims(token).get("exp"))


def _claims(token: str) -> dict[str, object]:
    if token.count(".") != 2:
        return {}
    import jwt  # noqa: PLC0415  (it brings cryptography with it, and is needed once an hour)

    try:
        claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return {}
    return claims


def _number(value: object) -> float | None:
    """A JSON number, or digits in a string, as a float; infinity where a float cannot hold it."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= _LONGEST_DIGITS):
            return None
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _positive(value: float | None) -> float | None:
    # NaN, which comes of infinity less infinity too, is not greater than 0 either.
    return value if value is not None and value > 0 else None
