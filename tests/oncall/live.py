"""Less than a minute in the life of the sidecars of `sidecars.py`: all goes wrong at once and is mended.

Meanwhile keys and secrets of `calm` are rotated under load, and `successor` takes its place, so that of these two no
alert may ever fire. Traffic comes with Prometheus' ticks. What was seen is in `Seen`; nothing here judges it.
"""

from __future__ import annotations

import asyncio
import math
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from helm.dashboard import page
from tests.oncall.prometheus import Alert
from tests.oncall.sidecars import Surroundings, surroundings

PATIENCE: Final = 80.0
"""Seconds for all troubles. They take about forty."""

COME_AND_GO: Final = [
    Alert("RenewalFailing", "warning", "expiring"),
    Alert("TokenExpiring", "critical", "expiring"),
    Alert("NoToken", "critical", "expiring"),
    Alert("CredentialsRejected", "critical", "rejected"),
    Alert("NoToken", "warning", "optional"),
    Alert("CredentialsRejected", "warning", "optional"),
    Alert("Throttled", "warning", "throttled"),
    Alert("UpstreamFailing", "critical", "failing"),
    Alert("UpstreamFailing", "warning", "failing"),
    Alert("TokenRefused", "critical", "refused"),
    Alert("TokenRefused", "warning", "refused"),
    Alert("Overloaded", "warning", "crowded"),
    Alert("ReloadFailing", "warning", "mute"),
    Alert("SecretUnreadable", "warning", "mute"),
    Alert("LogLinesDropped", "warning", "mute"),
    Alert("TokenCacheUnusable", "warning", "alone"),
]
CALM: Final = {"calm", "successor"}


@dataclass
class Seen:
    """What came of it."""

    fired: dict[Alert, dict[str, Any]] = field(default_factory=dict)
    gone: set[Alert] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)
    """Of all alerts."""
    rotated: bool = False
    """The calm ones came to the end of their story."""
    calm_codes: set[int] = field(default_factory=set)
    """The status of every answer that their callers got."""
    panels: dict[str, list[float]] = field(default_factory=dict)
    """Every value of every expression of the dashboard, but those that are no number."""
    exposition: str = ""
    """`/metrics` of the troubled one, at the end."""


