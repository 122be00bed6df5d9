"""A local Amazon Cognito and API Gateway on one origin, for demos, our tests and users' own CI.

It hands out tokens to whoever knows a secret that is written in the documentation, so it listens on loopback
and nowhere else, and it is never part of `cognito-sidecar run`: only the commands `demo` and `emulator`, and
the tests, import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.emulator.server import Emulator
    from proxy.emulator.settings import Settings

__all__ = ["Emulator", "Settings"]


def __getattr__(name: str) -> Any:
    """Import the two names on first use: a command's `--help` should not wait for aiohttp and cryptography."""
    if name == "Emulator":
        from proxy.emulator.server import Emulator  # noqa: PLC0415  # the point of this function

        return Emulator
    if name == "Settings":
        from proxy.emulator.settings import Settings  # noqa: PLC0415  # the point of this function

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
