"""The emulator's life: start, serve on loopback, close. For tests in the same process: what it can be told to do."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from proxy.clock import Clock, SystemClock
from proxy.emulator import control, effects
from proxy.emulator.answers import Random
from proxy.emulator.app import TOKEN_PATH, App
from proxy.emulator.faults import parse
from proxy.emulator.keys import Make, generate, make_pair
from proxy.emulator.settings import Settings, is_loopback
from proxy.emulator.state import State
from proxy.errors import StartError

DEFAULT_PORT: Final = 9229

_LARGEST: Final = 256 * 1024
"""Bytes of a line that aiohttp reads; well over every gateway's own limit, so that those decide."""
_MOST_FIELDS: Final = 4096
_GRACE: Final = 0.5
"""Seconds that requests under way have when the emulator closes."""


class Emulator:
    """A user pool and three gateways. `async with Emulator() as emulator` serves on a free port."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        random: Random = os.urandom,
        make_key: Make = generate,
    ) -> None:
        self.settings = settings or Settings()
        self._clock = clock or SystemClock()
        self._random = random
        self._make_key = make_key
        self._waits = effects.Waits(self._clock)
        self._runner: web.ServerRunner | None = None
        self._state: State | None = None

    async def start(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> str:
        """Serve until `close`. Returns the base URL, without a slash at its end. Port 0 takes a free one.

        Raises `StartError` where `host` is not loopback or the address cannot be had.
        """
        if self._runner is not None:
            raise StartError("this emulator has been started already")
        if not is_loopback(host):
            raise StartError(f"{host}: the emulator hands out tokens, so it listens on loopback addresses only")
        if not 0 <= port <= 65535:
            raise StartError(f"{host}:{port}: a port is a number from 0 to 65535")
        pair = await asyncio.to_thread(make_pair, self._make_key)
        # One address, and so one port: `localhost` alone could mean two.
        address = "127.0.0.1" if host == "localhost" else host
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            listener = socket.create_server((address, port), family=family)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "cannot listen there"
            raise StartError(f"{host}:{port}: {reason.lower()}") from None
        bound: int = listener.getsockname()[1]
        origin = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        self._state = State(
            self.settings,
            origin=origin,
            pair=pair,
            make_key=self._make_key,
            clock=self._clock,
            random=self._random,
        )
        server = web.Server(
            App(self._state, self._waits).handle,
            access_log=None,
            auto_decompress=False,
            max_line_size=_LARGEST,
            max_field_size=_LARGEST,
            max_headers=_MOST_FIELDS,
            lingering_time=2.0,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        return origin

    async def close(self) -> None:
        """Stop serving. Delays that are under way end at once."""
        self._waits.end()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start(port=0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _running(self) -> State:
        if self._state is None:
            raise StartError("this emulator has not been started")
        return self._state

    # ---------------------------------------------------------------------------------------------- addresses

    @property
    def base_url(self) -> str:
        return self._running.origin

    @property
    def token_url(self) -> str:
        return self.base_url + TOKEN_PATH

    @property
    def jwks_url(self) -> str:
        return f"{self.base_url}/{self.settings.pool_id}/.well-known/jwks.json"

    @property
    def issuer(self) -> str:
        return self._running.issuer

    def gateway_url(self, kind: str = "rest") -> str:
        """The base URL of the gateway `rest`, `http` or `alb`, without a slash at its end."""
        return f"{self.base_url}/{kind}"

    # ----------------------------------------------------------------------- the control endpoints, as methods

    def set_faults(self, plan: Mapping[str, Any]) -> None:
        """As `PUT /_emulator/faults`. A plan that cannot be used is a `ValueError`."""
        self._running.faults.replace(parse(plan))

    async def rotate_keys(self, *, keep_old: bool = False) -> None:
        """As `POST /_emulator/rotate-keys`."""
        await control.rotate_keys(self._running, keep_old=keep_old)

    def rotate_secret(self, *, revoke_old: bool = False) -> str:
        """As `POST /_emulator/rotate-secret`. Returns the new secret."""
        state = self._running
        return state.client.add(state.random, now=state.now(), revoke_old=revoke_old).value.reveal()

    def revoke_secret(self) -> None:
        """As `POST /_emulator/revoke-secret`: the older of two."""
        self._running.client.revoke_oldest()

    def revoke_tokens(self) -> int:
        """As `POST /_emulator/revoke-tokens`. Returns how many tokens that were."""
        return self._running.desk.revoke_all()

    def issue(self, scope: str | None = None) -> str:
        """A token without a call of the token endpoint; all scopes where none is given."""
        client = self._running.client
        return self._running.desk.issue(client, " ".join(client.scopes) if scope is None else scope)

    def calls(self) -> dict[str, Any]:
        """As `GET /_emulator/calls`."""
        return self._running.calls.show()

    @property
    def token_calls(self) -> int:
        """How many calls of the token endpoint there were."""
        return self._running.calls.token_calls
