"""Background tasks: held until they end, and never failing unheard."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from proxy import log
from proxy.tasks import spawn, unheard


@pytest.fixture(autouse=True)
def _json_lines() -> Iterator[None]:
    log.configure("json", "info")
    yield
    log.configure()


async def _reported(task: asyncio.Task[Any]) -> None:
    """Wait for a task's end and for whoever hears of it."""
    await asyncio.wait([task])
    await asyncio.sleep(0)


async def test_a_task_that_nobody_holds_is_not_lost() -> None:
    go, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.set()

    task = weakref.ref(spawn(work(), name="work"))
    await asyncio.sleep(0)
    gc.collect()
    assert task() is not None
    go.set()
    await done.wait()


async def test_its_result_and_name_are_there_for_who_asks() -> None:
    async def work() -> int:
        return 7

    task = spawn(work(), name="seven")
    assert (task.get_name(), await task) == ("seven", 7)


async def test_a_failure_is_logged_without_what_the_exception_says(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        raise RuntimeError("password is hunter2")

    await _reported(spawn(work(), name="renewal of orders"))

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["task"], line["error"]) == (
        "background_task_failed",
        "renewal of orders",
        "RuntimeError",
    )
    assert "hunter2" not in json.dumps(line)


async def test_a_cancelled_task_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    task = spawn(asyncio.Event().wait(), name="waits")
    task.cancel()
    await _reported(task)

    assert capsys.readouterr().err == ""


class _Secretive(Exception):
    """Quotes what it was given, as errors of libraries do."""


async def test_an_error_in_a_callback_is_logged_by_its_type_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unheard)
    heard = asyncio.Event()

    def callback(secret: bytes) -> None:
        heard.set()
        raise _Secretive(secret)

    loop.call_soon(callback, b"a-secret")
    await heard.wait()
    await asyncio.sleep(0)
    err = capsys.readouterr().err
    [line] = [json.loads(line) for line in err.splitlines()]
    assert (line["event"], line["error"]) == ("unhandled", "_Secretive")
    assert line["what"].startswith("Exception in callback")
    assert re.search(r"\btest_tasks\.py:\d+ callback$", line["at"])
    assert "a-secret" not in err


def test_what_a_loop_reports_without_an_error_is_logged_too(capsys: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.new_event_loop()
    unheard(loop, {"message": "Task was destroyed <Task b'a-secret'>"})
    unheard(loop, {})
    loop.close()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["what"] for line in lines] == ["Task was destroyed", ""]
