"""What the unit tests of this room build their cases from: heads, settings, upstreams without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn, cast

import msgspec

from proxy.config.model import Address, Auth, Url, Value
from proxy.config.model import Upstream as Settings
from proxy.forward.http1 import RequestHead, ResponseHead, parse_request_head, parse_response_head
from proxy.forward.pool import Pool
from proxy.forward.ticker import Ticker
from proxy.forward.upstream import Upstream
from proxy.stats import UpstreamStats
from proxy.tokens.interface import AccessToken, Recovery

LOCAL = "Host: localhost"

SETTINGS = Settings(
    listen=Address("127.0.0.1", 8080),
    url=Url("https", "api.test", 443, ""),
    auth=Auth(
        token_url=Url("https", "login.test", 443, "/oauth2/token"),
        client_id=Value("id"),
        client_secret=(Value("hush"),),
    ),
)


def settings(*, path: str = "", **changes: Any) -> Settings:
    """An upstream's settings: the defaults with `changes`; `path` is the base path of its URL."""
    if path:
        changes["url"] = Url("https", "api.test", 443, path)
    return msgspec.structs.replace(SETTINGS, **changes)


class NoTokens:
    """A token source of an upstream that is never asked."""

    def current(self) -> AccessToken | None:
        return None

    async def wait(self, seconds: float) -> AccessToken:
        raise NotImplementedError

    async def refused(self, number: int, seconds: float) -> Recovery:
        raise NotImplementedError

    def accepted(self, token: AccessToken) -> None:
        raise NotImplementedError


class _Nothing:
    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"{name} is not for a unit test to touch")


def upstream(name: str = "orders", *, key_name: bytes = b"", **changes: Any) -> Upstream:
    """An upstream as requests meet it, without connections."""
    nothing = _Nothing()
    return Upstream(
        name,
        settings(**changes),
        provider=NoTokens(),
        stats=UpstreamStats(),
        key_name=key_name,
        loop=cast(asyncio.AbstractEventLoop, nothing),
        ticker=cast(Ticker, nothing),
        pool=cast(Pool, nothing),
    )


class HandLoop:
    """An event loop's clock and timers, turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[_Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(self, self.now + delay, callback)
        self.timers.append(timer)
        return timer

    def turn(self, seconds: float) -> None:
        """Let time pass, and call what is due in it, each at its moment."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)  # It is late where the time was moved by hand.
            timer.callback()
        self.now = end

    @property
    def as_loop(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self)


class _Timer:
    def __init__(self, loop: HandLoop, when: float, callback: Callable[[], None]) -> None:
        self._loop = loop
        self.when = when
        self.callback = callback

    def cancel(self) -> None:
        self._loop.timers.remove(self)


def raw(first: str, *fields: str) -> bytes:
    """A head as it is on the wire."""
    return "".join(f"{line}\r\n" for line in (first, *fields, "")).encode("latin-1")


def request(first: str = "GET / HTTP/1.1", *fields: str) -> RequestHead:
    return parse_request_head(raw(first, *fields))


def response(first: str = "HTTP/1.1 200 OK", *fields: str) -> ResponseHead:
    return parse_response_head(raw(first, *fields))
