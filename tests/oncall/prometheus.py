"""A real Prometheus that scrapes real sidecars, in a hurry: of the alerts' times each minute is a second.

It is told when something happens by what it says itself: an alert that always fires makes it write to our Alertmanager
after every evaluation, so that nobody here needs to look at a clock.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import yaml
from aiohttp import web

from tests.oncall.rig import ALERTS
from tests.processes import Program, free_port, require_program

SCRAPES: Final = "1s"
"""That is the minute which is the longest that docs/metrics.md allows."""
EVALUATIONS: Final = "500ms"
ALWAYS: Final = "Always"
"""The alert whose notification says that there was an evaluation."""


def hurried(rules: str) -> str:
    """The rules with seconds in place of minutes, in ranges and in `for`, and nothing else changed."""
    return re.sub(r"(\[\d+|^ +for: \d+)m(\]|$)", r"\1s\2", rules, flags=re.MULTILINE)


class Alert(NamedTuple):
    """Which alert, how grave, and whose: an upstream's, or a sidecar's by the name of its pod."""

    name: str
    severity: str
    whose: str

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Alert:
        whose = labels.get("upstream") or labels.get("pod", "")
        return cls(labels["alertname"].removeprefix("CognitoSidecar"), labels.get("severity", ""), whose)


class Prometheus:
    """The server, and everything that it has told."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.fired: dict[Alert, dict[str, Any]] = {}
        """Labels and annotations of each alert, as they were when it fired first."""
        self.pods: set[str] = set()
        """Of all alerts that ever fired."""
        self._url = url
        self._session = session
        self._evaluated = asyncio.Condition()

    async def ask(self, path: str, **parameters: str | float) -> Any:
        """The data of an answer of its API. Raises RuntimeError where it does not like the question."""
        asked = {name: str(value) for name, value in parameters.items()}
        async with self._session.get(f"{self._url}/api/v1/{path}", params=asked) as response:
            told = await response.json()
        if told["status"] != "success":
            raise RuntimeError(f"{told['error']}: {parameters}")
        return told["data"]

    async def tick(self) -> None:
        """Wait for the next evaluation."""
        async with self._evaluated:
            await self._evaluated.wait()

    async def sees(self, expr: str, least: int = 1) -> None:
        """Wait until an expression has so many results."""
        while len((await self.ask("query", query=expr))["result"]) < least:
            await self.tick()

    async def fires(self, *alerts: Alert) -> None:
        """Wait until each of them has fired."""
        while not self.fired.keys() >= {*alerts}:
            await self.tick()

    async def forgets(self, *alerts: Alert) -> None:
        """Wait until none of them fires any more."""
        while await self.firing() & {*alerts}:
            await self.tick()

    async def firing(self) -> set[Alert]:
        """What fires at this moment."""
        told = (await self.ask("alerts"))["alerts"]
        return {Alert.of(alert["labels"]) for alert in told if alert["state"] == "firing"}

    async def take(self, request: web.Request) -> web.Response:
        """As an Alertmanager: POST /api/v2/alerts."""
        for alert in await request.json():
            if alert["labels"]["alertname"] == ALWAYS:
                async with self._evaluated:
                    self._evaluated.notify_all()
            else:
                self.fired.setdefault(Alert.of(alert["labels"]), alert)
                self.pods.add(alert["labels"].get("pod", ""))
        return web.json_response({})


@asynccontextmanager
async def running(directory: Path, targets: Mapping[str, str]) -> AsyncIterator[Prometheus]:
    """Started, with the sidecars' admin listeners (by name of the pod) and the hurried alerts."""
    program = require_program("prometheus")
    port = free_port()
    async with aiohttp.ClientSession() as session:
        server = Prometheus(f"http://127.0.0.1:{port}", session)
        manager = web.Application()
        manager.router.add_post("/api/v2/alerts", server.take)
        runner = web.AppRunner(manager, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", free_port())
            await site.start()
            command = _command(program, directory, port, _config(directory, site.name, targets))
            process = await Program.start(*command)
            try:
                await process.printed("Server is ready to receive web requests")
                yield server
            finally:
                await process.stop()
        finally:
            await runner.cleanup()


def _command(program: str, directory: Path, port: int, config: Path) -> tuple[str, ...]:
    return (
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=0s",
    )


def _config(directory: Path, manager: str, targets: Mapping[str, str]) -> Path:
    (directory / "alerts.yaml").write_text(hurried(ALERTS.read_text(encoding="utf-8")), encoding="utf-8")
    always = {"groups": [{"name": "always", "rules": [{"alert": ALWAYS, "expr": "vector(1)"}]}]}
    (directory / "always.yaml").write_text(yaml.safe_dump(always), encoding="utf-8")
    file = directory / "prometheus.yaml"
    told = {
        "global": {"scrape_interval": SCRAPES, "scrape_timeout": SCRAPES, "evaluation_interval": EVALUATIONS},
        "rule_files": ["alerts.yaml", "always.yaml"],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [manager.removeprefix("http://")]}], "timeout": "5s"}]
        },
        "scrape_configs": [
            {
                "job_name": "sidecars",
                "static_configs": [
                    {"targets": [address], "labels": {"namespace": "shop", "pod": pod}}
                    for pod, address in targets.items()
                ],
            }
        ],
    }
    file.write_text(yaml.safe_dump(told), encoding="utf-8")
    return file
