"""Log lines, as text or JSON. Events are snake_case words; values are plain; credentials never come here.

They go to standard error, whatever that is: in a process that serves it is an `Outflow`, where no line waits.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

_LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Lines:
    """Writes whole lines to standard error. A closed or full stream loses lines and stops nothing."""

    def msg(self, message: str) -> None:
        try:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            pass  # AttributeError: started with standard error closed, Python has None for it.

    debug = info = warning = error = critical = msg


def configure(format: Format = "text", level: Level = "info") -> None:
    """Set how lines look and from which level on they appear. May be called again by a reload."""
    render: Any
    if format == "json":
        render = structlog.processors.JSONRenderer()
    else:
        render = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )


def logger(room: str) -> Any:
    """A logger whose lines carry the room they come from."""
    return structlog.get_logger(room=room)


def lost(count: int) -> str:
    """The line, in the present format, that stands where so many could not be written. It is shown at every level."""
    return str(structlog.wrap_logger(structlog.ReturnLogger()).error("log_lines_lost", room="log", count=count))


def silence(*libraries: str) -> None:
    """Have these libraries log nothing through the standard library's `logging`, at any level: they quote too much."""
    for name in libraries:
        library = logging.getLogger(name)  # noqa: TID251 - to silence it
        library.setLevel(logging.CRITICAL + 1)
        library.propagate = False
        library.handlers = [logging.NullHandler()]
