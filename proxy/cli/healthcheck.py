"""`cognito-sidecar healthcheck`: one probe of a running sidecar, for images without a shell or curl."""

from __future__ import annotations

import click

from proxy.cli.command import Command, admin_option, config_option, seconds
from proxy.cli.finding import admin_target
from proxy.cli.probe import ask, trouble
from proxy.errors import SidecarError


@click.command(
    "healthcheck",
    cls=Command,
    short_help="Probe a running sidecar once.",
    examples=[
        "cognito-sidecar healthcheck",
        "cognito-sidecar healthcheck --ready --admin 127.0.0.1:9090",
        'HEALTHCHECK CMD ["cognito-sidecar", "healthcheck"]        # in a Dockerfile',
    ],
    exit_codes={
        0: "The sidecar answered that it is well.",
        1: "It did not, or not in time; standard error says why.",
        2: "Wrong usage, or a configuration file that cannot be read.",
    },
)
@click.option("--ready", "path", flag_value="/readyz", help="Ask whether it can serve requests now (/readyz).")
@click.option("--startup", "path", flag_value="/startupz", help="Ask whether it has had its first tokens (/startupz).")
@click.option(
    "--live", "path", flag_value="/livez", default="/livez", help="Ask whether it is alive (/livez). The default."
)
@click.option(
    "--timeout", metavar="DURATION", default="1s", show_default=True, callback=seconds, help="How long to wait."
)
@admin_option
@config_option
def command(path: str, timeout: float, admin: str | None, config: str | None) -> None:
    """Ask a running sidecar once whether it is alive, and say so by the exit code.

    Liveness depends on nothing remote: restart on it. Readiness tells whether to send it requests; do not restart on
    it. The sidecar is found by --admin, else by `admin.listen` of the configuration (nothing else in the file is
    read, so its secrets need not be there), else at 127.0.0.1:9090.
    """
    target = admin_target(admin, config)
    try:
        answer = ask(target, path, timeout)
    except OSError as error:
        raise SidecarError(f"{target}: {trouble(error)}") from None
    if answer.status != 200:
        raise SidecarError(f"{target}{path} answered {answer.status}: {answer.body or 'no reason given'}")
