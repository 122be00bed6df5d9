"""The demo's steps. Each is done, checked, and only then told: what it prints has just happened.

The caller is Python's plain HTTP client on a thread of its own, which has no credentials and no idea of tokens.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import sys
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import click

from proxy import log
from proxy.cli.finding import target
from proxy.cli.output import say
from proxy.cli.wait import wait_until_ready
from proxy.config.model import Address, Admin, Auth, Config, Loaded, Log, Upstream, Value
from proxy.config.rules import base_url, token_url
from proxy.emulator.server import Emulator
from proxy.errors import SidecarError
from proxy.service import Service

NAME: Final = "hello"
_PATIENCE: Final = 15.0
"""Seconds for one call, and for the first token; reached only where something is broken."""
_METRICS: Final = (
    "cognito_sidecar_requests_total{",
    "cognito_sidecar_token_refreshes_total{",
    "cognito_sidecar_unauthorized_total{",
)


class Got(NamedTuple):
    """What a caller got."""

    status: int
    body: str


class Story:
    """The emulator and the sidecar, and the steps told with them. Ports: 0 takes a free one."""

    def __init__(self, emulator_port: int = 0, sidecar_port: int = 0, admin_port: int = 0) -> None:
        self._ports = emulator_port, sidecar_port, admin_port
        self._emulator = Emulator()
        self._service: Service | None = None
        self._step = 0
        self._colours = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    async def __aenter__(self) -> Self:
        # The story is on standard output; the sidecar's own log would interrupt it with what is about to be told.
        log.configure(level="error")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._service is not None:
            await self._service.close()
        await self._emulator.close()

    async def tell(self) -> None:
        """All steps. Raises SidecarError for one that does not go as told."""
        await self._cognito_and_gateway()
        await self._no_token()
        await self._sidecar()
        await self._hello()
        await self._one_token_for_three()
        await self._every_token_worthless()
        await self._metrics()

    # The steps.

    async def _cognito_and_gateway(self) -> None:
        self._begin("A local Cognito and API Gateway start")
        origin = await self._emulator.start(port=self._ports[0])
        settings = self._emulator.settings
        self._tell(f"user pool    {settings.pool_id}, app client {settings.client_id}")
        self._tell(f"tokens       {self._emulator.token_url}")
        self._tell(f"the API      {origin}/rest/, asks for the scope {settings.needed[0]}")

    async def _no_token(self) -> None:
        self._begin("A caller without a token is refused by the API")
        url = f"{self._emulator.gateway_url('rest')}/"
        self._show(url, self._expect(await self._get(url), 401))

    async def _sidecar(self) -> None:
        self._begin("The sidecar starts, and gets a token in the background")
        loaded = self._configuration()
        self._service = Service(lambda _: loaded)
        await self._service.start()
        for _, local, upstream in self._service.addresses:
            self._tell(f"{local} -> {upstream}")
        await asyncio.to_thread(wait_until_ready, target(self._service.admin_address), _PATIENCE)
        self._tell(f"http://{self._service.admin_address}/readyz -> 200: it holds a token")

    async def _hello(self) -> None:
        self._begin("The same caller, still without a token, asks the sidecar instead")
        self._show(self._local, self._expect(await self._get(self._local), 200, "Hello World!"))

    async def _one_token_for_three(self) -> None:
        self._begin("Two more requests")
        for _ in range(2):
            self._show(self._local, self._expect(await self._get(self._local), 200, "Hello World!"))
        calls = self._emulator.token_calls
        self._check(calls == 1, f"3 requests should cost 1 call of the token endpoint, not {calls}")
        self._tell("3 requests, 1 call of the token endpoint: the cache saved 2 calls, which Cognito would bill")

    async def _every_token_worthless(self) -> None:
        self._begin("The user pool's signing keys change: every token is worthless at once")
        await self._emulator.rotate_keys()
        self._show(self._local, self._expect(await self._get(self._local), 200, "Hello World!"))
        refused = self._emulator.calls()["gateways"]["rest"]["by_status"].get("401", 0)
        calls = self._emulator.token_calls
        # Two refusals: the one of step 2, and the one that the sidecar dealt with by itself.
        self._check(
            (refused, calls) == (2, 2), f"expected one 401 and one new token, got {refused - 1} and {calls - 1}"
        )
        self._tell(
            "the API answered 401; the sidecar got a new token and sent the request again; the caller saw neither"
        )

    async def _metrics(self) -> None:
        self._begin("What the sidecar's metrics say about it")
        got = self._expect(await self._get(f"{self._admin}metrics"), 200)
        # What did not happen counts 0.0, and is left out here.
        lines = [line for line in got.body.splitlines() if line.startswith(_METRICS) and not line.endswith(" 0.0")]
        facts = (
            f'cognito_sidecar_requests_total{{code="200",method="GET",upstream="{NAME}"}} 4.0',
            f'cognito_sidecar_token_refreshes_total{{result="success",upstream="{NAME}"}} 2.0',
            f'cognito_sidecar_unauthorized_total{{outcome="replayed",upstream="{NAME}"}} 1.0',
        )
        told = {_sorted_labels(line) for line in lines}
        for fact in facts:
            self._check(fact in told, f"the metrics lack {fact}")
        for line in lines:
            self._tell(line)

    # What comes after them.

    def how_to_go_on(self) -> None:
        self._end()
        say("Next:")
        say("  cognito-sidecar demo --serve     the same, and it stays up for you to try with curl")
        say("  config.example.yaml              every setting, for your own user pool and API")
        say("  cognito-sidecar check --config FILE && cognito-sidecar run --config FILE")

    def what_to_try(self) -> None:
        self._end()
        emulator = self._emulator.base_url
        tries = [
            (f"curl {self._local}", "through the sidecar"),
            (f"curl -i {emulator}/rest/", "the API itself: 401"),
            (f"curl -X POST {emulator}/_emulator/rotate-keys", "make every token worthless, then try again"),
            (f"curl {emulator}/_emulator/calls", "what was asked of Cognito and the API"),
            (f"curl {self._admin}readyz", "also /livez, /startupz, /status, /metrics"),
            (f"{self._admin}", "the same as a page, for your browser"),
        ]
        width = max(len(line) for line, _ in tries)
        say("Everything stays up until Ctrl-C. Try, in another terminal:")
        for line, what in tries:
            say(f"  {line:<{width}}    {what}")

    # How steps are done and told.

    @property
    def _local(self) -> str:
        return self._running.addresses[0][1]

    @property
    def _admin(self) -> str:
        return f"http://{self._running.admin_address}/"

    @property
    def _running(self) -> Service:
        if self._service is None:
            raise SidecarError("the demo's sidecar has not been started")
        return self._service

    def _configuration(self) -> Loaded:
        settings = self._emulator.settings
        _, sidecar_port, admin_port = self._ports
        auth = Auth(
            token_url=token_url(self._emulator.token_url),
            client_id=Value(settings.client_id),
            client_secret=(Value(settings.client_secrets[0]),),
            scopes=settings.scopes,
        )
        upstream = Upstream(
            listen=Address("127.0.0.1", sidecar_port), url=base_url(self._emulator.gateway_url("rest")), auth=auth
        )
        config = Config(
            upstreams={NAME: upstream}, admin=Admin(listen=Address("127.0.0.1", admin_port)), log=Log(level="error")
        )
        return Loaded(config, hashlib.sha256(b"demo").hexdigest()[:12], ())

    async def _get(self, url: str) -> Got:
        try:
            return await asyncio.to_thread(get, url)
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(f"GET {url}: {error}") from None

    def _expect(self, got: Got, status: int, text: str = "") -> Got:
        self._check(
            got.status == status and text in got.body,
            f"expected {status} {text}".rstrip() + f", got {got.status} {got.body.strip()}",
        )
        return got

    def _check(self, good: bool, problem: str) -> None:
        if not good:
            raise self._failure(problem)

    def _failure(self, problem: str) -> SidecarError:
        return SidecarError(f"demo, step {self._step}: {problem}")

    def _begin(self, title: str) -> None:
        if self._step:
            click.echo()
        self._step += 1
        click.echo(self._paint(f"{self._step}. {title}", bold=True))

    def _end(self) -> None:
        click.echo()
        click.echo(self._paint("All of it went as told.", fg="green"))
        click.echo()

    def _tell(self, line: str) -> None:
        click.echo(f"   {line}")

    def _show(self, url: str, got: Got) -> None:
        colour = "green" if got.status < 400 else "red"
        self._tell(f"GET {url} -> {self._paint(str(got.status), fg=colour)} {got.body.strip()}")

    def _paint(self, text: str, **how: Any) -> str:
        return click.style(text, **how) if self._colours else text


def get(url: str) -> Got:
    """A plain GET, as any program would do it. No proxy setting of the environment is read: this stays on loopback."""
    origin, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(origin, timeout=_PATIENCE)
    try:
        connection.request("GET", f"/{path}")
        response = connection.getresponse()
        return Got(response.status, response.read().decode("utf-8", "replace"))
    finally:
        connection.close()


def _sorted_labels(line: str) -> str:
    """A metric's line with its labels in alphabetical order, in which the demo looks for them."""
    name, _, rest = line.partition("{")
    labels, _, value = rest.partition("}")
    return f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}"
