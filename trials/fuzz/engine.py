"""One target under atheris, in this process: `python -m trials.fuzz.engine TARGET SECONDS SEED`.

It ends with the code of libFuzzer: 0 when the time is over, another when an input made the check raise, or took longer
than `SLOWEST` seconds, or too much memory; that input is left in `.fuzz/TARGET/`.
"""

from __future__ import annotations

import sys
from typing import Final

import atheris

from trials.fuzz.corpus import DICTIONARIES, GROWN, SEEDS
from trials.fuzz.targets import TARGETS, load

SLOWEST: Final = 10
"""Seconds for one input, of which most take less than a thousandth of one: what takes longer is a way to stop us."""


def main(target: str, seconds: str, seed: str) -> None:
    folder = GROWN / target
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["proxy"]):
        check = load(target)
    options = {
        "max_total_time": seconds,
        "seed": seed,  # 0 is any
        "timeout": SLOWEST,
        "rss_limit_mb": 1024,
        "dict": DICTIONARIES / f"{TARGETS[target]}.dict",
        "artifact_prefix": f"{folder}/",
        "print_final_stats": 1,
    }
    settings = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *settings, str(folder / "corpus"), str(SEEDS / target)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
