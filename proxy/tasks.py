"""The one place where tasks are made: each is held until it ends, and none fails unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
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
        # Not the message: an exception from a library may quote what it was given.
        logger("tasks").error("background_task_failed", task=task.get_name(), error=type(error).__name__)
