"""`python -m bench`: what is measured, with which options, from the first process to the last table."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import callers, page, tables
from bench.contenders import ALL, Contender
from bench.figures import Results, Scenario
from bench.goals import scenario, verdicts
from bench.measure import DIRECT, Measurement, Plan
from bench.processes import Cores, DidNotStart, choose_cores
from bench.site import POST_BYTES
from bench.world import world

MIB = 2**20

REAL_HEADERS = (
    ("User-Agent", "orders-service/4.2 (python-requests/2.32)"),
    ("Accept", "application/json, text/plain;q=0.9, */*;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-GB,en;q=0.7,de;q=0.3"),
    ("Cache-Control", "no-cache"),
    ("Cookie", "session=4f1c2a9be0d34c5f8f6f0d7c6d0b4e11; region=eu-central-1"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", "vendor=t61rcWkgMzE"),
    ("X-Request-Id", "0b1f6a52-7c5d-4b0e-9f0a-2f6b3f0f2a11"),
    ("X-Correlation-Id", "c8a3de6f-52e9-4cf8-8b8c-92a1de1d7a30"),
    ("X-Client-Version", "2024.11.3"),
    ("If-None-Match", '"33a64df551425fcc55e4d42a148795d9f25f89d4"'),
)

SCENARIOS: Sequence[Scenario] = (
    *(Scenario(scenario("bare", count), "bare", "/", count) for count in (1, 16, 256)),
    *(Scenario(scenario("headers", count), "12 headers", "/", count, REAL_HEADERS) for count in (1, 16, 256)),
    Scenario(scenario("10k", 16), "10 KiB answer", "/10k", 16),
    Scenario(scenario("post", 16), "4 KiB post", "/post", 16, body_bytes=POST_BYTES),
)
MANY = SCENARIOS[2]


def main() -> int:
    chosen = _options().parse_args()
    contenders = [one for one in ALL if one.key in chosen.only]
    _allow_many_files()
    versions = {one.key: one.version() for one in contenders}
    present = [one for one in contenders if versions[one.key]]
    missing = [one for one in contenders if not versions[one.key]]
    for one in missing:
        print(f"{one.title} is missing: install {one.install}, or `make bench-tools` on Debian.", file=sys.stderr)
    cores = choose_cores()
    plan = Plan(present, SCENARIOS, MANY, chosen.rounds, chosen.seconds, chosen.mebibytes * MIB)
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {words}", file=sys.stderr, flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, world(Path(directory)) as around:
            measurement = Measurement(plan, around, cores, Path(directory), say)
            measurement.run()
            upstream = around.upstream
    except DidNotStart as error:
        print(f"the upstream did not start: {error}", file=sys.stderr)
        return 1
    about = tables.About(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        machine=_processor(),
        system=f"{_system()}, Linux {'.'.join(platform.release().split('.')[:2])}",
        cores=_pinning(cores),
        callers=callers.name(),
        upstream=upstream,
        rounds=chosen.rounds,
        seconds=chosen.seconds,
        stream_mib=chosen.mebibytes,
        versions={one.title: versions[one.key] for one in present},
        missing={one.title: one.install for one in missing},
    )
    _report(about, present, measurement.results, write=chosen.write)
    return 0


def _report(about: tables.About, present: Sequence[Contender], results: Results, *, write: bool) -> None:
    titles = {one.key: one.title for one in present}
    everybody = {**titles, DIRECT: "without a proxy"}
    text = tables.render(about, everybody, SCENARIOS, results, verdicts(results))
    print(text)
    if write:
        page.write(text, titles, results)


def _options() -> argparse.ArgumentParser:
    keys = ",".join(one.key for one in ALL)
    options = argparse.ArgumentParser(prog="make bench", description="What a request costs, here and elsewhere.")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0, help="of each measurement (%(default)s)")
    options.add_argument("--mebibytes", type=int, default=512, help="of a long body (%(default)s)")
    options.add_argument("--only", type=_keys, default=_keys(keys), help=f"some of {keys}")
    options.add_argument("--write", action="store_true", help="put the results into docs/performance.md")
    return options


def _keys(text: str) -> list[str]:
    known, keys = {one.key for one in ALL}, text.split(",")
    if unknown := set(keys) - known:
        raise argparse.ArgumentTypeError(f"no contender is called {', '.join(sorted(unknown))}")
    return keys


def _allow_many_files() -> None:
    """1,000 connections, here and in what is started from here, are more than many systems allow at first."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _pinning(cores: Cores) -> str:
    if cores.shared:
        return "All of it on one core, so requests a second and latency say little."
    return "The contender has one core, callers and upstream another."


if __name__ == "__main__":
    sys.exit(main())
