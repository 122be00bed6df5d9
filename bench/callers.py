"""The callers: N connections, one request at a time on each, for some seconds.

wrk where it is installed, since a caller must cost much less than what it calls; otherwise `bench.load`. Both run as
a process of their own, on the core that the upstream has too, and print one line of JSON at their end.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import Scenario
from bench.site import LISTEN

_WRK_SCRIPT = """\
{settings}
done = function(summary, latency, requests)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local line = '{{"p50_ms": %.4f, "p99_ms": %.4f, "failures": %d}}\\n'
  io.write(string.format(line, latency:percentile(50) / 1000, latency:percentile(99) / 1000, failures))
end
"""


class Target(NamedTuple):
    """Whom to call: a contender, or the upstream itself, with the token that it wants."""

    url: str
    ca_file: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Seen(NamedTuple):
    """What the callers saw from their first request to their last."""

    p50_ms: float
    p99_ms: float
    failures: int


def name() -> str:
    """What makes the requests, with its version."""
    if shutil.which("wrk") is None:
        return f"Python {sys.version.split()[0]}"
    # wrk prints its version, and then fails since it was not told whom to call.
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return f"wrk {found[0]}" if found else "wrk"


class Callers:
    """Callers at work."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def seen(self) -> Seen:
        """Wait for their end. Raises RuntimeError with their last words where that was not a good one."""
        output, errors = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the callers failed: {(errors or output).strip()[-500:]}")
        return Seen(**json.loads(output.strip().splitlines()[-1]))


@contextmanager
def calling(scenario: Scenario, target: Target, seconds: float, directory: Path) -> Iterator[Callers]:
    """Call for at least so many seconds while the block runs."""
    command = _wrk(scenario, target, seconds, directory) if shutil.which("wrk") else _python(scenario, target, seconds)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Callers(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _wrk(scenario: Scenario, target: Target, seconds: float, directory: Path) -> list[str]:
    script = directory / "wrk.lua"
    script.write_text(wrk_script(scenario, target))
    whole = str(math.ceil(seconds))  # wrk takes no fractions.
    url = target.url + scenario.path
    return ["wrk", "-t1", f"-c{scenario.connections}", f"-d{whole}s", "--timeout", "30s", "-s", str(script), url]


def wrk_script(scenario: Scenario, target: Target) -> str:
    """The request, written once: wrk then sends the same bytes again and again."""
    settings = []
    if scenario.body_bytes:
        settings += ['wrk.method = "POST"', f'wrk.body = string.rep("x", {scenario.body_bytes})']
    for field, value in all_headers(scenario, target).items():
        settings.append(f"wrk.headers[{json.dumps(field)}] = {json.dumps(value)}")
    return _WRK_SCRIPT.format(settings="\n".join(settings))


def all_headers(scenario: Scenario, target: Target) -> Mapping[str, str]:
    content = {"Content-Type": "application/json"} if scenario.body_bytes else {}
    return {**dict(scenario.headers), **content, **dict(target.headers)}


def _python(scenario: Scenario, target: Target, seconds: float) -> list[str]:
    told: dict[str, Any] = {
        "url": target.url + scenario.path,
        "ca_file": target.ca_file,
        "connections": scenario.connections,
        "seconds": seconds,
        "headers": all_headers(scenario, target),
        "body_bytes": scenario.body_bytes,
    }
    return [sys.executable, "-m", "bench.load", json.dumps(told)]


def answers(port: int) -> bool:
    """Whether one request, on a connection of its own, is answered with status 200."""
    try:
        with socket.create_connection((LISTEN, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """So many connections that have had one answer each, and then only wait."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = socket.create_connection((LISTEN, port), timeout=30)
            opened.append(connection)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("an idle connection's one request failed")
        yield
    finally:
        for connection in opened:
            connection.close()
