"""An emulator on a free port of this machine, with a clock turned by hand."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from proxy.emulator import Emulator, Settings
from proxy.emulator.keys import SigningKey, generate
from tests.emulator.tools import Caller, HandClock, Opened


@pytest.fixture(scope="session")
def signing_keys() -> list[SigningKey]:
    """Enough for three generations of one pool: making them takes a while, and one set is as good as another."""
    return [generate() for _ in range(6)]


@pytest.fixture
def make_key(signing_keys: list[SigningKey]) -> Callable[[], SigningKey]:
    return iter(signing_keys).__next__


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def opened(clock: HandClock, signing_keys: list[SigningKey]) -> Opened:
    """`async with opened(scopes=…) as caller`: an emulator with these settings and somebody who talks to it."""

    @contextlib.asynccontextmanager
    async def open_with(**settings: Any) -> AsyncIterator[Caller]:
        emulator = Emulator(Settings(**settings), clock=clock, make_key=iter(signing_keys).__next__)
        async with emulator, aiohttp.ClientSession() as session:
            yield Caller(emulator, session)

    return open_with


@pytest.fixture
async def caller(opened: Opened) -> AsyncIterator[Caller]:
    """An emulator with the default settings."""
    async with opened() as caller:
        yield caller
