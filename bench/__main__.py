"""Runs the benchmark and prints its tables. `python -m bench [--seconds N] [--rounds N]`.

Upstream, sidecar and callers are processes of their own on loopback, pinned to a core each where there are two:
what is compared is taken in turns within a round, because machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.certificate import make_certificate

_TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = (1, 16, 256)


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench", description="What a request through the sidecar costs.")
    options.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = make_certificate(Path(directory))
        world = subprocess.Popen(
            [sys.executable, "-m", "bench.upstream", certificate, key], stdout=subprocess.PIPE, text=True
        )
        try:
            assert world.stdout is not None
            ports = json.loads(world.stdout.readline())
            measure(directory, certificate, ports, world.pid, chosen.seconds, chosen.rounds)
        finally:
            world.terminate()
            world.wait()


def measure(directory: str, certificate: str, ports: dict[str, int], world: int, seconds: float, rounds: int) -> None:
    port = free_port()
    config = Path(directory) / "config.json"  # JSON is YAML.
    config.write_text(json.dumps(configuration(port, free_port(), certificate, ports)))
    began = time.perf_counter()
    command = [sys.executable, "-m", "proxy", "run", "--config", str(config)]
    environment = {**os.environ, "COGNITO_SIDECAR_CONFIG": ""}
    sidecar = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        first = first_response(port, began, sidecar)
        pin(world, 1)
        pin(sidecar.pid, 0)
        idle = resident(sidecar.pid)
        rows = []
        for connections in CONNECTIONS:
            direct = f"https://localhost:{ports['api']}/"
            taken: list[tuple[dict[str, Any], dict[str, Any], float]] = []
            for _ in range(rounds):
                alone = load(direct, connections, seconds, certificate)
                before = cpu_seconds(sidecar.pid)
                through = load(f"http://localhost:{port}/", connections, seconds, "")
                cost = (cpu_seconds(sidecar.pid) - before) / through["requests"] * 1e6
                taken.append((alone, through, cost))
            rows.append((connections, taken))
        report(rows, first, idle, resident(sidecar.pid))
    finally:
        sidecar.send_signal(signal.SIGTERM)
        sidecar.wait()


def report(rows: list[tuple[int, list[Any]]], first: float, idle: float, after: float) -> None:
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print("HTTPS upstream on loopback, keep-alive, 28 bytes of JSON; medians of the rounds\n")
    print(f"{'connections':>11} {'':<10} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU us/request':>15}")
    for connections, taken in rows:
        for name, index in (("direct", 0), ("sidecar", 1)):
            values = {key: statistics.median(row[index][key] for row in taken) for key in taken[0][index]}
            cost = f"{statistics.median(row[2] for row in taken):15.1f}" if index else f"{'':>15}"
            print(
                f"{connections:>11} {name:<10} {values['per_second']:>10.0f} {values['p50_ms']:>8.2f}"
                f" {values['p99_ms']:>8.2f} {cost}"
            )
    print(f"\nstart to first forwarded response  {first:.2f} s")
    print(f"resident memory                    {idle:.1f} MiB at rest, {after:.1f} MiB after the load")


def configuration(port: int, admin: int, certificate: str, ports: dict[str, int]) -> dict[str, Any]:
    return {
        "upstreams": {
            "bench": {
                "listen": f"127.0.0.1:{port}",
                "url": f"https://localhost:{ports['api']}",
                "tls": {"ca_file": certificate},
                "pool": {"max_connections": 256},
                "auth": {
                    "token_url": f"http://127.0.0.1:{ports['token']}/oauth2/token",
                    "client_id": "bench",
                    "client_secret": "bench",
                },
            }
        },
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "log": {"level": "error"},
    }


def first_response(port: int, began: float, sidecar: subprocess.Popen[bytes]) -> float:
    """Seconds until the first request came back through the sidecar."""
    while sidecar.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
                caller.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if caller.recv(64).startswith(b"HTTP/1.1 200"):
                    return time.perf_counter() - began
        except OSError:
            time.sleep(0.005)
    raise SystemExit("the sidecar did not start")


def load(url: str, connections: int, seconds: float, ca_file: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.load", url, str(connections), str(seconds), *([ca_file] if ca_file else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def pin(pid: int, core: int) -> None:
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
