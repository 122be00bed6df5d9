"""`healthcheck`, as an orchestrator's exec probe sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Serve


@pytest.mark.parametrize(
    ("flags", "path"),
    [((), "/livez"), (("--live",), "/livez"), (("--ready",), "/readyz"), (("--startup",), "/startupz")],
)
def test_asks_the_probe_that_was_meant(command: Run, canned: Serve, flags: tuple[str, ...], path: str) -> None:
    server = canned((200, "ok"))
    assert command("healthcheck", *flags, "--admin", server.address) == (0, "", "")
    assert server.requests[0].startswith(f"GET {path} ".encode())


def test_says_why_not(command: Run, canned: Serve) -> None:
    server = canned((503, "orders: invalid_client"))
    assert command("healthcheck", "--ready", "--admin", server.address) == (
        1,
        "",
        f"cognito-sidecar: {server.address}/readyz answered 503: orders: invalid_client\n",
    )


def test_says_so_when_there_is_no_reason(command: Run, canned: Serve) -> None:
    server = canned((404, ""))
    assert command("healthcheck", "--admin", server.address).err.endswith("/livez answered 404: no reason given\n")


def test_nobody_there(command: Run, free_port: int) -> None:
    assert command("healthcheck", "--admin", f"127.0.0.1:{free_port}") == (
        1,
        "",
        f"cognito-sidecar: 127.0.0.1:{free_port}: nothing listens there; is the sidecar running?\n",
    )


def test_no_answer_in_time(command: Run, canned: Serve) -> None:
    outcome = command("healthcheck", "--timeout", "50ms", "--admin", canned(None).address)
    assert outcome.code == 1
    assert outcome.err.endswith(": no answer in time\n")


def test_finds_the_sidecar_by_its_configuration(
    command: Run, canned: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = canned((200, "ok"))
    file = tmp_path / "config.yaml"
    file.write_text(f"admin: {{listen: '{server.address}'}}\nupstreams: {{a: {{url: {{env: NOT_SET_HERE}}}}}}\n")
    assert command("healthcheck", "--config", str(file)).code == 0
    monkeypatch.setenv("COGNITO_SIDECAR_CONFIG", str(file))
    assert command("healthcheck").code == 0


def test_a_configuration_that_is_not_there(command: Run, tmp_path: Path) -> None:
    outcome = command("healthcheck", "--config", f"{tmp_path}/none.yaml")
    assert outcome == (2, "", f"{tmp_path}/none.yaml: No such file or directory\n")


def test_starts_without_what_only_the_server_needs() -> None:
    """It runs every few seconds beside the application: an event loop or an HTTP library would cost it most."""
    script = (
        "import sys; from proxy.cli import main; main(['healthcheck', '--admin', 'unix:/none'])\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    imported = set(ended.stdout.split())
    heavy = {"asyncio", "aiohttp", "ssl", "http", "yaml", "msgspec", "structlog", "jwt", "cryptography", "uvloop"}
    assert "click" in imported
    assert imported & heavy == set()
