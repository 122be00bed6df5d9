"""The sidecar's life in one process: how it starts or does not, what it tells of itself, and when it is alive."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy import log
from proxy.admin import AdminServer
from proxy.config.model import Address
from proxy.errors import ConfigError, StartError
from proxy.tokens import TokenSource
from tests.forward.rig import until
from tests.processes import free_port
from tests.serving import Answer, World, ask, events, refuses, serving, world


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    yield
    log.configure()


def _other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.mark.uvloop
async def test_it_serves_with_a_token_after_its_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path) as w:
        answer = await w.get(path="/orders/7?open")

        assert (answer.status, answer.body) == (200, "/orders/7?open tok.1")
        assert w.service.started
        assert w.service.alive()
        assert (await w.page("/readyz")).status == 200
        [started] = events(capsys.readouterr().err, "started")
        assert (started["upstreams"], started["config_hash"]) == (1, w.service.config_hash)


async def test_a_broken_file_opens_nothing(tmp_path: Path) -> None:
    def prepare(w: World) -> None:
        w.config["upstreams"]["orders"]["listn"] = "127.0.0.1:0"

    async with world(tmp_path, prepare) as w:
        before = _other_tasks()
        with pytest.raises(ConfigError, match=r"listn: unknown key"):
            await w.service.start()

        assert _other_tasks() == before
        assert w.clock.timers == []
        assert not w.service.started
        assert w.service.upstreams() == []


@pytest.mark.parametrize("taken", ["listen", "admin", "second listen"])
@pytest.mark.uvloop
async def test_a_taken_port_opens_nothing(taken: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        free = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]

        def prepare(w: World) -> None:
            w.config["admin"]["listen"] = address if taken == "admin" else free[0]
            w.config["upstreams"]["orders"]["listen"] = address if taken == "listen" else free[1]
            if taken == "second listen":
                w.config["upstreams"]["more"] = w.upstream(listen=address)

        async with world(tmp_path, prepare) as w:
            before = _other_tasks()
            with pytest.raises(StartError, match=rf"{address}: address already in use"):
                await w.service.start()

            assert [await refuses(f"http://{one}") for one in free] == [True, True]
            assert w.clock.timers == []
            assert w.endpoint.asked == [], "no token is fetched for what cannot be served"
            await asyncio.gather(*(_other_tasks() - before))  # Nothing that would go on.


@pytest.mark.uvloop
async def test_whoever_gets_an_answer_of_the_admin_listener_finds_the_others_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = AdminServer.start
    refused: list[bool] = []
    pages: dict[str, Answer] = {}

    async def looked_at(self: AdminServer, address: Address) -> Address:
        refused.extend([await refuses(f"http://{one}") for one in listens])
        opened = await start(self, address)
        for path in ("/", "/status", "/metrics", "/livez", "/readyz", "/startupz"):
            pages[path] = await ask(f"http://{opened}", path)
        return opened

    monkeypatch.setattr(AdminServer, "start", looked_at)
    listens = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]

    def prepare(w: World) -> None:
        w.config["upstreams"]["orders"]["listen"] = listens[0]
        w.config["upstreams"]["more"] = w.upstream(listen=listens[1])

    async with world(tmp_path, prepare) as w:
        await w.service.start()

        assert refused == [False, False]
        statuses = {path: answer.status for path, answer in pages.items()}
        assert statuses == {"/": 200, "/status": 200, "/metrics": 200, "/livez": 200, "/readyz": 503, "/startupz": 503}
        assert json.loads(pages["/status"].body)["config_hash"] == ""
        await w.has_tokens()
        assert (await w.page("/startupz")).status == 200


async def test_it_is_alive_only_while_the_ticks_come(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        await w.clock.turn(5.0)
        assert w.service.alive()

        w.clock.monotonic += 29.0  # Time passes, and nothing turns.
        assert w.service.alive()
        w.clock.monotonic += 2.0
        assert not w.service.alive()
        assert (await w.page("/livez")).status == 503

        await w.clock.turn(1.0)
        assert w.service.alive()
        assert (await w.page("/livez")).status == 200


async def test_it_is_not_alive_when_a_renewal_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as w:
        monkeypatch.setattr(TokenSource, "alive", lambda _: False)

        assert not w.service.alive()


async def test_a_sleep_of_the_machine_is_noticed_at_the_next_tick(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        w.clock.sleep(10_000.0)  # Past the token's life by the wall clock; no timer of the source fires for it.
        assert not w.views["orders"].token.usable
        await w.clock.turn(1.0)
        await w.has_tokens()

        assert len(w.endpoint.asked) == 2
        assert (await w.get()).body == "/ tok.2"


@pytest.mark.parametrize(
    ("listen", "prefix", "local"),
    [
        ("127.0.0.1:{port}", "/", "http://127.0.0.1:{port}/"),
        ("127.0.0.1:{port}", "/api", "http://127.0.0.1:{port}/api"),
        ("localhost:{port}", "/", "http://localhost:{port}/"),
        ("unix:{folder}/s", "/", "unix:{folder}/s"),
        ("unix:{folder}/s", "/api", "unix:{folder}/s/api"),
    ],
)
async def test_where_callers_find_an_upstream(listen: str, prefix: str, local: str, tmp_path: Path) -> None:
    names = {"port": free_port(), "folder": tmp_path}
    listen = listen.format(**names)
    async with serving(tmp_path, lambda w: w.config["upstreams"]["orders"].update(listen=listen, prefix=prefix)) as w:
        view = w.views["orders"]

        assert (view.listen, view.local_url) == (listen, local.format(**names))
        assert w.service.addresses == [("orders", view.local_url, w.gateway.url)]
        assert (view.required, view.connections_idle, view.connections_busy) == (True, 0, 0)


async def test_port_0_is_told_as_the_port_it_became(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        assert w.views["orders"].listen == "127.0.0.1:0"
        assert not w.url().endswith(":0/")
        assert not w.service.admin_address.endswith(":0")


async def test_the_status_tells_of_callers_and_tasks(tmp_path: Path) -> None:
    def used(page: str) -> tuple[int, int]:
        process = json.loads(page)["process"]
        return process["caller_connections"], process["tasks"]

    async with serving(tmp_path) as w:
        callers, tasks = used((await w.page("/status")).body)
        assert callers == 0
        half = await w.half()
        assert used((await w.page("/status")).body)[0] == 1
        w.gateway.rest.set()
        await half.rest()
        half.close()
        await until(lambda: w.service.caller_connections == 0)
        waiting = [asyncio.ensure_future(asyncio.Event().wait()) for _ in range(3)]
        # One more or less: the connections that these pages are read from.
        assert abs(used((await w.page("/status")).body)[1] - tasks - 3) <= 1
        for each in waiting:
            each.cancel()


@pytest.mark.parametrize("access", [True, False])
async def test_the_access_log(access: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path, lambda w: w.config["log"].update(access=access)) as w:
        await w.get(path="/x?who=me")
        lines = events(capsys.readouterr().err, "request")

        assert [(line["upstream"], line["method"], line["path"], line["status"]) for line in lines] == [
            ("orders", "GET", "/x", 200)
        ] * access
        w.config["log"]["access"] = not access
        await w.reload()
        await w.get(path="/y")
        assert len(events(capsys.readouterr().err, "request")) == 1 - access


async def test_the_end_closes_everything_and_may_be_called_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        url, admin = w.url(), f"http://{w.service.admin_address}"
        await w.service.close()
        await w.service.close()

        assert [await refuses(url), await refuses(admin)] == [True, True]
        assert w.clock.timers == []
        assert w.service.draining
        assert not await w.service.reload("SIGHUP")


async def test_it_makes_its_own_clock_and_chance(tmp_path: Path) -> None:
    from proxy.service import Service

    async with world(tmp_path) as w:
        service = Service(w._load)
        try:
            await service.start()
            assert service.alive()
        finally:
            await service.close()
