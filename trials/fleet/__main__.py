"""`python -m trials.fleet`: every case; the tables; and all of it into docs/scaling.md, with charts."""

from __future__ import annotations

import argparse
import os
import sys
import time

from trials.fleet import page
from trials.fleet.cases import SECTIONS
from trials.fleet.running import outcomes_of


def main() -> int:
    chosen = _options().parse_args()
    sections = [section for section in SECTIONS if section.key in chosen.section or not chosen.section]
    began = time.monotonic()
    outcomes = outcomes_of(sections, chosen.seed, chosen.jobs)
    for section in sections:
        print(f"{page.table_of(section, outcomes)}\n", flush=True)
    print(f"seed {chosen.seed}, {time.monotonic() - began:.0f} s", file=sys.stderr)
    if chosen.seed == page.SEED:
        page.write(sections, outcomes)
    else:
        print(f"Not written: what is in docs/scaling.md is of seed {page.SEED}.", file=sys.stderr)
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trials.fleet", description=__doc__)
    tables = "|".join(section.key for section in SECTIONS)
    parser.add_argument("section", nargs="*", type=_key, metavar=tables, help="these tables only (default: all)")
    parser.add_argument("--seed", type=int, default=page.SEED, help="of all that is drawn (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="cases at a time (default: one for each core)"
    )
    return parser


def _key(text: str) -> str:
    """A table's name. Before Python 3.12 `choices` refuses that none is given."""
    if text not in {section.key for section in SECTIONS}:
        raise argparse.ArgumentTypeError(f"there is no table {text!r}")
    return text


if __name__ == "__main__":
    sys.exit(main())
