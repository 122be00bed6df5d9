"""One browser, one attacker's site for each module, and sidecars that live as long."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.browser.chromium import chromium
from tests.browser.site import Site, serve_site
from tests.e2e.world import World, world
from tests.processes import starter

if TYPE_CHECKING:
    from playwright.async_api import Browser

NewWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with serve_site() as started:
        yield started


@pytest.fixture(scope="module")
def new_world(tmp_path_factory: pytest.TempPathFactory) -> NewWorld:
    """`tests.e2e.world.world` in a folder of its own."""

    def make(**settings: object) -> AbstractAsyncContextManager[World]:
        folder = tmp_path_factory.mktemp("world")
        return world(starter(folder), folder, **settings)  # type: ignore[arg-type]

    return make
