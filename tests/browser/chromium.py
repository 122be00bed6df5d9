"""A real Chromium for tests: the one on this machine, which finds nothing beyond loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.processes import environment, lacking, require_program

if TYPE_CHECKING:
    from playwright.async_api import Browser

_NAMES = ("MAP *.example 127.0.0.1", "MAP * ~NOTFOUND", *(f"EXCLUDE {name}" for name in ("localhost", "*.localhost")))
_ADDRESSES = ("127.0.0.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::ffff:7f00:1]", "::ffff:7f00:1", "localhost.")

_ARGUMENTS = (
    "--no-sandbox",  # Containers of CI seldom allow one, and nothing here is foreign to it.
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    f"--host-resolver-rules={', '.join((*_NAMES, *(f'EXCLUDE {address}' for address in _ADDRESSES)))}",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser in which every name below `.example` leads to this machine."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        lacking("playwright is not installed (make install)")
    program = require_program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=list(_ARGUMENTS), env={**environment()}
        )
        try:
            yield browser
        finally:
            await browser.close()