class Live:
    """Each trouble begins, is seen, is mended, and is seen to be over."""

    def __init__(self, around: Surroundings, session: aiohttp.ClientSession) -> None:
        self.seen = Seen()
        self._around = around
        self._prometheus = around.prometheus
        self._session = session
        self._calm_at = "calm"
        self._mute_is_called = True
        self._going = True

    async def go(self) -> None:
        """All troubles at once; traffic for as long as one of them lasts."""
        await self._prometheus.sees("cognito_sidecar_build_info", 4)
        troubles = (
            self._expiring(),
            self._rejected(),
            self._throttled(),
            self._optional(),
            self._gateways(),
            self._crowded(),
            self._broken_configuration(),
            self._unreadable_secret(),
            self._dropped_lines(),
            self._no_engine(),
            self._rotations_and_a_replacement(),
        )
        traffic = asyncio.ensure_future(self._traffic())
        try:
            with suppress(TimeoutError):  # What did not come is what the tests ask for.
                async with asyncio.timeout(PATIENCE):
                    await asyncio.gather(*troubles)
        finally:
            self._going = False
            await traffic
        self.seen.fired, self.seen.pods = self._prometheus.fired, self._prometheus.pods

    async def _seen_to_come(self, *whose: str) -> list[Alert]:
        alerts = [alert for alert in COME_AND_GO if alert.whose in whose]
        await self._prometheus.fires(*alerts)
        return alerts

    async def _seen_to_go(self, *alerts: Alert) -> None:
        await self._prometheus.forgets(*alerts)
        self.seen.gone |= {*alerts}

    # ------------------------------------------------------------------------------------------------ the troubles

    async def _expiring(self) -> None:
        emulator = self._around.emulators["expiring"]
        emulator.set_faults({"token": [{"fault": "status", "status": 500, "count": "all"}]})
        alerts = await self._seen_to_come("expiring")
        # The endpoint is back, slowly: requests wait for it. Other settings are a reason to try at once.
        emulator.set_faults({"token": [{"fault": "delay", "seconds": 3}]})
        self._around.configs["troubled"]["upstreams"]["expiring"]["auth"]["request_timeout"] = "9s"
        self._reload_troubled()
        await self._seen_to_go(*alerts)

    async def _rejected(self) -> None:
        secret = self._around.emulators["rejected"].rotate_secret(revoke_old=True)
        alerts = await self._seen_to_come("rejected")
        self._around.secret_file("rejected").write_text(secret, encoding="utf-8")
        await self._seen_to_go(*alerts)

    async def _throttled(self) -> None:
        emulator = self._around.emulators["throttled"]
        emulator.set_faults({"token": [{"fault": "status", "status": 429, "count": "all"}]})
        alerts = await self._seen_to_come("throttled")
        emulator.set_faults({})
        await self._seen_to_go(*alerts)

    async def _optional(self) -> None:
        """It has been refused since the beginning."""
        alerts = await self._seen_to_come("optional")
        emulator = self._around.emulators["optional"]
        emulator.set_faults({})
        self._around.secret_file("optional").write_text(emulator.rotate_secret(revoke_old=True), encoding="utf-8")
        await self._seen_to_go(*alerts)

    async def _gateways(self) -> None:
        """One upstream hangs up, another one takes no token."""
        slow = {"alb": [{"fault": "delay", "seconds": 0.5, "count": "all"}]}
        drop, refuse = {"fault": "drop", "count": "all"}, {"fault": "status", "status": 401, "count": "all"}
        emulator = self._around.emulators["gateways"]
        emulator.set_faults({"rest": [drop], "http": [refuse], **slow})
        alerts = await self._seen_to_come("failing", "refused")
        emulator.set_faults(slow)
        await self._seen_to_go(*alerts)

    async def _crowded(self) -> None:
        """Its upstream is slow, and it may have one connection there."""
        alerts = await self._seen_to_come("crowded")
        self._around.configs["troubled"]["upstreams"]["crowded"]["pool"]["max_connections"] = 20
        self._reload_troubled()
        await self._seen_to_go(*alerts)

    async def _broken_configuration(self) -> None:
        file = self._around.sidecars["mute"].config_file
        good = file.read_text(encoding="utf-8")
        file.write_text(good + "no_such_key: 1\n", encoding="utf-8")
        alert = Alert("ReloadFailing", "warning", "mute")
        await self._prometheus.fires(alert)
        file.write_text(good, encoding="utf-8")
        await self._seen_to_go(alert)

    async def _unreadable_secret(self) -> None:
        emulator = self._around.emulators["mute"]
        port = int(emulator.base_url.rpartition(":")[2])
        await emulator.close()
        alert = Alert("SecretUnreadable", "warning", "mute")
        await self._prometheus.fires(alert)
        await emulator.start(port=port)
        await self._seen_to_go(alert)

    async def _dropped_lines(self) -> None:
        """Its access log goes to a disk that is full, until there is nothing more to log."""
        alert = Alert("LogLinesDropped", "warning", "mute")
        await self._prometheus.fires(alert)
        self._mute_is_called = False
        await self._seen_to_go(alert)

    async def _no_engine(self) -> None:
        """It has gone on alone since the beginning."""
        (alert,) = await self._seen_to_come("alone")
        await self._around.engine.start()
        try:
            await self._seen_to_go(alert)
        finally:
            await self._around.engine.stop()

    async def _rotations_and_a_replacement(self) -> None:
        """By the book. Each step waits until Prometheus has seen the one before."""
        emulator, around, seen = self._around.emulators["calm"], self._around, self._prometheus
        await emulator.rotate_keys()
        await seen.sees('cognito_sidecar_unauthorized_total{pod="calm", outcome="replayed"} > 0')
        secret = emulator.rotate_secret()
        around.secret_file("calm").write_text(secret, encoding="utf-8")
        for place in ("2", "1"):
            await seen.sees(f'cognito_sidecar_client_secret_in_use{{pod="calm", secret="{place}"}} == 1')
        emulator.revoke_secret()
        around.secret_file("calm-old").write_text(secret, encoding="utf-8")
        await around.start("successor")
        await seen.sees('cognito_sidecar_token_usable{pod="successor"} == 1')
        self._calm_at = "successor"
        around.sidecars["calm"].send(signal.SIGTERM)
        assert await around.sidecars["calm"].ended() == 0
        await seen.sees('up{pod="calm"} == 0')
        self.seen.rotated = True

    def _reload_troubled(self) -> None:
        sidecar = self._around.sidecars["troubled"]
        sidecar.rewrite(self._around.configs["troubled"])
        sidecar.send(signal.SIGHUP)

    # ---------------------------------------------------------------------------------------------------- traffic

    async def _traffic(self) -> None:
        """A few requests to everything at every tick. What they come to is the metrics' to tell."""
        async with asyncio.TaskGroup() as group:
            while self._going:
                await self._prometheus.tick()
                for name in ("expiring", *["failing"] * 2, *["refused"] * 2, *["crowded"] * 6):
                    group.create_task(self._ask("troubled", name))
                if self._mute_is_called:
                    group.create_task(self._ask("mute", "mute"))
                group.create_task(self._ask_calm())

    async def _ask(self, sidecar: str, upstream: str) -> int:
        async with self._session.get(f"{self._around.sidecars[sidecar].url(upstream)}/") as response:
            await response.read()
            return response.status

    async def _ask_calm(self) -> None:
        self.seen.calm_codes.add(await self._ask(self._calm_at, "calm"))

    # --------------------------------------------------------------------------------------------------- afterwards

    async def look_back(self) -> None:
        """Ask for every expression of the dashboard over all that was, and for the metrics once more."""
        ((now, _),) = (one["value"] for one in (await self._prometheus.ask("query", query="vector(1)"))["result"])
        for expr in expressions():
            began = now - PATIENCE - 30
            told = await self._prometheus.ask("query_range", query=chosen(expr), start=began, end=now, step=1)
            values = (float(value) for series in told["result"] for _, value in series["values"])
            self.seen.panels[expr] = [value for value in values if not math.isnan(value)]
        async with self._session.get(
            f"http://{self._around.configs['troubled']['admin']['listen']}/metrics"
        ) as response:
            self.seen.exposition = await response.text()


def expressions() -> list[str]:
    """Of the dashboard: each query of each panel, and of the marks on all of them."""
    told = page()
    queries = [target["expr"] for panel in told["panels"] for target in panel.get("targets", ())]
    return [*queries, *(mark["expr"] for mark in told["annotations"]["list"])]


def chosen(expr: str) -> str:
    """An expression as Grafana asks it, with everything chosen."""
    for name in ("namespace", "job", "instance", "upstream"):
        expr = expr.replace(f'"${name}"', '".*"')
    return expr.replace("$__rate_interval", "4s")


async def live(directory: Path) -> Seen:
    """All of it, from the first process to the last."""
    async with aiohttp.ClientSession() as session, surroundings(directory) as around:
        world = Live(around, session)
        await world.go()
        await world.look_back()
        return world.seen
