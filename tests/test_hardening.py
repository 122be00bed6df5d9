"""Core dumps and tracing are refused where the system grants it; tests/e2e/test_neighbours.py tries them in earnest."""

from __future__ import annotations

import ctypes
import errno
import json
import resource
import sys
from pathlib import Path

import pytest

from proxy.hardening import keep_to_itself
from tests.processes import run_program

CODE = """
import ctypes, json, os, resource, sys
from proxy.hardening import keep_to_itself
failures = keep_to_itself(json.loads(sys.argv[1]))
state = [ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE)]  # 3: PR_GET_DUMPABLE
print(json.dumps([failures, state, os.listdir("/proc/self/fd") != []]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that can")
@pytest.mark.parametrize("environ", [{}, {"COGNITO_SIDECAR_DUMPABLE": ""}, {"COGNITO_SIDECAR_DUMPABLE": "0"}])
async def test_a_process_of_its_own(environ: dict[str, str]) -> None:
    ran = await run_program(sys.executable, "-c", CODE, json.dumps(environ))
    failures, state, reads_itself = json.loads(ran.stdout)
    assert (failures, state) == ([], [0, 0, 0])
    assert reads_itself, "it counts its own descriptors for /metrics"


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that can")
async def test_it_stays_open_to_debuggers_where_that_is_asked_for() -> None:
    ran = await run_program(sys.executable, "-c", CODE, json.dumps({"COGNITO_SIDECAR_DUMPABLE": "1"}))
    assert json.loads(ran.stdout)[:2] == [[], [1, *resource.getrlimit(resource.RLIMIT_CORE)]]


def test_what_is_not_granted_is_said_and_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refused)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: _Refusing())
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EPERM)
    assert keep_to_itself({}) == [
        "core dumps may be written: not allowed to raise maximum limit",
        "processes of the same user may trace this one: Operation not permitted",
    ]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_to_itself({})[1] == "processes of the same user may trace this one: only Linux can keep them out"


class _Refusing:
    def prctl(self, *_: int) -> int:
        return -1


async def test_the_log_says_what_was_not_granted(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "upstreams: {a: {listen: 127.0.0.1:0, url: http://127.0.0.1:9, "
        "auth: {token_url: http://127.0.0.1:9, client_id: a, client_secret: b}}}\n"
        "admin: {listen: 127.0.0.1:0}\nlog: {level: debug}\n"
    )
    code = (
        "import asyncio, os, signal, sys\n"
        "from proxy.cli import run\nfrom proxy.config import load\n"
        "def announce(service):\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "run.announce = announce\n"
        "asyncio.run(run.serve(lambda _: load(sys.argv[1], environ={}), ['no such right']))\n"
    )
    ran = await run_program(sys.executable, "-c", code, str(file))
    assert ran.code == 0, ran.stderr.decode()
    [line] = [line for line in ran.stderr.decode().splitlines() if "not_hardened" in line]
    assert "[debug" in line
    assert "no such right" in line
