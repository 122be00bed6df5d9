"""The admin listener: routes, headers, and the lives of its connections.

It answers GET and HEAD from memory and never waits for anything, so that a probe is answered while the token
endpoint, the upstream and a scraper all hang. It never changes anything.

The answers show nothing secret, yet no web page should read them: there is no CORS, and
Cross-Origin-Resource-Policy and the Content-Security-Policy keep them out of foreign documents. A page whose own name
leads here is known by its Host where the listener is on loopback; elsewhere there is no check of Host, since probes
and scrapers come by pod address and by service name.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple

from aiohttp import web

from proxy.admin import metrics, page, probes, status
from proxy.admin.connections import Connections
from proxy.admin.hosts import is_foreign
from proxy.admin.html import file
from proxy.admin.negotiation import wants_gzip, wants_openmetrics
from proxy.admin.view import View
from proxy.binding import Binding, bind
from proxy.clock import Clock
from proxy.config.model import Address
from proxy.errors import StartError
from proxy.log import logger
from proxy.socketfile import Access

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "cognito-sidecar",
    "X-Content-Type-Options": "nosniff",
}

_PROBES: Final = frozenset(("/livez", "/healthz", "/startupz", "/readyz"))
_PLAIN: Final = "text/plain; charset=utf-8"

# aiohttp writes tracebacks about requests that make no sense. They tell nothing that the answer does not tell.
_silent: Final = logging.Logger("proxy.admin.aiohttp", logging.CRITICAL + 1)  # noqa: LOG001 - on purpose in no tree


class _Answer(NamedTuple):
    body: bytes
    content_type: str = _PLAIN
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


_Route = Callable[[web.BaseRequest], Awaitable[_Answer]]


class AdminServer:
    """Serves a view on one address. Started once, closed once."""

    def __init__(self, view: View, clock: Clock) -> None:
        self._view = view
        self._clock = clock
        self._runner: web.ServerRunner | None = None
        self._binding: Binding
        self._on_loopback = False
        self._routes: dict[str, _Route] = {
            "/": _made(lambda: page.render(view, clock.read()), "text/html; charset=utf-8"),
            "/style.css": _made(lambda: file("style.css").encode(), "text/css; charset=utf-8"),
            "/page.js": _made(lambda: file("page.js").encode(), "text/javascript; charset=utf-8"),
            "/icon.svg": _made(lambda: file("icon.svg").encode(), "image/svg+xml"),
            "/livez": _probe(lambda: probes.livez(view)),
            "/healthz": _probe(lambda: probes.livez(view)),
            "/startupz": _probe(lambda: probes.startupz(view, clock.read().wall)),
            "/readyz": _probe(lambda: probes.readyz(view, clock.read().wall)),
            "/status": _made(lambda: status.render(view, clock.read()), "application/json; charset=utf-8"),
            "/metrics": self._metrics,
        }

    async def start(self, address: Address) -> Address:
        """Listen on `address` and return it with the real port, where 0 asked for a free one.

        Raises StartError, one line with the address and the reason.
        """
        server = Connections(self._handle, self._clock, logger=_silent, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        try:
            self._binding = await bind(runner, address, "admin.listen")
        except StartError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._on_loopback = address.is_loopback and not address.unix
        return replace(address, port=self._binding.port)

    def permit(self, access: Access) -> None:
        """Change who may connect to its unix socket. Raises StartError."""
        self._binding.permit(access, "admin.listen")

    async def close(self) -> None:
        """Stop listening and end every connection. Does nothing where it is not listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await self._binding.stop()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = await self._answer(request)
        return web.Response(
            body=answer.body,
            status=answer.status,
            headers={**_HEADERS, "Content-Type": answer.content_type, **dict(answer.headers)},
        )

    async def _answer(self, request: web.BaseRequest) -> _Answer:
        route = self._routes.get(request.path)
        if route is None:
            known = " ".join(path for path in self._routes if "." not in path)
            return _Answer(f"not found; there is {known}\n".encode(), status=404)
        if request.method not in ("GET", "HEAD"):
            return _Answer(b"only GET and HEAD\n", status=405, headers=(("Allow", "GET, HEAD"),))
        foreign = self._on_loopback and is_foreign(request.headers.get("Host"), self._view.admin_hosts)
        if foreign and request.path not in _PROBES:
            return _Answer(b"the Host of the request is not this machine's (see admin.hosts)\n", status=403)
        try:
            answer = await route(request)
        except Exception as error:  # noqa: BLE001 - a page that cannot be drawn must not take the probes with it
            logger("admin").error("answer_failed", path=request.path, error=type(error).__name__)
            return _Answer(b"internal error\n", status=500)
        # A probe tells anybody whether all is well: a restart because of a name would be worse. The details stay here.
        return answer._replace(body=answer.body.partition(b"\n")[0] + b"\n") if foreign else answer

    async def _metrics(self, request: web.BaseRequest) -> _Answer:
        openmetrics = wants_openmetrics(request.headers.get("Accept", ""))
        parts = []
        for part in metrics.slices(self._view, openmetrics=openmetrics):
            parts.append(part)
            await asyncio.sleep(0)  # Requests go first.
        body = b"".join(parts)
        headers = [("Vary", "Accept, Accept-Encoding")]
        if wants_gzip(request.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body, compresslevel=4)
            headers.append(("Content-Encoding", "gzip"))
        return _Answer(body, metrics.OPENMETRICS if openmetrics else metrics.TEXT, headers=tuple(headers))


def _made(make: Callable[[], bytes], content_type: str) -> _Route:
    async def route(_: web.BaseRequest) -> _Answer:
        return _Answer(make(), content_type)

    return route


def _probe(ask: Callable[[], probes.Answer]) -> _Route:
    async def route(_: web.BaseRequest) -> _Answer:
        answer = ask()
        return _Answer(answer.text.encode("utf-8", "replace"), status=answer.status)

    return route
