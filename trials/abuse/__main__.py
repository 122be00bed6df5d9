"""`python -m trials.abuse`: 5,000 idle callers and 1,000 of each slow kind at once, or a share of that."""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
from pathlib import Path

from tests.processes import free_port
from trials.abuse.play import Plan, play
from trials.world import LOG, leave_nothing_behind

IDLE, SLOW = 5_000, 1_000


def main() -> int:
    chosen = _options().parse_args()
    leave_nothing_behind()
    plan = Plan(int(IDLE * chosen.scale), int(SLOW * chosen.scale), chosen.seconds, free_port())
    _allow_files(plan)
    with tempfile.TemporaryDirectory(prefix="abuse-") as directory:
        faults = asyncio.run(play(plan, Path(directory), lambda line: print(line, flush=True)))
        if faults:
            print("\n" + "\n".join(f"FAULT  {fault}" for fault in faults))
            print("The end of the sidecar's log:")
            print("".join((Path(directory) / LOG).read_text(errors="replace").splitlines(keepends=True)[-20:]))
            return 1
    print("All healthy callers were answered, and everything was freed.")
    return 0


def _allow_files(plan: Plan) -> None:
    """Here and in all that is started from here."""
    needed = plan.idle + 5 * plan.slow + 1_000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < needed:
        raise SystemExit(f"This needs {needed:,} file descriptors a process, and {most:,} are allowed: try --scale")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="make abuse", description=__doc__)
    options.add_argument("--scale", type=float, default=1.0, help="share of the usual crowds (%(default)g)")
    options.add_argument("--seconds", type=float, default=5.0, help="that each step is watched (%(default)g)")
    return options


if __name__ == "__main__":
    sys.exit(main())
