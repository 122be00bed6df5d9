"""An attacker's web site: pages to attack from, and a server that sends what is asked of it elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web


class Site(NamedTuple):
    """Where it listens; it has whatever name leads there."""

    port: int


async def _serve(request: web.Request) -> web.Response:
    to = request.query.get("to", "")
    match request.path:
        case "/redirect":
            return web.Response(status=int(request.query["status"]), headers={"Location": to})
        case "/worker.js":
            return _script(f"fetch({json.dumps(to)}, {{mode: 'no-cors'}})")
        case "/importing.js":
            return _script(f"importScripts({json.dumps(to)})")
        case "/reporting":
            policy = f"img-src 'none'; report-uri {to}"
            return _page("<img src=forbidden>", {"Content-Security-Policy": policy})
        case _:
            return _page("<p>An innocent page.")


def _script(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/javascript")


def _page(body: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=f"<!doctype html><title>page</title>{body}", content_type="text/html", headers=headers)


@asynccontextmanager
async def serve_site() -> AsyncIterator[Site]:
    """On a free port of 127.0.0.1."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Site(runner.addresses[0][1])
    finally:
        await runner.cleanup()
