"""Lines for people: standard output for what was asked for, standard error for what went wrong.

A stream that is closed, full or without a reader never stops the program that writes to it from here.
"""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO

PROGRAM: Final = "cognito-sidecar"


def say(line: str = "") -> None:
    """One line on standard output, seen at once; lost where nobody can take it. For commands that keep running."""
    stream = sys.stdout
    try:
        stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError, AttributeError):
        # AttributeError: a process started with its standard output closed has None there.
        discard(stream)


def complain(message: str, *, prefix: str = f"{PROGRAM}: ") -> None:
    """One line on standard error, whatever the message holds."""
    stream = sys.stderr
    try:
        stream.write(prefix + one_line(message) + "\n")
        stream.flush()
    except (OSError, ValueError, AttributeError):
        discard(stream)


def one_line(text: str, limit: int = 2000) -> str:
    """Text on one line without control characters, cut at `limit`: it may have come from another program."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def discard(stream: TextIO | None) -> None:
    """Send what is left in a broken stream's buffer, and all that follows, nowhere: the interpreter flushes it again
    on its way out, and would complain in several lines and change the exit code."""
    try:
        if stream is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    except (OSError, ValueError):
        pass  # A stream without a descriptor, such as a test's, has nothing to flush into.
