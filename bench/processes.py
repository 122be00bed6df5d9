"""Processes of the benchmark: start, pin, end; their processor time and memory as Linux counts them in /proc."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
START_TIMEOUT = 30.0
"""Seconds that a program has for its first answer."""


class Cores(NamedTuple):
    """Where things run: what is measured has one core for itself, all the rest shares another."""

    contender: int
    world: int

    @property
    def shared(self) -> bool:
        return self.contender == self.world


class DidNotStart(Exception):
    """A program ended, or gave no good answer in time. The text has its last words."""


def choose_cores() -> Cores:
    """The first and the last core that this process may use; it and what it starts stay on the last one."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[-1]})
    return Cores(allowed[0], allowed[-1])


def pinned(command: Sequence[str], core: int) -> list[str]:
    """The same command on one core, from its first instruction: some count the cores when they start."""
    taskset = shutil.which("taskset")
    if taskset is None:
        raise SystemExit("taskset is missing: install util-linux")
    return [taskset, "-c", str(core), *command]


@contextmanager
def running(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does; what it prints goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(env or {})}
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as `ready` is true. Raises DidNotStart."""
    until = time.monotonic() + START_TIMEOUT
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            words = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise DidNotStart(" / ".join(words) or "no answer with status 200, and not a word why")
        time.sleep(0.002)


def tree(pid: int) -> list[int]:
    """A process and all of its descendants that live."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # A thread that has just ended.
            continue
        for child in children:
            found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree so far, that of children that have ended with it."""
    total = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: proc(5)
    return total / _TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of the tree, MiB; pages that two of its processes share count twice."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in tree(pid))
    return pages * _PAGE / 2**20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def output_of(*command: str) -> str:
    """What a command prints on both streams, "" where it is missing or fails: for versions."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
