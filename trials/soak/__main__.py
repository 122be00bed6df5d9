"""`python -m trials.soak`: an hour of mixed traffic by default; a row each minute, a chart at the end."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from trials.soak.growth import FEWEST, WARM_UP
from trials.soak.play import Plan, soak
from trials.soak.report import HEADER, WARMED_UP, Row, draw, line, table, verdict
from trials.world import LOG, leave_nothing_behind

RESULTS = Path(__file__).parents[2] / ".soak"


def main() -> int:
    chosen = _options().parse_args()
    leave_nothing_behind()
    plan = Plan(chosen.minutes * 60, _interval(chosen.minutes), chosen.seed)
    print(f"seed {chosen.seed}\n\n{HEADER}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        rows, faults = asyncio.run(soak(plan, Path(directory), _say))
        log = (Path(directory) / LOG).read_text(errors="replace").splitlines()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "table.md").write_text(table(rows), encoding="utf-8")
    (RESULTS / "chart.svg").write_text(draw(rows), encoding="utf-8")
    said, grown = verdict(rows)
    print("\n" + "\n".join([WARMED_UP, *said]))
    print(f"The table and the chart are in {RESULTS}/.")
    if faults or grown:
        print("\n" + "\n".join(f"FAULT  {fault}" for fault in [*grown, *faults]))
        print("\n".join(["The end of the sidecar's log:", *log[-20:]]))
        return 1
    print("Nothing grows, and every answer was as it should be.")
    return 0


def _say(row: Row) -> None:
    print(line(row), flush=True)


def _interval(minutes: float) -> float:
    """Seconds of a row: a minute, or less where there would be too few."""
    return min(60.0, minutes * 60 / 12)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="make soak", description=__doc__)
    options.add_argument("--minutes", type=_minutes, default=60.0, help="how long (%(default)g)")
    options.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the traffic; by default any")
    return options


def _minutes(text: str) -> float:
    minutes = float(text)
    if minutes * 60 / _interval(minutes) * (1 - WARM_UP) < FEWEST or minutes * 60 < 30:
        raise argparse.ArgumentTypeError("half a minute is the least")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
