"""Lines for people: standard output for what was asked for, standard error for what went wrong.

A stream that is closed, full or without a reader never stops the program that writes to it from here.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Final, TextIO

PROGRAM: Final = "cognito-sidecar"


def hold_standard_streams() -> None:
    """Put nothing in the place of a standard stream that this process was started without (`cognito-sidecar run >&-`).

    Otherwise the next file or socket gets its number: log lines would go to some connection, and libuv, which is
    beneath uvloop, aborts when it closes such a descriptor.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken: this one, since those below it are held.
            os.open(os.devnull, os.O_RDWR)
    # Python has None there, which libraries that write a line do not expect.
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    # What the encoding does not have, a snowman in the name of a file, becomes an escape and no traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def never_wait() -> None:
    """For commands that keep running: from now on no line on a standard stream waits until somebody reads it."""
    # Not for `healthcheck`, which must not wait for these imports.
    from proxy import outflow
    from proxy.log import lost

    outflow.never_wait({"stdout": lambda count: f"({count} lines are missing here)", "stderr": lost})


def say(line: str = "") -> None:
    """One line on standard output, seen at once; lost where nobody can take it. For commands that keep running."""
    stream = sys.stdout
    try:
        stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError):
        discard(stream)


def complain(message: str, *, prefix: str = f"{PROGRAM}: ") -> None:
    """One line on standard error, whatever the message holds."""
    stream = sys.stderr
    try:
        stream.write(prefix + one_line(message) + "\n")
        stream.flush()
    except (OSError, ValueError):
        discard(stream)


def one_line(text: str, limit: int = 2000) -> str:
    """Text on one line without control characters, cut at `limit`: it may have come from another program."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def discard(stream: TextIO) -> None:
    """Send what is left in a broken stream's buffer, and all that follows, nowhere: the interpreter flushes it again
    on its way out, and would complain in several lines and change the exit code."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # A stream without a descriptor, such as a test's, has nothing to flush into.
