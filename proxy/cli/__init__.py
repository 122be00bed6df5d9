"""The commands, one file each, and the edge where errors become one line and an exit code.

Nothing is imported before it is needed: this package imports click and the error tree alone, and a command's file
only when that command is invoked, so that `healthcheck`, which an orchestrator runs every few seconds, starts fast.
It must never show a traceback for anything that a user can cause, and never print a credential except where that is
the command's whole purpose (`token`, and the throw-away secret of `emulator`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from proxy.cli.output import PROGRAM, complain, discard, hold_standard_streams
from proxy.cli.root import root
from proxy.errors import ConfigError, SidecarError

_COMPLETION = "_COGNITO_SIDECAR_COMPLETE"
"""What click's shell completion sets: `eval "$(_COGNITO_SIDECAR_COMPLETE=bash_source cognito-sidecar)"`."""

INTERRUPTED = 130
"""What a shell reports for a program that ended by SIGINT."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: the process's own arguments, or `argv` without the program's name."""
    hold_standard_streams()
    if _COMPLETION in os.environ:
        root.main(prog_name=PROGRAM)  # Says what the shell may complete, and exits.
    try:
        code = _invoke(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        discard(sys.stdout)
        # The reader has had enough (`cognito-sidecar schema | head -1`): that is no failure of the command.
        code = 0
    except OSError as error:
        complain(_io_trouble(error))
        code = 1
    return _flushed(code)


def _invoke(argv: list[str]) -> int:
    # Not root.main(): it would answer errors in its own words, several lines of them, and with its own exit codes.
    try:
        with root.make_context(PROGRAM, argv) as context:
            root.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except ConfigError as error:
        # Without the program's name in front: each line is `key.path: what is wrong`, to be found by that path.
        for problem in error.problems:
            complain(problem, prefix="")
        return error.exit_code
    except SidecarError as error:
        complain(str(error))
        return error.exit_code
    except click.UsageError as error:
        complain(_usage_trouble(error))
        return error.exit_code
    except click.ClickException as error:
        complain(error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return 0


def _usage_trouble(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else PROGRAM
    return f"{error.format_message()} Try '{where} --help'."


def _io_trouble(error: OSError) -> str:
    what = error.strerror or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def _flushed(code: int) -> int:
    """Write out what is still buffered here, where a failure can be said in one line, not in the interpreter's exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        complain(f"standard output: {error.strerror}")
        return code or 1
    return code
