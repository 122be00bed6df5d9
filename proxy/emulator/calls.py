"""What was asked so far: the answer of `GET /_emulator/calls`. It never holds a secret, a token or a query string."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any, Final

from proxy.emulator.oauth import Decision

KEPT: Final = 1000
_LONGEST: Final = 256
"""Characters of a scope or a path that are kept: they are the caller's, and so may be of any length."""


class Calls:
    """Counts of everything, and the last `KEPT` calls in full."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._last: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._token: Counter[str] = Counter()
        self._gateways: Counter[tuple[str, int | None]] = Counter()

    def token(self, *, at: float, status: int | None, outcome: str, decision: Decision) -> None:
        """One call of the token endpoint; `status` None where the connection was dropped instead."""
        self._token[outcome] += 1
        self._last.append(
            {
                "at": _moment(at),
                "kind": "token",
                "status": status,
                "outcome": outcome,
                "client_id": decision.client_id,
                "auth_method": decision.auth_method,
                "scope": decision.scope[:_LONGEST],
            }
        )

    def gateway(
        self, kind: str, *, at: float, status: int | None, outcome: str, method: str, path: str, token: str | None
    ) -> None:
        """One call of a gateway; `token` is the first 8 hex digits of the SHA-256 of the token that came with it."""
        self._gateways[kind, status] += 1
        self._last.append(
            {
                "at": _moment(at),
                "kind": kind,
                "status": status,
                "outcome": outcome,
                "method": method[:_LONGEST],
                "path": path[:_LONGEST],
                "token": token,
            }
        )

    @property
    def token_calls(self) -> int:
        return self._token.total()

    def show(self) -> dict[str, Any]:
        gateways: dict[str, dict[str, Any]] = {}
        for (kind, status), count in self._gateways.items():
            entry = gateways.setdefault(kind, {"total": 0, "by_status": {}})
            entry["total"] += count
            entry["by_status"]["dropped" if status is None else str(status)] = count
        return {
            "token": {"total": self.token_calls, "by_outcome": dict(self._token)},
            "gateways": gateways,
            "calls": list(self._last),
        }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
