"""The log lines of a token source, all in one place, so that one look tells that none holds a credential."""

from __future__ import annotations

from datetime import UTC, datetime

from proxy.errors import TokenError
from proxy.log import logger
from proxy.tokens.refusals import COOL_DOWN
from proxy.tokens.rules import State, Token
from proxy.tokens.status import Origin


class Journal:
    """Writes the lines of one source, each with the upstreams that share it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.label = ",".join(names)

    def obtained(self, token: Token, origin: Origin) -> None:
        logger("tokens").info(
            "token_obtained",
            upstream=self.label,
            origin=origin,
            token_id=token.access.token_id,
            number=token.access.number,
            life=round(token.life),
            expires_at=_iso(token.expires_at),
            renew_at=_iso(token.renew_at.wall),
        )

    def failed(self, error: TokenError, *, consecutive: int, pause: float, state: State) -> None:
        logger("tokens").warning(
            "token_refresh_failed",
            upstream=self.label,
            reason=error.reason,
            detail=error.detail,
            consecutive=consecutive,
            next_attempt_in=round(pause, 1),
            state=state.value,
        )

    def broke(self, error: Exception) -> None:
        """An exception that nobody expected, by its type alone: its message may quote what it was given."""
        logger("tokens").error("token_fetch_broke", upstream=self.label, error=type(error).__name__)

    def refused(self, number: int) -> None:
        logger("tokens").info("token_refused", upstream=self.label, number=number)

    def did_not_help(self, number: int) -> None:
        logger("tokens").warning("token_renewal_did_not_help", upstream=self.label, number=number, cool_down=COOL_DOWN)

    def secret_changed(self) -> None:
        logger("tokens").info("client_secret_changed", upstream=self.label)

    def secret_switched(self, in_use: str, *, after_refusal: bool) -> None:
        log = logger("tokens")
        # What was planned is no reason to look; that the secret which used to work no longer does, is.
        say = log.warning if after_refusal else log.info
        say("client_secret_switched", upstream=self.label, secret=in_use)


def _iso(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
