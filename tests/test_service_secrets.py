"""Secrets in Secrets Manager, in a running sidecar: read on time, when refused, on SIGHUP; kept when they cannot be."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from proxy import log
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, Unread
from proxy.errors import ConfigError, SecretsUnavailable
from tests.fakes import settle
from tests.forward.rig import until
from tests.serving import World, events, serving, within, world

FAILED = Unread("connection", "Secrets Manager cannot be reached", passing=True)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    yield
    log.configure()


def version(current: str, previous: str | None = None) -> Held:
    return Held(Value(current), None if previous is None else Value(previous), f"version of {current}")


def manage(w: World) -> None:
    """The client secret of `orders` is in Secrets Manager, and only there."""
    w.manager["orders"] = version("s1")
    w.config["upstreams"]["orders"] = w.upstream(auth={"client_secret": {"secrets_manager": "orders"}})


async def read(w: World) -> None:
    """What the present reading brings has been taken over, by a task of its own where it is a change."""
    await until(lambda: not w.service._secrets._reading.locked())
    await settle()
    await until(lambda: not w.service._reloading.locked())


async def seconds_until_read(w: World, most: int) -> int:
    """Turn the clock until Secrets Manager is asked, at most so long; after how many seconds that was."""
    calls = w.manager_calls
    for seconds in range(1, most + 1):
        await w.clock.turn(1.0)
        if w.service._secrets._reading.locked():
            await until(lambda: w.manager_calls > calls)
            await read(w)
        if w.manager_calls > calls:
            return seconds
    raise AssertionError(f"not within {most} s")


async def test_it_is_read_before_anything_is_served(tmp_path: Path) -> None:
    async with serving(tmp_path, manage) as w:
        assert w.endpoint.asked == ["s1"]
        assert w.manager_calls == 1
        told = json.loads((await w.page("/status")).body)
        assert [(one["secrets_manager"], one["failing"]) for one in told["secrets"]] == [("orders", False)]
        assert 'secret_reads_total{result="success"} 1.0' in (await w.page("/metrics")).body


async def test_it_is_read_again_on_an_interval(tmp_path: Path) -> None:
    async with serving(tmp_path, manage) as w:
        w.manager["orders"] = version("s2", "s1")
        w.endpoint.good = {"s2"}
        assert 270 <= await seconds_until_read(w, 331) <= 331
        assert w.views["orders"].token.secret == "2 of 2", "the old one is what worked so far"
        assert dict(w.service.reloads) == {"success": 1}
        assert w.endpoint.asked == ["s1"], "a token that is good is kept"
        assert (await w.get()).body == "/ tok.1"
        # The new one is in the first place, so that it is tried first.
        await w.clock.turn(2700)
        await until(lambda: len(w.endpoint.asked) > 1)
        assert w.endpoint.asked == ["s1", "s2"]


async def test_an_interval_without_a_change_is_no_reload(tmp_path: Path) -> None:
    async with serving(tmp_path, manage) as w:
        await seconds_until_read(w, 331)
        assert dict(w.service.reloads) == {}


async def test_it_is_read_at_once_when_it_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, manage) as w:
        w.endpoint.good = {"s2"}
        await w.service.start()
        await until(lambda: w.endpoint.asked == ["s1"])
        w.manager["orders"] = version("s2", "s1")
        assert await seconds_until_read(w, 12) == 10, "never twice within ten seconds"
        # And with the new one the token is fetched at once, not after the pause that follows invalid_client.
        await until(lambda: w.endpoint.asked == ["s1", "s2"])
        await w.has_tokens()


async def test_a_secret_that_works_beside_one_that_does_not_is_a_reason_too(tmp_path: Path) -> None:
    def prepare(w: World) -> None:
        manage(w)
        w.manager["orders"] = version("s9", "s1")

    async with serving(tmp_path, prepare) as w:
        assert w.endpoint.asked == ["s9", "s1"]
        assert await seconds_until_read(w, 12) == 10


async def test_it_is_read_on_sighup(tmp_path: Path) -> None:
    async with serving(tmp_path, manage) as w:
        w.manager["orders"] = version("s2", "s1")
        await w.clock.turn(20)
        await w.service.reload("SIGHUP")
        assert await seconds_until_read(w, 1) == 1
        assert w.views["orders"].token.secret == "2 of 2"
        assert dict(w.service.reloads) == {"success": 2}


async def test_what_cannot_be_read_is_kept_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path, manage) as w:
        w.manager["orders"] = FAILED
        await seconds_until_read(w, 331)
        assert dict(w.service.reloads) == {}
        assert "secret_reads_failing 1.0" in (await w.page("/metrics")).body
        told = json.loads((await w.page("/status")).body)["secrets"][0]
        assert (told["failing"], told["last_error"]["reason"]) == (True, "connection")
        assert "Secrets Manager cannot be read" in (await w.page("/")).body
        assert (await w.get()).body == "/ tok.1"
        [line] = events(capsys.readouterr().err, "secret_read_failed")
        assert (line["secret"], line["reason"], line["kept"]) == ("orders", "connection", True)
        # A reload for another reason loads with what is held, and does not ask again.
        w.config["upstreams"]["orders"]["prefix"] = "/api"
        w.write()
        await w.look()
        assert dict(w.service.reloads) == {"success": 1}
        assert w.manager_calls == 2


async def test_a_new_version_that_cannot_be_used_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path, manage) as w:
        before = w.service.config_hash
        w.manager["orders"] = Held(Value('{"secret": "s2"}'), None, "v2")
        await seconds_until_read(w, 331)
        assert w.service.config_hash == before
        assert (await w.get()).body == "/ tok.1"
        assert "is a JSON object: say with key: which member is meant" in (w.service.last_reload_error or "")
        # Mended there, and noticed at the next reading.
        w.manager["orders"] = Held(Value("s2"), None, "v3")
        await seconds_until_read(w, 331)
        assert w.service.last_reload_error is None
        assert "s2" not in capsys.readouterr().err


async def test_a_reload_that_needs_a_secret_that_is_not_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        w.manager["orders"] = FAILED
        w.config["upstreams"]["orders"] = w.upstream(auth={"client_secret": {"secrets_manager": "orders"}})
        assert not await w.reload()
        assert "secret orders: Secrets Manager cannot be reached" in (w.service.last_reload_error or "")
        assert (await w.get()).body == "/ tok.1"
        # It is not asked for with every look at the files, and taken as soon as it can be read.
        w.manager["orders"] = version("other")
        assert await seconds_until_read(w, 20) >= 10
        assert w.service.last_reload_error is None
        assert (await w.page("/status")).body.count('"secrets_manager": "orders"') == 1


@pytest.mark.parametrize(
    ("state", "kind"), [(FAILED, SecretsUnavailable), (FAILED._replace(passing=False), ConfigError)]
)
async def test_a_start_that_fails_opens_nothing(tmp_path: Path, state: Unread, kind: type[ConfigError]) -> None:
    def prepare(w: World) -> None:
        manage(w)
        w.manager["orders"] = state
        w.config["secrets_manager"] = {"wait": "0s"}

    async with world(tmp_path, prepare) as w:
        with pytest.raises(ConfigError) as caught:
            await w.service.start()
        assert type(caught.value) is kind
        assert not w.service.started


async def test_a_start_that_is_told_to_stop(tmp_path: Path) -> None:
    def prepare(w: World) -> None:
        manage(w)
        w.manager["orders"] = FAILED

    async with world(tmp_path, prepare) as w:
        stop = asyncio.Event()
        starting = asyncio.ensure_future(w.service.start(stop))
        await until(lambda: w.manager_calls == 1)
        stop.set()
        assert await starting is False
        assert not w.service.started


async def test_a_drain_does_not_wait_for_secrets_manager(tmp_path: Path) -> None:
    hangs, called = threading.Event(), threading.Event()

    def prepare(w: World) -> None:
        w.manager["orders"] = version("other")

    async with serving(tmp_path, prepare) as w:
        read_secrets = w._read_secrets

        def hang(asked: Mapping[SecretRef, Held | None]) -> dict[SecretRef, Held | Unread]:
            called.set()
            hangs.wait(20)
            return read_secrets(asked)

        w.service._secrets._read_all = hang
        w.config["upstreams"]["orders"] = w.upstream(auth={"client_secret": {"secrets_manager": "orders"}})
        reloading = asyncio.ensure_future(w.reload())
        try:
            await until(called.is_set)
            await within(w.service.drain())
            assert await within(reloading) is False
        finally:
            hangs.set()
