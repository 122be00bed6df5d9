"""Another process of the sidecar's own user tries to read what it holds: its environment, its memory, its descriptors.

Started by root, sidecar and neighbour are an unprivileged user; else they are whoever runs the tests. The neighbour
that may (COGNITO_SIDECAR_DUMPABLE=1) shows that it can read all that, so that the other one's failure means something.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.processes import Sidecar, complete, require_program, run_program, write_config

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps neighbours out")

CANARY = "canary-in-the-environment"
USER = 54321

NEIGHBOUR = """
import ctypes, json, os, sys
pid, found = sys.argv[1], {}
def attempt(name, act):
    try:
        found[name] = act()
    except OSError as error:
        found[name] = type(error).__name__
def read(name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read().decode(errors="replace")
def memory():
    with open(f"/proc/{pid}/maps") as file:
        start = int(next(line for line in file if "[stack]" in line).partition("-")[2].split()[0], 16) - 8192
    with open(f"/proc/{pid}/mem", "rb") as file:
        file.seek(start)
        return file.read(8192).decode(errors="replace")
def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, int(pid), 0, 0):  # PTRACE_SEIZE
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return "traced"  # It ends with this process.
attempt("environ", lambda: read("environ"))
attempt("memory", memory)
attempt("descriptors", lambda: os.readlink(f"/proc/{pid}/fd/0"))
attempt("folder", lambda: os.listdir(f"/proc/{pid}/cwd/"))
attempt("trace", trace)
attempt("cmdline", lambda: read("cmdline"))
attempt("limits", lambda: read("limits"))
print(json.dumps(found))
"""


def _as_user() -> list[str]:
    """What to start a program by as somebody without rights over other users' processes. Those over files it keeps,
    since the interpreter may be where only root can read: this neighbour is a stronger one than it need be."""
    # What measures the tests' coverage would write where that user may not.
    unmeasured = ["env", "-u", "COVERAGE_PROCESS_CONFIG", "-u", "COVERAGE_PROCESS_START"]
    if os.geteuid():
        return unmeasured
    ids = [f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    caps = ["--bounding-set=-all,+dac_read_search", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [require_program("setpriv"), *ids, *caps, *unmeasured]


def _is_restricted() -> bool:
    """Whether this machine forbids tracing of its own accord, but for a process's own children (Yama)."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() != "0"


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that belongs to the sidecar's user."""
    with tempfile.TemporaryDirectory() as name:
        if not os.geteuid():
            os.chown(name, USER, USER)
        yield Path(name)


@asynccontextmanager
async def _sidecar(folder: Path, env: dict[str, str]) -> AsyncIterator[Sidecar]:
    config = complete(
        {
            "upstreams": {
                "orders": {
                    "listen": {"unix": str(folder / "orders.sock"), "mode": "0600"},
                    "url": "http://127.0.0.1:9",
                    "auth": {"token_url": "http://127.0.0.1:9", "client_id": "id", "client_secret": {"env": "KEY"}},
                }
            }
        },
        {},
    )
    file = folder / "config.yaml"
    write_config(file, config)
    command = (*_as_user(), sys.executable, "-m", "proxy", "run", "--config", str(file))
    sidecar = await Sidecar.start(*command, env={"KEY": CANARY, **env})
    sidecar.config_file, sidecar.config = file, config
    try:
        await sidecar.printed("admin: ")
        yield sidecar
    finally:
        assert await sidecar.stop() == 0, sidecar.output


async def _neighbour(sidecar: Sidecar) -> dict[str, str]:
    ran = await run_program(*_as_user(), sys.executable, "-c", NEIGHBOUR, str(sidecar.pid))
    assert ran.code == 0, ran.stderr.decode()
    found: dict[str, str] = json.loads(ran.stdout)
    return found


async def test_a_process_of_the_same_user_reads_nothing(folder: Path) -> None:
    async with _sidecar(folder, {}) as sidecar:
        found = await _neighbour(sidecar)
    denied = {name: found[name] for name in ("environ", "memory", "descriptors", "folder", "trace")}
    assert set(denied.values()) == {"PermissionError"}, denied
    assert CANARY not in found["cmdline"]
    core = next(line for line in found["limits"].splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert CANARY not in sidecar.output


async def test_the_neighbour_would_have_read_it(folder: Path) -> None:
    async with _sidecar(folder, {"COGNITO_SIDECAR_DUMPABLE": "1"}) as sidecar:
        found = await _neighbour(sidecar)
    assert CANARY in found["environ"]
    assert CANARY in found["memory"]
    assert found["descriptors"] == "/dev/null"
    if not _is_restricted():
        assert found["trace"] == "traced"


async def test_what_it_reads_of_itself_still_works(folder: Path) -> None:
    """Its own descriptors for /metrics, and by them the mode of its socket."""
    async with _sidecar(folder, {}) as sidecar:
        metrics = await run_program(require_program("curl"), "-sf", f"{sidecar.admin}/metrics")
        assert b"\nprocess_open_fds " in metrics.stdout
        sidecar.config["upstreams"]["orders"]["listen"]["mode"] = "0666"
        sidecar.rewrite(sidecar.config)
        sidecar.send(signal.SIGHUP)
        await sidecar.printed("reloaded")  # And with the secret, which is no longer in the environment.
        assert stat.S_IMODE((folder / "orders.sock").stat().st_mode) == 0o666
