"""The whole sidecar inside the test's own process: a hand-turned clock, a scripted token endpoint and upstream.

What is asked is asked over real sockets on loopback; only the sidecar's own time is the test's.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import yaml

from proxy import config as configuration
from proxy.admin.view import UpstreamView
from proxy.config.model import SecretRef
from proxy.config.secrets import Held, Secrets, Unread
from proxy.service import Service
from tests.fakes import FakeClock
from tests.forward.rig import PATIENCE, until

T = TypeVar("T")
LIFE = 3600


async def within(work: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await work


class Server:
    """A scripted HTTP server: one answer a request, on connections that stay open."""

    def __init__(self) -> None:
        self.connections = 0
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
                await reader.readexactly(int(fields.get("content-length", 0)))
                await self.answer(head, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class TokenEndpoint(Server):
    """Gives `tok.1`, `tok.2`, … to whoever has one of `good` secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.good = {"s1", "other"}
        self.asked: list[str] = []
        """The secret of each call."""
        self.open = asyncio.Event()
        """While it is not set, calls wait."""
        self.open.set()

    async def answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        basic = next(line for line in head.split("\r\n") if line.lower().startswith("authorization: basic "))
        secret = base64.b64decode(basic.split(" ")[2]).decode().partition(":")[2]
        self.asked.append(secret)
        number = len(self.asked)
        await self.open.wait()
        status, told = "400 Bad Request", '{"error": "invalid_client"}'
        if secret in self.good:
            status = "200 OK"
            told = json.dumps({"access_token": f"tok.{number}", "token_type": "Bearer", "expires_in": LIFE})
        text = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(told)}\r\n\r\n{told}"
        writer.write(text.encode())


class Gateway(Server):
    """Answers with the first line and the token that it saw; `/half` stops in the middle until `rest` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.rest = asyncio.Event()

    async def answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.split("\r\n")
        if "/half" in first:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            await self.rest.wait()
            writer.write(b"later")
            return
        token = next(line.split(" ")[-1] for line in lines if line.lower().startswith("authorization: "))
        body = f"{first.split(' ')[1]} {token}".encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


class Answer(NamedTuple):
    status: int
    head: str
    body: str


async def ask(url: str, path: str = "/") -> Answer:
    """One GET on a connection of its own. `url`: `http://host:port…` or `unix:/path`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(parts.path)
    else:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        path = parts.path.rstrip("/") + path
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    try:
        raw = (await within(reader.read())).decode()
    finally:
        writer.transport.abort()
    head, _, body = raw.partition("\r\n\r\n")
    return Answer(int(head.split(" ")[1]), head, body)


class Half:
    """A caller whose answer is stuck in the middle."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def begin(cls, url: str) -> Half:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"GET {parts.path.rstrip('/')}/half HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await within(reader.readuntil(b"\r\n\r\nfirst"))
        return cls(reader, writer)

    async def end(self) -> bytes:
        """What still came, when the connection has ended."""
        try:
            return await within(self._reader.read())
        except ConnectionResetError:
            return b""
        finally:
            self._writer.transport.abort()

    async def rest(self) -> bytes:
        """The other half; the connection stays."""
        return await within(self._reader.readexactly(5))

    def close(self) -> None:
        self._writer.transport.abort()


async def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    parts = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except ConnectionRefusedError:
        return True
    writer.transport.abort()
    return False


class World:
    """A configuration file, what it leads to, and the sidecar that serves it."""

    def __init__(self, folder: Path, endpoint: TokenEndpoint, gateway: Gateway, clock: FakeClock) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.gateway = gateway
        self.clock = clock
        self.file = folder / "config.yaml"
        self.secret = folder / "secret"
        self.secret.write_text("s1\n")
        self.config: dict[str, Any] = {
            "upstreams": {"orders": self.upstream()},
            "admin": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
        }
        self.manager: dict[str, Held | Unread] = {}
        """What Secrets Manager holds, by the secret's name."""
        self.manager_calls = 0
        self.halves: list[Half] = []
        self.service = Service(self._load, clock=clock, random=Random(1), read_secrets=self._read_secrets)

    def _load(self, secrets: Secrets) -> configuration.Loaded:
        return configuration.load(str(self.file), environ={}, secrets=secrets)

    def _read_secrets(self, asked: Mapping[SecretRef, Held | None]) -> dict[SecretRef, Held | Unread]:
        self.manager_calls += 1
        return {ref: self.manager[ref.id] for ref in asked}

    def upstream(self, **changes: Any) -> dict[str, Any]:
        """An upstream's settings; `auth` is merged, everything else replaced."""
        auth = {
            "token_url": self.endpoint.url,
            "client_id": "id",
            "client_secret": {"file": str(self.secret)},
            **changes.pop("auth", {}),
        }
        return {"listen": "127.0.0.1:0", "url": self.gateway.url, "auth": auth, **changes}

    def write(self) -> None:
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    async def reload(self) -> bool:
        """Write the configuration, and have it read as SIGHUP would."""
        self.write()
        return await self.service.reload("SIGHUP")

    async def look(self) -> None:
        """Let so many ticks pass that the files have been compared."""
        await self.clock.turn(3.0)

    @property
    def views(self) -> dict[str, UpstreamView]:
        return {view.name: view for view in self.service.upstreams()}

    def url(self, name: str = "orders") -> str:
        return self.views[name].local_url

    async def get(self, name: str = "orders", path: str = "/") -> Answer:
        return await ask(self.url(name), path)

    async def half(self) -> Half:
        """A caller of `orders` whose answer is stuck in the middle."""
        half = await Half.begin(self.url())
        self.halves.append(half)
        return half

    async def page(self, path: str) -> Answer:
        return await ask(f"http://{self.service.admin_address}", path)

    async def has_tokens(self) -> None:
        await until(lambda: all(view.token.usable for view in self.service.upstreams()))


@asynccontextmanager
async def world(folder: Path, prepare: Callable[[World], object] = lambda _: None) -> AsyncIterator[World]:
    """Nothing is started yet; `prepare` changes the configuration. Leaving closes the sidecar."""
    loop = asyncio.get_running_loop()
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    async with TokenEndpoint() as endpoint, Gateway() as gateway:
        w = World(folder, endpoint, gateway, FakeClock())
        prepare(w)
        w.write()
        try:
            yield w
        finally:
            for half in w.halves:
                half.close()
            await w.service.close()
    assert unheard == []


@asynccontextmanager
async def serving(folder: Path, prepare: Callable[[World], object] = lambda _: None) -> AsyncIterator[World]:
    """As `world`, started, with its first tokens."""
    async with world(folder, prepare) as w:
        await w.service.start()
        await w.has_tokens()
        yield w


def events(err: str, name: str) -> list[dict[str, Any]]:
    """The log lines of one event, of what `capsys` read from standard error."""
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]
