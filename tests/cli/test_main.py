"""The edge: what a user gets to see of each kind of error, and with which exit code."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from proxy.cli import main
from proxy.cli.root import COMMANDS, root
from proxy.errors import ConfigError, StartError, TokenError
from proxy.version import __version__
from tests.cli.conftest import Run


@pytest.mark.parametrize("argv", [("--version",), ("--version", "run")])
def test_version(command: Run, argv: tuple[str, ...]) -> None:
    assert command(*argv) == (0, f"cognito-sidecar {__version__}\n", "")


@pytest.mark.parametrize("spelling", ["--help", "-h"])
def test_help_lists_every_command(command: Run, spelling: str) -> None:
    outcome = command(spelling)
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.out.split("Commands:\n")[1].splitlines()] == list(COMMANDS)
    assert all(line in " ".join(outcome.out.split()) for line in COMMANDS.values())


def test_no_command_is_no_success_and_shows_the_help(command: Run) -> None:
    outcome = command()
    assert (outcome.code, outcome.out) == (2, "")
    assert "Commands:" in outcome.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("chekc",), "No such command 'chekc'. Did you mean 'check'? Try 'cognito-sidecar --help'."),
        (("xyzzy",), f"No such command 'xyzzy'. The commands are {', '.join(COMMANDS)}. Try 'cognito-sidecar --help'."),
        (("wait", "--timout", "1s"), "--timeout"),
        (("--verbose",), "--verbose"),
        (("wait", "--timeout"), "'--timeout' requires an argument. Try 'cognito-sidecar --help'."),
        (("wait", "--timeout", "soon"), "'soon' is not a duration such as 250ms, 30s, 5m or 1h."),
        (("wait", "now"), "Got unexpected extra argument (now)"),
    ],
)
def test_wrong_usage_is_one_line_that_helps(command: Run, argv: tuple[str, ...], says: str) -> None:
    outcome = command(*argv)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("cognito-sidecar: ")
    assert outcome.err.count("\n") == 1
    assert says in outcome.err


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    def fails() -> None:
        raise error

    monkeypatch.setattr(root, "get_command", lambda *_: fails)


@pytest.mark.parametrize(
    ("error", "code", "err"),
    [
        (StartError("127.0.0.1:8080: address in use"), 1, "cognito-sidecar: 127.0.0.1:8080: address in use\n"),
        (TokenError("timeout", "no answer in 10 s"), 1, "cognito-sidecar: timeout: no answer in 10 s\n"),
        (StartError("two\nlines\x1b[31m"), 1, "cognito-sidecar: two lines [31m\n"),
        (ConfigError(["a.b: expected a string", "c: unknown key"]), 2, "a.b: expected a string\nc: unknown key\n"),
        (click.ClickException("something else"), 1, "cognito-sidecar: something else\n"),
        (click.UsageError("used wrongly"), 2, "cognito-sidecar: used wrongly Try 'cognito-sidecar check --help'.\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "cognito-sidecar: /x: Permission denied\n"),
        (TimeoutError(), 1, "cognito-sidecar: TimeoutError\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 0, ""),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_error_has_its_line_and_code(
    command: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, err: str
) -> None:
    raising(monkeypatch, error)
    assert command("check") == (code, "", err)


class Broken(io.StringIO):
    """A standard output that takes nothing any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "err"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 0, ""),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "cognito-sidecar: standard output: No space left on device\n",
        ),
    ],
)
def test_output_that_cannot_be_written_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: OSError, code: int, err: str
) -> None:
    @click.command()
    def silent() -> None: ...

    monkeypatch.setattr(root, "get_command", lambda *_: silent)
    monkeypatch.setattr(sys, "stdout", Broken(error))
    assert main(["check"]) == code
    assert capsys.readouterr().err == err


def test_a_closed_standard_output_is_no_trouble(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def silent() -> None: ...

    monkeypatch.setattr(root, "get_command", lambda *_: silent)
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_early_sees_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        ended = subprocess.run(
            [sys.executable, "-m", "proxy", "--help"], stdout=nobody, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_the_module_runs_as_the_command_does(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "proxy", "healthcheck", "--admin", f"unix:{tmp_path}/none.sock"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"cognito-sidecar: unix:{tmp_path}/none.sock: nothing listens there; is the sidecar running?\n"
    )


def test_shell_completion_knows_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_COGNITO_SIDECAR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "cognito-sidecar he")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert "healthcheck" in capsys.readouterr().out


def test_an_unknown_command_while_completing_is_no_error() -> None:
    context = click.Context(root, resilient_parsing=True, **root.context_settings)
    assert root.resolve_command(context, ["xyzzy"]) == (None, None, [])
