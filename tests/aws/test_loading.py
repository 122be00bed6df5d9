"""A configuration with its secrets: what is lacking is read, and a start waits a little for what is late."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy import config as configuration
from proxy import log
from proxy.aws.loading import Loader, load_once
from proxy.aws.reader import Reader
from proxy.aws.store import SecretStore
from proxy.config.model import Loaded, SecretRef, Value
from proxy.config.secrets import Held, Secrets, Unread
from proxy.errors import ConfigError, SecretsUnavailable
from tests.config.files import upstream, write
from tests.fakes import FakeClock, settle
from tests.forward.rig import until

ORDERS = SecretRef("orders", "eu-central-1")
LATE = Unread("connection", "Secrets Manager cannot be reached", passing=True)


class Bench:
    """A file whose client_secret is in Secrets Manager, and what the readings bring, one after the other."""

    def __init__(self, folder: Path, *states: Held | Unread, wait: str = "30s") -> None:
        self.folder = folder
        self.states = [*states]
        self.reads = 0
        self.wait = wait
        self.write("orders")
        self.clock = FakeClock()
        self.store = SecretStore(self.clock, draw=lambda: 0.5, read=self._read)
        self.loader = Loader(self.load, self.store, self.clock)
        self.stop = asyncio.Event()

    def write(self, secret: str, **changes: object) -> None:
        source = {"secrets_manager": secret, "region": "eu-central-1"}
        data = {
            "upstreams": {"orders": upstream(auth__client_id="id", auth__client_secret=source, **changes)},
            "secrets_manager": {"wait": self.wait},
        }
        self.file = write(self.folder, data)

    def load(self, secrets: Secrets) -> Loaded:
        return configuration.load(str(self.file), environ={}, secrets=secrets)

    def _read(self, asked: Mapping[SecretRef, Held | None]) -> dict[SecretRef, Held | Unread]:
        self.reads += 1
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return dict.fromkeys(asked, state)

    async def begin(self) -> asyncio.Task[Loaded | None]:
        """The start, as far as it comes without time passing."""
        starting = asyncio.ensure_future(self.loader.load_patiently(self.stop))
        await self.read(1, starting)
        return starting

    async def read(self, times: int, starting: asyncio.Task[Loaded | None]) -> None:
        await until(lambda: self.reads == times)
        await until(lambda: starting.done() or bool(self.clock.timers))
        await settle()


def text(value: str) -> Held:
    return Held(Value(value), None, "v1")


def secret_of(loaded: Loaded | None) -> str:
    assert loaded is not None
    return loaded.config.upstreams["orders"].auth.client_secret[0].reveal()


async def test_what_is_lacking_is_read_first(tmp_path: Path) -> None:
    b = Bench(tmp_path, text("abc"))
    assert secret_of(await b.loader.load_patiently(b.stop)) == "abc"
    assert secret_of(await b.loader.load()) == "abc"
    assert b.reads == 1, "what is held is not read again"
    b.write("another")
    assert secret_of(await b.loader.load()) == "abc"
    assert b.reads == 2


async def test_a_start_waits_for_what_comes_late(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b = Bench(tmp_path, LATE, LATE, text("abc"))
    starting = await b.begin()
    await b.clock.turn(9)
    assert not starting.done()
    await b.clock.turn(1)
    await b.read(2, starting)
    await b.clock.turn(10)
    assert secret_of(await starting) == "abc"
    assert b.reads == 3
    said = capsys.readouterr().err
    assert said.count("waiting_for_secrets") == 2
    assert "upstreams.orders.auth.client_secret: secret orders in eu-central-1: Secrets Manager cannot be reach" in said


@pytest.mark.parametrize(("wait", "reads"), [("30s", 4), ("0s", 1), ("9s", 1), ("10s", 2)])
async def test_but_not_for_ever(tmp_path: Path, wait: str, reads: int) -> None:
    b = Bench(tmp_path, LATE, wait=wait)
    starting = await b.begin()
    for number in range(2, reads + 1):
        await b.clock.turn(10)
        await b.read(number, starting)
    with pytest.raises(SecretsUnavailable, match="cannot be reached"):
        await starting
    assert b.reads == reads


@pytest.mark.parametrize(
    "state", [Unread("not_found", "there is no such secret", passing=False), text("")], ids=["missing", "empty"]
)
async def test_what_waiting_cannot_mend_is_told_at_once(tmp_path: Path, state: Held | Unread) -> None:
    b = Bench(tmp_path, state)
    with pytest.raises(ConfigError) as caught:
        await b.loader.load_patiently(b.stop)
    assert caught.value.exit_code == 2
    assert b.reads == 1


@pytest.mark.parametrize("during", ["reading", "pause"])
async def test_a_signal_ends_the_waiting(tmp_path: Path, during: str) -> None:
    b = Bench(tmp_path, LATE)
    if during == "reading":
        starting = asyncio.ensure_future(b.loader.load_patiently(b.stop))
        await settle(1)
    else:
        starting = await b.begin()
    b.stop.set()
    assert await asyncio.wait_for(starting, 20) is None


async def test_lines_look_as_configured_while_it_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b = Bench(tmp_path, LATE, wait="0s")
    b.file.write_text(b.file.read_text() + "log: {format: json}\n")
    try:
        with pytest.raises(SecretsUnavailable):
            await b.loader.load_patiently(b.stop)
    finally:
        log.configure()
    assert '"event": "secret_read_failed"' in capsys.readouterr().err


async def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    b = Bench(tmp_path, text("abc"))
    number = iter(range(100))
    load = b.load

    def changing(secrets: Secrets) -> Loaded:
        b.write(f"orders-{next(number)}")
        return load(secrets)

    loader = Loader(changing, b.store, b.clock)
    with pytest.raises(Exception, match="have to be read first"):
        await loader.load()
    assert b.reads == 1


def test_once_for_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SecretRef] = []

    def read(_: Reader, refs: Mapping[SecretRef, Held | None]) -> dict[SecretRef, Held | Unread]:
        asked.extend(refs)
        return dict.fromkeys(refs, text("abc"))

    monkeypatch.setattr(Reader, "read", read)
    b = Bench.__new__(Bench)
    b.folder, b.wait = tmp_path, "30s"
    b.write("orders")
    assert secret_of(load_once(b.load)) == "abc"
    assert asked == [ORDERS]
    write(tmp_path, {"upstreams": {"orders": upstream(auth__client_id="id", auth__client_secret="literal")}})
    assert secret_of(load_once(b.load)) == "literal"
    assert asked == [ORDERS]
