"""What there is to play: which faults, on which settings, and how it ends."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from trials.chaos.script import KINDS
from trials.world import EMULATOR, PROVIDER, Kind

Log = Literal["file", "pipe", "full", "closed"]
"""Where the sidecar's output goes: a file; a pipe whose reader may stall; a disk that is full; nowhere at all."""


class Scenario(NamedTuple):
    """One play."""

    about: str
    kinds: tuple[str, ...]
    life: int = 30
    """Of a token, seconds."""
    issuer: Kind = EMULATOR
    tls: bool = False
    """The way to the upstream is encrypted."""
    log: Log = "file"
    descriptors: int | None = None
    """The most that the sidecar may open."""
    mends: bool = True
    """When the faults are over, somebody puts in a new secret, after which a refused client tries again at once.
    Otherwise the sidecar has to wait for its own next attempt."""
    harmless: bool = False
    """Nothing of this is to cost a request: callers that do their part get what they asked for."""
    patience: int = 3
    """Of the sidecar with its upstream, seconds."""
    under_load: bool = False
    """SIGTERM comes while callers are at work, and not at rest."""


_UPSTREAM: Final = (
    "upstream killed",
    "upstream stopped",
    *(kind for kind in KINDS if kind.startswith("upstream link")),
)
_TOKENS: Final = (
    "token endpoint",
    "keys rotated",
    "secret rotated",
    *(k for k in KINDS if k.startswith("issuer link")),
)
_RELOAD: Final = ("good configuration", "bad configuration", "hangups")

SCENARIOS: Final[dict[str, Scenario]] = {
    "upstream": Scenario("the upstream dies, hangs, and loses connections", _UPSTREAM),
    "tls": Scenario("the same on the way of an encrypted connection", _UPSTREAM, tls=True),
    "tokens": Scenario("the token endpoint fails in every way; secrets and keys are rotated", _TOKENS, life=6),
    "backoff": Scenario(
        "the same, and nobody mends anything", ("token endpoint", "issuer link shut"), life=6, mends=False
    ),
    "provider": Scenario(
        "another token issuer, which is hard to reach: npm's oidc-provider",
        (*(kind for kind in KINDS if kind.startswith("issuer link")), "sidecar frozen", "hangups"),
        life=4,
        issuer=PROVIDER,
        mends=False,
    ),
    "reload": Scenario(
        "the configuration is rewritten, well and badly",
        (*_RELOAD, "secret exchanged"),
        life=8,
        harmless=True,
        patience=20,
    ),
    "freeze": Scenario(
        "the sidecar stands still for longer than a token lives",
        ("sidecar frozen",),
        life=3,
        harmless=True,
        patience=4,
    ),
    "log": Scenario("nobody reads the log", ("log stalled", "hangups"), life=8, log="pipe", harmless=True, patience=20),
    "log-full": Scenario("the log's disk is full", _RELOAD, life=8, log="full", harmless=True, patience=20),
    "log-closed": Scenario("the log is closed", _RELOAD, life=8, log="closed", harmless=True, patience=20),
    "descriptors": Scenario(
        "file descriptors run out",
        ("connections taken", "upstream link reset", "hangups", "keys rotated"),
        life=6,
        descriptors=90,
    ),
    "sigterm": Scenario(
        "SIGTERM while callers are at work",
        ("upstream link delayed", "hangups"),
        harmless=True,
        patience=20,
        under_load=True,
    ),
    "everything": Scenario(
        "all of it at once", tuple(kind for kind in KINDS if kind != "connections taken"), life=5, log="pipe"
    ),
}
