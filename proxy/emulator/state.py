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
        self.places: dict[str, str] = {"domain": origin, "issuer": self.issuer}
        """What stands for an address at AWS."""
        for kind in settings.served:
            self.places[kind] = f"{origin}/{kind}"
        self.make_key = make_key
        self.clock = clock
        self.random = random
        self.began = self.now()
        self.keys = KeyRing(pair)
        self.clients = {
            one.id: AppClient(
                *(one.id, one.secrets),
                now=self.now(),
                scopes=one.scopes,
                lifetime=one.token_lifetime,
                may_ask=one.may_ask,
            )
            for one in settings.clients
        }
        self.client = self.clients[settings.client_id]
        """The first of them."""
        self.desk = TokenDesk(keys=self.keys, issuer=self.issuer, clock=clock, random=random)
        self.gateways = make_all(settings.served, random)
        self.faults = Queue()
        self.calls = Calls()

    def now(self) -> float:
        """Unix time."""
        return self.clock.read().wall
