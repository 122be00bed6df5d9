"""`cognito-sidecar wait`: block until a running sidecar is ready, so that an application starts after it."""

from __future__ import annotations

import click

from proxy.cli import probe
from proxy.cli.command import Command, admin_option, config_option, seconds
from proxy.cli.finding import admin_target
from proxy.errors import SidecarError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 0.5
"""Seconds between two questions: often enough not to be noticed, seldom enough to cost nothing."""
ONE_ANSWER = 2.0
"""Seconds that one question may take, so that a connection which hangs does not use up the whole time."""


@click.command(
    "wait",
    cls=Command,
    short_help="Wait until a running sidecar is ready.",
    examples=[
        "cognito-sidecar wait && exec my-application",
        "cognito-sidecar wait --admin 127.0.0.1:9090 --timeout 2m",
    ],
    exit_codes={
        0: "The sidecar is ready.",
        1: "It was not within the timeout; standard error says what was missing.",
        2: "Wrong usage, or a configuration file that cannot be read.",
    },
)
@click.option(
    "--timeout", metavar="DURATION", default="60s", show_default=True, callback=seconds, help="How long to wait."
)
@admin_option
@config_option
def command(timeout: float, admin: str | None, config: str | None) -> None:
    """Block until a running sidecar holds a usable token for every required upstream (its /readyz answers 200).

    A sidecar that has not been started yet is waited for as well. It is found by --admin, else by `admin.listen` of
    the configuration (nothing else in the file is read, so its secrets need not be there), else at 127.0.0.1:9090.
    """
    wait_until_ready(admin_target(admin, config), timeout)


def wait_until_ready(target: probe.Target, timeout: float) -> None:
    """Ask until the sidecar there is ready. After `timeout` seconds raises SidecarError that says what lacks."""
    deadline = probe.monotonic() + timeout
    between = FIRST_PAUSE
    while True:
        left = deadline - probe.monotonic()
        # Even with no time left (`--timeout 0s`) it is asked once.
        missing = _missing(target, min(max(left, 0.1), ONE_ANSWER))
        if missing is None:
            return
        left = deadline - probe.monotonic()
        if left <= 0:
            raise SidecarError(f"not ready within {timeout:g}s: {target}{missing}")
        probe.pause(min(between, left))
        between = min(between * 1.5, LONGEST_PAUSE)


def _missing(target: probe.Target, timeout: float) -> str | None:
    """None when it is ready, else what is missing, as it follows the address in a sentence."""
    try:
        answer = probe.ask(target, "/readyz", timeout)
    except OSError as error:
        return f": {probe.trouble(error)}"
    if answer.status == 200:
        return None
    return f"/readyz answered {answer.status}: {answer.body or 'no reason given'}"
