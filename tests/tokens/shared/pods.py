"""Token sources of several sidecars with one store, one endpoint and one clock."""

from __future__ import annotations

from typing import Any

from proxy.config.model import Auth, Proxy
from proxy.stats import CacheStats
from proxy.tokens.interface import AccessToken
from proxy.tokens.shared.sharing import Engine
from proxy.tokens.source import TokenSource
from tests.fakes import FakeClock
from tests.tokens.helpers import FakeEndpoint, make_auth
from tests.tokens.shared.stores import MemoryStore


class Pod:
    """One sidecar's token source."""

    def __init__(self, fleet: Fleet, clock: FakeClock | None = None, draws: float = 0.5, **changes: Any) -> None:
        self.draws = draws
        """The random number that it draws, each time."""
        clock = clock or fleet.clock
        self.auth = make_auth(**changes)
        self.stats = CacheStats()
        self.engine = Engine(fleet.store, clock, lambda: self.draws, self.stats)
        self.endpoint = fleet.endpoint
        self.source = TokenSource(
            self.auth,
            ("orders",),
            clock=clock,
            draw=lambda: self.draws,
            connect=self._connect,
            sharing=self.engine.share(self.auth),
        )

    def _connect(self, auth: Auth, extra_ca_file: str | None, proxy: Proxy | None, clock: object) -> FakeEndpoint:
        return self.endpoint

    def token(self) -> AccessToken:
        token = self.source.current()
        assert token is not None
        return token

    @property
    def origin(self) -> str | None:
        return self.source.status().origin


class Fleet:
    """All that the pods have in common."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.endpoint = FakeEndpoint()
        self.pods: list[Pod] = []

    async def start(self, **changes: Any) -> Pod:
        pod = Pod(self, **changes)
        self.pods.append(pod)
        pod.source.start()
        await self.clock.turn(0)
        return pod

    @property
    def calls(self) -> int:
        return len(self.endpoint.calls)
