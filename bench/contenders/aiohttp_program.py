"""What one writes first in Python: an aiohttp server whose handler asks with aiohttp's client. Runs on uvloop.

Arguments: PORT URL TOKEN_URL CLIENT_ID CLIENT_SECRET CA_FILE. A program of its own, that imports nothing of the
benchmark, so that its start and its memory are its own too.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Mapping

import aiohttp
import uvloop
from aiohttp import hdrs, web
from multidict import CIMultiDict

_THIS_HOP = (hdrs.HOST, hdrs.CONNECTION, hdrs.KEEP_ALIVE, hdrs.TRANSFER_ENCODING, hdrs.UPGRADE, hdrs.TE, hdrs.TRAILER)


class Proxy:
    """One upstream, one session, one token that is fetched again when three quarters of its life are over."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token_url: str, credentials: str) -> None:
        self._session = session
        self._url = url
        self._token_url = token_url
        self._credentials = credentials
        self._token = ""
        self._renew_at = 0.0
        self._fetching = asyncio.Lock()

    async def _fetch(self) -> None:
        async with self._fetching:
            if time.monotonic() < self._renew_at:
                return
            form, fields = {"grant_type": "client_credentials"}, {hdrs.AUTHORIZATION: self._credentials}
            async with self._session.post(self._token_url, data=form, headers=fields, raise_for_status=True) as answer:
                grant = await answer.json()
            self._token = f"Bearer {grant['access_token']}"
            self._renew_at = time.monotonic() + grant["expires_in"] * 0.75

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if time.monotonic() >= self._renew_at:
            await self._fetch()
        fields = _end_to_end(request.headers)
        fields[hdrs.AUTHORIZATION] = self._token
        body = request.content if request.body_exists else None
        async with self._session.request(
            request.method, self._url + request.raw_path, headers=fields, data=body, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers)
            )
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    fields = CIMultiDict(headers)
    for name in _THIS_HOP:
        fields.popall(name, None)
    return fields


async def serve(port: int, url: str, token_url: str, credentials: str, ca_file: str) -> None:
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=ca_file))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", Proxy(session, url, token_url, credentials).handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    at, upstream, endpoint, client, secret, authority = sys.argv[1:]
    uvloop.run(serve(int(at), upstream, endpoint, aiohttp.encode_basic_auth(client, secret), authority))
