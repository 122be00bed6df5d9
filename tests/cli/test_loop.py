"""The event loop of commands, and signals that are waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from proxy.cli.loop import Signals, run_async


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
