"""Cases, run in processes of their own, as many at a time as there is room for."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from trials.fleet.cases import Section, run_case
from trials.fleet.ledger import Outcome


def outcomes_of(sections: Sequence[Section], seed: int, jobs: int) -> dict[str, Outcome]:
    """By the name of the case. The longest are begun first, so that no core is left with one of them in the end."""
    rows = sorted((row for section in sections for row in section.rows), key=lambda row: -row.events)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_timed, case.name, seed): case.name for row in rows for case in row.cases}
        outcomes = {}
        for done, future in enumerate(as_completed(running), start=1):
            outcomes[running[future]], seconds = future.result()
            print(f"{done} of {len(running)}: {running[future]} ({seconds:.0f} s)", file=sys.stderr, flush=True)
        return outcomes


def _timed(name: str, seed: int) -> tuple[Outcome, float]:
    """What a case comes to, and the processor time that it took, in seconds."""
    began = time.process_time()
    return run_case(name, seed), time.process_time() - began
