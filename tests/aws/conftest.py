"""One Secrets Manager for all tests of this folder: each makes secrets of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.aws.manager import Manager, manager


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def secrets_manager() -> AsyncIterator[Manager]:
    async with manager() as running:
        yield running
