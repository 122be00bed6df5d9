"""The processes of a trial: the emulator, an upstream, and a sidecar between callers and both. All on loopback.

    async with surroundings(directory, token_lifetime=60) as around:
        config = around.configuration({"orders": {"timeouts": {"response": "5s"}}})
        async with running_sidecar(directory, config) as sidecar:
            …  # call sidecar.url("orders"), read sidecar.admin (trials.readings), sidecar.rewrite(...), send(SIGHUP)

What callers may ask the upstream for is in `trials.asks`, a client that does is in `trials.caller`. Everything that is
started is ended with its block, by its own process id, stopped or not. Files (configuration, secret, keys, records of
the upstream, the sidecar's log) are in `directory`, which is the caller's to keep or to remove.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

from proxy.emulator.settings import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_POOL_ID, DEFAULT_SCOPE
from tests.interop import servers
from tests.processes import PATIENCE, Sidecar, complete, free_port, until_ready, write_config
from tests.processes import Program as Process
from trials.readings import status

LOG: Final = "sidecar.log"


class Kind(NamedTuple):
    """What there is to know about a token issuer before one is asked."""

    token_path: str
    keys_path: str
    client_id: str
    secret: str
    scope: str
    second_scope: str


EMULATOR: Final = Kind(
    token_path="/oauth2/token",
    keys_path=f"/{DEFAULT_POOL_ID}/.well-known/jwks.json",
    client_id=DEFAULT_CLIENT_ID,
    secret=DEFAULT_CLIENT_SECRET,
    scope=DEFAULT_SCOPE,
    second_scope="mydomain.com/SECOND",
)
PROVIDER: Final = Kind(
    token_path="/token",
    keys_path="/jwks",
    client_id=servers.CLIENT_ID,
    secret=servers.CLIENT_SECRET,
    scope=servers.SCOPE,
    second_scope=servers.SCOPE,
)
"""npm's oidc-provider, which nobody here wrote. It takes no orders: faults and rotations are the emulator's alone."""


class Issuer:
    """A token issuer that runs."""

    def __init__(self, kind: Kind, url: str, session: aiohttp.ClientSession, directory: Path) -> None:
        self.kind = kind
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.secret = kind.secret
        self.secrets = {kind.secret}
        """All that there have been."""
        self.secret_file = directory / "client_secret"
        self.keys_file = directory / "keys.json"
        self._session = session
        self._keys: dict[str, Any] = {}
        self._live_secrets = 1

    async def control(self, method: str, name: str, body: Any = None) -> Any:
        """`METHOD /_emulator/NAME`, and what it answers. Raises RuntimeError where that is an error."""
        async with self._session.request(method, f"{self.url}/_emulator/{name}", json=body) as response:
            told = await response.json()
            if response.status != 200:
                raise RuntimeError(f"the emulator answered {response.status}: {told}")
            return told

    async def set_faults(self, *faults: Mapping[str, Any]) -> None:
        """What the next calls of the token endpoint get (docs/emulator.md); none: the faults are over."""
        await self.control("PUT", "faults", {"token": faults})

    async def rotate_keys(self, *, keep_old: bool) -> None:
        await self.control("POST", f"rotate-keys?keep_old={str(keep_old).lower()}")
        await self.publish_keys()

    async def rotate_secret(self, *, revoke_old: bool = True) -> str:
        """A new secret, beside the last one or, with `revoke_old`, the only one that is good from now on.

        Who writes it to `secret_file`, and when, is the caller's.
        """
        if not revoke_old and self._live_secrets > 1:
            await self.control("POST", "revoke-secret")
        told = await self.control("POST", f"rotate-secret?revoke_old={str(revoke_old).lower()}")
        self.secret, self._live_secrets = told["client_secret"], len(told["live"])
        self.secrets.add(self.secret)
        return self.secret

    def write_secret(self) -> None:
        """Put the present secret where the sidecar reads it."""
        replace_file(self.secret_file, self.secret + "\n")

    async def publish_keys(self) -> None:
        """Tell the upstream which keys are good now, and which ever were."""
        async with self._session.get(self.url + self.kind.keys_path) as response:
            live = {key["kid"]: key for key in (await response.json())["keys"]}
        self._keys |= live
        replace_file(self.keys_file, json.dumps({"keys": [*self._keys.values()], "live": [*live]}))

    @property
    def kids(self) -> set[str]:
        """The names of all keys that there have been."""
        return {*self._keys}


class Upstream:
    """`trials.upstream` as a process that may be killed, stopped and started again at the same port."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.port: int = told["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self._told = told
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await Process.start(sys.executable, "-m", "trials.upstream", json.dumps(self._told))
        await self._process.printed("ready")

    async def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        if self._process is not None and self._process.running:
            self._process.send(signal.SIGKILL)
            await self._process.ended()

    def stop(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.running:
            self._process.send(number)


class Surroundings:
    """What is there before a sidecar is."""

    def __init__(self, issuer: Issuer, upstream: Upstream, session: aiohttp.ClientSession) -> None:
        self.issuer = issuer
        self.upstream = upstream
        self.session = session

    def configuration(
        self,
        upstreams: Mapping[str, Mapping[str, Any]],
        *,
        issuer_port: int | None = None,
        upstream_port: int | None = None,
        **top: Any,
    ) -> dict[str, Any]:
        """A sidecar's configuration: each upstream with what it needs, and `upstreams`' and `top`'s settings over that.

        Other ports than the real ones are those of whatever stands in between.
        """
        kind = self.issuer.kind
        auth = {
            "token_url": f"http://127.0.0.1:{issuer_port or self.issuer.port}{kind.token_path}",
            "client_id": kind.client_id,
            "client_secret": {"file": str(self.issuer.secret_file)},
            "scopes": [kind.scope],
        }
        url = f"http://127.0.0.1:{upstream_port or self.upstream.port}"
        return {
            "upstreams": {
                name: {"url": url, **settings, "auth": {**auth, **settings.get("auth", {})}}
                for name, settings in upstreams.items()
            },
            "log": {"level": "debug", "format": "json"},
            **top,
        }


@asynccontextmanager
async def surroundings(
    directory: Path, *, token_lifetime: int = 3600, records: bool = False, kind: Kind = EMULATOR
) -> AsyncIterator[Surroundings]:
    """A token issuer, and an upstream that lets in its tokens. With `records`, the upstream writes down what it saw."""
    serving = _emulator(token_lifetime) if kind is EMULATOR else _provider(token_lifetime)
    async with serving as url, aiohttp.ClientSession() as session:
        issuer = Issuer(kind, url, session, directory)
        issuer.write_secret()
        await issuer.publish_keys()
        told: dict[str, Any] = {"port": free_port(), "keys": str(issuer.keys_file)}
        if records:
            told["records"] = str(directory / "upstream.jsonl")
        upstream = Upstream(told)
        try:
            await upstream.start()
            yield Surroundings(issuer, upstream, session)
        finally:
            await upstream.kill()


@asynccontextmanager
async def _emulator(token_lifetime: int) -> AsyncIterator[str]:
    command = ("-m", "proxy", "emulator", "--port", "0", "--token-lifetime", f"{token_lifetime}s")
    scopes = ("--scope", EMULATOR.scope, "--scope", EMULATOR.second_scope)
    emulator = await Process.start(sys.executable, *command, *scopes)
    try:
        said = await emulator.printed("The emulator serves at ")
        yield said.removeprefix("The emulator serves at ").split(" ")[0]
    finally:
        await emulator.stop()


@asynccontextmanager
async def _provider(token_lifetime: int) -> AsyncIterator[str]:
    async with servers.serve_provider(lifetime=token_lifetime) as provider:
        yield provider.issuer


@asynccontextmanager
async def running_sidecar(
    directory: Path,
    config: Mapping[str, Any],
    *,
    log: str = "",
    descriptors: int | None = None,
    ready: bool = True,
) -> AsyncIterator[Sidecar]:
    """`cognito-sidecar run`. Left by SIGTERM, and by SIGKILL where it does not obey within a while.

    `log` says where its standard error goes, as a shell redirects: `2>/dev/full`, `2>&-`; by default to LOG in
    `directory`. `descriptors` is the most that it may open. With `ready` it is waited for until it is.
    """
    file = directory / "sidecar.yaml"
    whole = complete(config, {})
    write_config(file, whole)
    redirect = log or f"2>>'{directory / LOG}'"
    limit = f"ulimit -n {descriptors}; " if descriptors else ""
    shell: Sequence[str] = ("/bin/sh", "-c", f'{limit}exec "$@" {redirect}', "sh")
    sidecar = await Sidecar.start(*shell, sys.executable, "-m", "proxy", "run", "--config", str(file))
    sidecar.config_file, sidecar.config = file, whole
    try:
        if ready:
            await until_ready(sidecar)
        yield sidecar
    finally:
        await end(sidecar)


async def reload(session: aiohttp.ClientSession, sidecar: Sidecar, config: Mapping[str, Any]) -> None:
    """Give it another configuration by SIGHUP, and wait until it serves that. Raises TimeoutError."""
    before = (await status(session, sidecar.admin))["config_hash"]
    sidecar.rewrite(config)
    sidecar.send(signal.SIGHUP)
    async with asyncio.timeout(PATIENCE):
        while (await status(session, sidecar.admin))["config_hash"] == before:  # noqa: ASYNC110 - it is elsewhere
            await asyncio.sleep(0.05)


async def end(sidecar: Sidecar, *, seconds: float = 20.0) -> int | None:
    """SIGTERM, unless it has ended already, and its exit code; None where it had to be killed."""
    if sidecar.running:
        sidecar.send(signal.SIGCONT)
        sidecar.send(signal.SIGTERM)
    try:
        async with asyncio.timeout(seconds):
            return await sidecar.ended()
    except TimeoutError:
        sidecar.send(signal.SIGKILL)
        await sidecar.ended()
        return None


def leave_nothing_behind() -> None:
    """SIGTERM ends a trial as Ctrl-C does, by cancelling it: what it has started is ended with it.

    A shell that starts it in the background has Ctrl-C ignored, which is put right as well.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def replace_file(path: Path, text: str) -> None:
    """Whoever reads the file finds the old text or the new one, and never a part."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
