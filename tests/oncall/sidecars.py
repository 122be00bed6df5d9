"""Five sidecars, what they depend on, and a Prometheus that looks on: as it all stands before anything goes wrong.

troubled   has an upstream for each trouble of a token or an upstream
mute       nobody takes its log; a value of its configuration is in Secrets Manager
alone      is to share tokens with others, and nobody runs the engine yet
calm       has two client secrets, so that they can be rotated
successor  is not started yet: it is to take calm's place
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from proxy.emulator import Emulator, Settings
from proxy.emulator.keys import generate
from proxy.emulator.settings import Stack
from tests.oncall.prometheus import Prometheus, running
from tests.processes import Sidecar, complete, free_port, starter
from tests.tokens.shared.engines import Valkey

LIVES: Final = {
    "expiring": 40,  # its end is waited for
    "rejected": 20,
    "throttled": 60,
    "optional": 3600,
    "gateways": 3600,
    "mute": 3600,
    "alone": 4,
    "calm": 12,
}
"""Each emulator, and how long its tokens live, in seconds. `gateways` has those before which upstreams fail."""

CLIENT: Final = Settings()
SECRET: Final = "orders/client"
"""In the Secrets Manager of `mute`."""


class Surroundings:
    """What there is. Sidecars are there once they are started."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self.emulators: dict[str, Emulator] = {}
        self.sidecars: dict[str, Sidecar] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.prometheus: Prometheus
        self.engine = Valkey(directory, ())
        """Of the token cache. It is not started yet."""
        self._directory = directory
        self._stack = stack
        self._start = starter(directory)

    def secret_file(self, name: str) -> Path:
        """Where sidecars read a client secret: by the name of its emulator, or `calm-old`."""
        return self._directory / f"{name}.secret"

    async def start(self, name: str, env: Mapping[str, str] | None = None, output: int | None = None) -> None:
        starting = self._start(self.configs[name], env, output=output)
        self.sidecars[name] = await self._stack.enter_async_context(starting)

    async def set_up(self) -> None:
        await self._start_emulators()
        # Of everything that is to have no token from the beginning on.
        refusal = {"fault": "error", "error": "invalid_client", "count": "all"}
        self.emulators["optional"].set_faults({"token": [refusal]})
        for name in (*LIVES, "calm-old"):
            self.secret_file(name).write_text(CLIENT.client_secrets[0], encoding="utf-8")
        upstreams = {
            "troubled": self._troubled(),
            "mute": self._mute(),
            "alone": {"alone": self._upstream("alone")},
            "calm": {"calm": self._calm()},
            "successor": {"calm": self._calm()},
        }
        self.configs = {name: complete({"upstreams": known}, {}) for name, known in upstreams.items()}
        self.configs["mute"] |= {"log": {"access": True}, "secrets_manager": {"refresh": "10s"}}
        self.configs["alone"] |= {"token_cache": {"url": self.engine.url}}
        aws = {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.emulators["mute"].base_url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        full = os.open("/dev/full", os.O_WRONLY)
        self._stack.callback(os.close, full)
        plain = (self.start(name) for name in ("troubled", "alone", "calm"))
        await asyncio.gather(*plain, self.start("mute", aws, full))
        targets = {name: config["admin"]["listen"] for name, config in self.configs.items()}
        self.prometheus = await self._stack.enter_async_context(running(self._directory, targets))

    async def _start_emulators(self) -> None:
        keys = cycle([generate() for _ in range(2)])  # One pair is as good as another, but where they are rotated.
        for name, life in LIVES.items():
            held = ((SECRET, json.dumps({"id": CLIENT.client_id})),) if name == "mute" else ()
            settings = Settings(token_lifetime=life, stack=Stack(secrets=held))
            emulator = Emulator(settings, make_key=generate if name == "calm" else lambda: next(keys))
            # At a port of its own, so that one that went away can come back there.
            await emulator.start(port=free_port())
            self._stack.push_async_callback(emulator.close)
            self.emulators[name] = emulator

    def _upstream(
        self, emulator: str, gateway: str = "rest", *, auth: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        at = self.emulators[emulator]
        return {
            "url": at.gateway_url(gateway),
            "auth": {
                "token_url": at.token_url,
                "client_id": CLIENT.client_id,
                "client_secret": {"file": str(self.secret_file(emulator))},
                "scopes": list(CLIENT.scopes),
                "refresh_jitter": 0,
                **(auth or {}),
            },
            **more,
        }

    def _troubled(self) -> dict[str, Any]:
        narrow: dict[str, Any] = {"pool": {"max_connections": 1}, "timeouts": {"connect": "200ms"}}
        return {
            "expiring": self._upstream("expiring", auth={"refresh_at": 0.25}),
            "rejected": self._upstream("rejected", auth={"refresh_at": 0.25}),
            "throttled": self._upstream("throttled", auth={"refresh_at": 0.1}),
            "optional": self._upstream("optional", required=False),
            "failing": self._upstream("gateways", "rest"),
            "refused": self._upstream("gateways", "http"),
            "crowded": self._upstream("gateways", "alb", **narrow),
        }

    def _mute(self) -> dict[str, Any]:
        client = {"secrets_manager": SECRET, "key": "id", "region": "eu-central-1"}
        return {"mute": self._upstream("gateways", "alb", auth={"client_id": client})}

    def _calm(self) -> dict[str, Any]:
        both = [{"file": str(self.secret_file(name))} for name in ("calm", "calm-old")]
        return self._upstream("calm", auth={"client_secret": both})


@asynccontextmanager
async def surroundings(directory: Path) -> AsyncIterator[Surroundings]:
    """Everything started, but for the successor."""
    async with AsyncExitStack() as stack:
        found = Surroundings(directory, stack)
        await found.set_up()
        yield found
