"""What the emulator's tests share: a clock turned by hand, requests as a client sends them, and how answers read."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import aiohttp

from proxy.clock import Cancellable, Reading
from proxy.emulator import Emulator, Settings

START = 1_790_000_000.0
"""A moment in September 2026 at which the clocks of these tests stand."""

SCOPE = "mydomain.com/API_ACCESS"
OTHER_SCOPE = "mydomain.com/REPORTS"

Opened = Callable[..., Any]


class _Timer:
    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.live = True

    def cancel(self) -> None:
        self.live = False


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[_Timer] = []
        self.waited_for = asyncio.Event()
        """Set once somebody waits for this clock."""

    def read(self) -> Reading:
        return Reading(self._now, START + self._now)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        timer = _Timer(self._now + seconds, callback)
        self._timers.append(timer)
        self.waited_for.set()
        return timer

    def turn(self, seconds: float) -> None:
        self._now += seconds
        due = [timer for timer in self._timers if timer.live and timer.due <= self._now]
        self._timers = [timer for timer in self._timers if timer not in due]
        for timer in due:
            timer.callback()


class Reply(NamedTuple):
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lower(self) -> dict[str, str]:
        """The header fields by their names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}


def basic(client_id: str, secret: str, *, encode: bool = False) -> dict[str, str]:
    """An Authorization header, form-encoded first where `encode` (RFC 6749 section 2.3.1)."""
    if encode:
        client_id, secret = quote_plus(client_id), quote_plus(secret)
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Caller:
    """Somebody who talks to one emulator over real sockets."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self._session = session

    @property
    def settings(self) -> Settings:
        return self.emulator.settings

    async def ask(self, method: str, path: str, **options: Any) -> Reply:
        url = self.emulator.base_url + path
        async with self._session.request(method, url, allow_redirects=False, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, token: str | None = None, **options: Any) -> Reply:
        return await self.ask("GET", path, headers=bearer(token) if token else {}, **options)

    async def token_call(self, secret: str | None = None, **form: str) -> Reply:
        """Ask for a token with Basic credentials."""
        headers = basic(self.settings.client_id, secret or self.settings.client_secrets[0])
        return await self.ask(
            "POST", "/oauth2/token", headers=headers, data={"grant_type": "client_credentials", **form}
        )

    async def token(self, **form: str) -> str:
        reply = await self.token_call(**form)
        assert reply.status == 200, reply
        return str(reply.json["access_token"])

    async def order(self, **plan: Any) -> Reply:
        """Order faults."""
        return await self.ask("PUT", "/_emulator/faults", data=json.dumps(plan))

    async def calls(self) -> Any:
        return (await self.ask("GET", "/_emulator/calls")).json
