"""`cognito-sidecar demo`: what the sidecar is for, shown on this machine in a few seconds.

The emulator, the sidecar and a caller that knows nothing of tokens run in this one process; only loopback is used,
and nothing is written to disk. What is told is in `proxy.cli.story`.
"""

from __future__ import annotations

import signal
import socket

import click

from proxy.cli.command import Command
from proxy.cli.loop import Signals, run_async
from proxy.cli.output import never_wait, say
from proxy.cli.story import Story
from proxy.emulator.server import DEFAULT_PORT

SIDECAR_PORT = 8080
ADMIN_PORT = 9090


@click.command(
    "demo",
    cls=Command,
    short_help="Show the whole story on this machine, without AWS.",
    examples=["cognito-sidecar demo", "cognito-sidecar demo --serve"],
    exit_codes={
        0: "All of it went as told.",
        1: "A step did not; standard error says which.",
    },
)
@click.option("--serve", "stay", is_flag=True, help="Stay up afterwards, with addresses to try, until Ctrl-C.")
def command(stay: bool) -> None:
    """Show the whole story on this machine, on the built-in Cognito and API Gateway: no AWS account, no configuration.

    A caller without credentials is refused by the API, and let in through the sidecar. Three requests cost one token.
    When every token becomes worthless, the caller does not notice.
    """
    run_async(tell(stay))


async def tell(stay: bool) -> None:
    """Tell the story, and stay if asked to. Raises SidecarError where a step did not go as told."""
    if not stay:
        async with Story() as story:
            await story.tell()
            story.how_to_go_on()
        return
    never_wait()
    ports = [usual_or_free(port) for port in (DEFAULT_PORT, SIDECAR_PORT, ADMIN_PORT)]
    with Signals(signal.SIGTERM, signal.SIGINT) as signals:
        async with Story(*ports) as story:
            await story.tell()
            story.what_to_try()
            await signals.next()
            say("Stopped.")


def usual_or_free(port: int) -> int:
    """The port where nobody has it, else 0 for any free one."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return 0
    return port
