"""Everything an emulator remembers, in one place that the endpoints share. It answers nothing itself."""

from __future__ import annotations

from proxy.clock import Clock
from proxy.emulator.answers import Random
from proxy.emulator.calls import Calls
from proxy.emulator.client import AppClient
from proxy.emulator.faults import Queue
from proxy.emulator.gateways import make_all
from proxy.emulator.keys import KeyRing, Make, Pair
from proxy.emulator.settings import Settings
from proxy.emulator.tokens import TokenDesk


class State:
    """One running emulator at `origin`, which has no slash at its end."""

    def __init__(
        self, settings: Settings, *, origin: str, pair: Pair, make_key: Make, clock: Clock, random: Random
    ) -> None:
        self.settings = settings
        self.origin = origin
        self.issuer = settings.issuer_at(origin)
        self.make_key = make_key
        self.clock = clock
        self.random = random
        self.keys = KeyRing(pair)
        self.client = AppClient(settings.client_id, settings.client_secrets, now=self.now())
        self.desk = TokenDesk(
            keys=self.keys,
            client_id=settings.client_id,
            issuer=self.issuer,
            lifetime=settings.token_lifetime,
            clock=clock,
            random=random,
        )
        self.gateways = make_all(settings.needed, random)
        self.faults = Queue()
        self.calls = Calls()

    def now(self) -> float:
        """Unix time."""
        return self.clock.read().wall
