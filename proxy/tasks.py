"""The one place where tasks are made: each is held until it ends, and none fails unheard.

An error that nobody expected is logged by its type and its place. Its message is not: an exception from a library may
quote what it was given, and what asyncio writes of a callback quotes the arguments.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from pathlib import PurePath
from typing import Any

from proxy.log import logger

_running: set[asyncio.Task[Any]] = set()
"""The event loop holds tasks weakly: a task nobody holds may be collected half-way."""


def spawn(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Run `work` in the background. An exception that nobody awaits is logged by its type and place alone."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        kind = type(error).__name__
        logger("tasks").error("background_task_failed", task=task.get_name(), error=kind, at=place(error))


def unheard(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What an event loop calls for an error in a callback, in place of its own report with everybody's reprs."""
    error = context.get("exception")
    what = re.split(r"[<(\[{'\"\n]", str(context.get("message", "")), maxsplit=1)[0].strip()
    fields = {} if error is None else {"error": type(error).__name__, "at": place(error)}
    logger("tasks").error("unhandled", what=what, **fields)


def place(error: BaseException) -> str:
    """Where an exception was raised, innermost last: file, line and function of its last three frames."""
    steps = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        steps.append(f"{PurePath(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return ", ".join(steps[-3:])
