"""`python -m trials.fuzz [TARGET …|all] --seconds N`: each target for so long, two at a time; a line for each.

`--replay FILE …` runs single inputs through one target instead, without atheris, and raises what the check raises.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from trials.fuzz.corpus import GROWN, seeds
from trials.fuzz.targets import TARGETS, load

_OVERTIME = 60
"""Seconds that a target has beyond its time for reading the corpus and for its last input."""
_LAST_WORDS = 25
"""Lines of the log of a target that found something."""


class Outcome(NamedTuple):
    """One target's run."""

    target: str
    code: int
    log: Path

    def figures(self) -> str:
        """What libFuzzer says at its end, as far as it came."""
        text = self.log.read_text(errors="replace")
        runs = re.findall(r"^stat::number_of_executed_units: (\d+)", text, re.MULTILINE)
        new = re.findall(r"^stat::new_units_added: +(\d+)", text, re.MULTILINE)
        reached = re.findall(r" cov: (\d+) ", text)
        return f"{int((runs or [0])[-1]):>11,} {(reached or ['-'])[-1]:>8} {(new or ['-'])[-1]:>6}"

    def found(self) -> list[str]:
        """The inputs that it says it has left behind."""
        return re.findall(r"Test unit written to (\S+)", self.log.read_text(errors="replace"))


def main() -> int:
    chosen = _options().parse_args()
    targets = [*TARGETS] if "all" in chosen.target else [*dict.fromkeys(chosen.target)]
    if chosen.replay:
        return _replay(targets, chosen.replay)
    GROWN.mkdir(exist_ok=True)
    print(f"{'target':<10} {'seeds':>6} {'inputs':>11} {'reached':>8} {'new':>6}  verdict", flush=True)
    failed = 0
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for outcome in pool.map(lambda target: _run(target, chosen.seconds, chosen.seed), targets):
            verdict = "ok" if outcome.code == 0 else "FOUND SOMETHING" if outcome.found() else "ENDED BY ITSELF"
            print(
                f"{outcome.target:<10} {len(seeds(outcome.target)):>6} {outcome.figures()}  {verdict}",
                flush=True,
            )
            if outcome.code:
                failed += 1
                _explain(outcome)
    return 1 if failed else 0


def _run(target: str, seconds: int, seed: int) -> Outcome:
    log = GROWN / f"{target}.log"
    command = [sys.executable, "-m", "trials.fuzz.engine", target, str(seconds), str(seed)]
    with log.open("wb") as output:
        # Sets and dictionaries in the same order each time: an input that found something must find it again.
        env = {**os.environ, "PYTHONHASHSEED": "0"}
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                timeout=seconds + _OVERTIME,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(target, -1, log)
    return Outcome(target, done.returncode, log)


def _explain(outcome: Outcome) -> None:
    lines = outcome.log.read_text(errors="replace").splitlines()
    worth = [line for line in lines if not re.match(r"#\d+\s|stat::|INFO:|\"|#{6}", line)]
    print("\n".join(f"    {line}" for line in worth[-_LAST_WORDS:]))
    print(f"    The whole log: {outcome.log}")
    for path in outcome.found():
        print(f"    Again, by itself: python -m trials.fuzz {outcome.target} --replay {path}", flush=True)


def _replay(targets: Sequence[str], files: Sequence[Path]) -> int:
    for target in targets:
        check = load(target)
        for file in files:
            check(file.read_bytes())
            print(f"{target}: {file}: ok")
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trials.fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", default=["all"], choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="what is drawn (default: anything)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="targets at a time")
    parser.add_argument("--replay", nargs="+", type=Path, metavar="FILE", help="run these inputs instead")
    return parser


if __name__ == "__main__":
    sys.exit(main())
