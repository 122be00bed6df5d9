"""The servers of tests/interop/servers.py, as fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.interop.servers import OidcProvider, Resource, serve_provider, serve_resource


@pytest.fixture
async def oidc_provider() -> AsyncIterator[OidcProvider]:
    async with serve_provider() as provider:
        yield provider


@pytest.fixture
async def resource(oidc_provider: OidcProvider) -> AsyncIterator[Resource]:
    async with serve_resource(oidc_provider) as resource:
        yield resource
