"""`python -m trials.chaos`: rounds of every scenario by turns, until the minutes are over or an invariant breaks."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.interop.servers import INSTALLED
from trials.chaos.invariants import judge
from trials.chaos.play import play
from trials.chaos.records import keep
from trials.chaos.report import broken, render
from trials.chaos.scenarios import SCENARIOS
from trials.world import PROVIDER


def main() -> int:
    chosen = _options().parse_args()
    names = chosen.only or [*SCENARIOS]
    if not (shutil.which("node") and INSTALLED.is_dir()):
        names = [name for name in names if SCENARIOS[name].issuer is not PROVIDER]
        print("without npm's oidc-provider: it takes Node.js, and make install")
    until = time.monotonic() + 60 * chosen.minutes
    print(f"seed {chosen.seed}")
    failures = 0
    for number, name in enumerate(itertools.cycle(names)):
        if number >= chosen.rounds if chosen.rounds else number and time.monotonic() > until:
            break
        failures += one_round(name, chosen.seed + number, chosen.seconds)
        if failures and not chosen.go_on:
            break
    return 1 if failures else 0


def one_round(name: str, seed: int, seconds: float) -> bool:
    """Play and judge one round; whether it failed. A failed one leaves its records behind."""
    print(f"\n=== {name}, seed {seed}: {SCENARIOS[name].about}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-{seed}-"))
    report, failed = asyncio.run(verdict_of(name, seed, seconds, directory, _say))
    print(report, flush=True)
    if not failed:
        shutil.rmtree(directory)
    return failed


async def verdict_of(
    name: str, seed: int, seconds: float, directory: Path, say: Callable[[str], None]
) -> tuple[str, bool]:
    """One round's report, and whether an invariant broke. Where one did, `directory` holds all that was seen."""
    records = await play(SCENARIOS[name], seed, seconds, directory, say)
    verdict = judge(records)
    report = render(records, verdict)
    if broken(verdict):
        again = f'make chaos ARGS="--only {name} --seed {seed} --seconds {seconds:g} --rounds 1"'
        report += f"\n\nThe records are in {directory}\nTo play it again: {again}"
        keep(records, directory)
        (directory / "report.txt").write_text(report + "\n", encoding="utf-8")
    return report, broken(verdict)


def _say(line: str) -> None:
    print(line, flush=True)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="make chaos", description="Load and faults at once, and what must hold.")
    options.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the first round; by default any")
    options.add_argument("--minutes", type=float, default=5.0, help="no round begins after so long (%(default)g)")
    options.add_argument("--rounds", type=int, default=0, help="play so many rounds instead")
    options.add_argument("--seconds", type=float, default=15.0, help="of faults in a round (%(default)g)")
    options.add_argument("--only", type=_names, help=f"some of {','.join(SCENARIOS)}")
    options.add_argument("--go-on", action="store_true", help="also after a round in which an invariant broke")
    return options


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - SCENARIOS.keys():
        raise argparse.ArgumentTypeError(f"no scenario is called {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
