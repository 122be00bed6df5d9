"""The event loop of commands, and signals that are waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from proxy.cli.loop import Signals, run_async
from tests.processes import Program


async def kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_runs_on_uvloop_where_it_is_installed() -> None:
    pytest.importorskip("uvloop")
    assert run_async(kind_of_loop()) == "uvloop"


def test_runs_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run_async(kind_of_loop()).startswith("asyncio")


async def test_signals_come_in_order_and_are_given_back() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with Signals(signal.SIGHUP, signal.SIGTERM) as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert await signals.next() == signal.SIGHUP
        os.kill(os.getpid(), signal.SIGTERM)
        assert await signals.next() == signal.SIGTERM
    assert signal.getsignal(signal.SIGHUP) == before


HELD_BACK = """
import os, signal
from proxy.cli.loop import Signals, run_async

async def work():
    with Signals(signal.SIGHUP) as signals:
        print(repr(await signals.next()), signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True)

signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
os.kill(os.getpid(), signal.SIGHUP)
run_async(work())
"""


async def test_signals_that_were_held_back_come_as_soon_as_there_is_somebody_for_them() -> None:
    # In a process of its own: where there are more threads, one that does not hold the signal back would have it.
    program = await Program.start(sys.executable, "-c", HELD_BACK)
    assert await program.ended() == 0
    assert program.output == "<Signals.SIGHUP: 1> False\n"


STUCK = """
import os, signal, sys
from proxy.cli.loop import Signals, run_async

async def work():
    with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        print("stuck", flush=True)
        open(sys.argv[1])  # Nobody will ever write there.

run_async(work())
"""


async def test_the_second_signal_ends_a_process_whose_loop_is_stuck(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    program = await Program.start(sys.executable, "-c", STUCK, str(fifo))
    await program.printed("stuck")
    program.send(signal.SIGHUP)
    program.send(signal.SIGINT)
    program.send(signal.SIGTERM)
    assert await program.ended() == 0


LEFTOVERS = """
import asyncio, signal, sys, threading
{}
from proxy.cli.loop import Signals, end_within, run_async

async def work():
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    with Signals(signal.SIGTERM, signal.SIGINT):
        end_within(float(sys.argv[1]))
    print("done", flush=True)

run_async(work())
"""


@pytest.mark.parametrize("loop", ["", "sys.modules['uvloop'] = None"], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("hurried", [False, True])
async def test_a_thread_that_never_ends_does_not_hold_up_the_end(loop: str, hurried: bool) -> None:
    program = await Program.start(sys.executable, "-c", LEFTOVERS.format(loop), "3600" if hurried else "0.1")
    await program.printed("done")
    if hurried:
        program.send(signal.SIGTERM)
        program.send(signal.SIGINT)
    assert await program.ended() == 0
