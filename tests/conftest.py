"""What every test gets: its environment, the two event loops, real sidecar processes; and how failures are told in CI.

Tests run on asyncio's own loop, whose warnings are the stricter ones. A test marked `uvloop` runs on both: the marker
belongs on what reads or writes sockets, since the sidecar itself runs on uvloop where it can.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import processes

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

CLOSING = 10.0
"""Seconds for closing an event loop; it takes about a millisecond."""


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    factories: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if item.get_closest_marker("uvloop"):
        try:
            import uvloop
        except ImportError:
            return factories
        factories["uvloop"] = _guarded(uvloop.Loop)
    return factories


def _guarded(loop: type[asyncio.AbstractEventLoop]) -> LoopFactory:
    """uvloop waits on closing for every handle, for ever and deaf to signals, and a test that failed may have left one.

    Then this worker ends and pytest-xdist goes on with another: one failure must not hold up all that follows.
    """

    class Guarded(loop):  # type: ignore[misc,valid-type]  # only known once uvloop is imported
        def close(self) -> None:
            faulthandler.dump_traceback_later(CLOSING, exit=True, file=2)
            try:
                super().close()
            finally:
                faulthandler.cancel_dump_traceback_later()

    return Guarded


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from tests.sharing_out import Rooms

    return Rooms(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_AtOnce(config))


class _AtOnce:
    """In CI a failure is told when it happens, too: a run that is ended from outside never comes to its summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\nFAILED {report.when} of {report.nodeid}")
            terminal.write_line(report.longreprtext)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see neither this machine's egress proxy nor a developer's own sidecar settings."""
    for name in processes.FOREIGN & os.environ.keys():
        monkeypatch.delenv(name)
    for name in [name for name in os.environ if name.startswith("COGNITO_SIDECAR_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A test that leaves signals held back is seen: every process that is started after it would be deaf to SIGTERM."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    after = signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert after == before, f"it leaves {after ^ before} held back"


@pytest.fixture
def sidecar_process(tmp_path: Path) -> processes.StartSidecar:
    """Starts a real sidecar: `async with sidecar_process(config, env) as sidecar`. See `processes.starter`."""
    return processes.starter(tmp_path)
