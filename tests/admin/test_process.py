"""What the process uses: the system's own counts, and nothing where it does not count."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from prometheus_client.core import Metric

from proxy.admin import process
from proxy.admin.process import Usage, usage

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


@on_linux
def test_a_descriptor_that_is_opened_is_counted() -> None:
    before = usage().open_fds
    assert before is not None
    descriptors = [os.dup(1) for _ in range(7)]
    try:
        assert usage().open_fds == before + 7
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    assert usage().open_fds == before


@on_linux
def test_memory_that_is_written_to_is_counted() -> None:
    before = usage().resident_bytes
    assert before is not None
    held = b"x" * (64 << 20)
    during = usage().resident_bytes
    assert during is not None
    assert during - before > len(held) / 2
    del held


def test_a_system_that_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def collect(self) -> Iterator[Metric]:
            yield from ()

    monkeypatch.setattr(process, "collector", Silent())
    assert usage() == Usage(open_fds=None, resident_bytes=None)
