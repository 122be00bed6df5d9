"""The end: unready at once, then what is under way may finish, then the rest is cut, visibly and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy import log
from proxy.assembly import Assembly
from proxy.config.model import Config
from tests.forward.rig import until
from tests.processes import free_port
from tests.serving import World, ask, events, refuses, serving, within


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    yield
    log.configure()


@pytest.mark.uvloop
async def test_with_nothing_under_way_it_ends_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path) as w:
        url = w.url()
        await within(w.service.drain())

        assert await refuses(url)
        assert (await w.page("/readyz")).status == 503
        assert (await w.page("/livez")).status == 200
        err = capsys.readouterr().err
        assert events(err, "drained")
        assert not events(err, "requests_cut")


@pytest.mark.uvloop
async def test_what_is_under_way_finishes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path) as w:
        half = await w.half()
        draining = asyncio.ensure_future(w.service.drain())
        await until(lambda: w.service.draining)
        ready = await w.page("/readyz")
        w.gateway.rest.set()
        rest, _ = await asyncio.gather(half.end(), within(draining))

        assert ready.status == 503
        assert rest == b"later"
        assert not events(capsys.readouterr().err, "requests_cut")


async def test_during_the_delay_it_is_unready_and_serves(tmp_path: Path) -> None:
    def prepare(w: World) -> None:
        w.config["shutdown"] = {"delay": "1h", "grace": "1h"}

    async with serving(tmp_path, prepare) as w:
        draining = asyncio.ensure_future(w.service.drain())
        await until(lambda: w.service.draining)

        assert (await w.page("/readyz")).status == 503
        assert (await w.get()).status == 200
        assert not draining.done()
        w.service.abort()
        await within(draining)
        assert await refuses(w.url())


async def test_the_delay_runs_out_by_itself(tmp_path: Path) -> None:
    def prepare(w: World) -> None:
        w.config["shutdown"] = {"delay": "20ms"}

    async with serving(tmp_path, prepare) as w:
        await within(w.service.drain())
        assert await refuses(w.url())


@pytest.mark.uvloop
@pytest.mark.parametrize("grace", ["0s", "30ms"])
async def test_what_does_not_finish_in_time_is_cut_and_counted(
    grace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(w: World) -> None:
        w.config["shutdown"] = {"grace": grace}

    async with serving(tmp_path, prepare) as w:
        halves = [await w.half() for _ in range(2)]
        await within(w.service.drain())

        assert [await half.end() for half in halves] == [b"", b""], "less than was announced: nobody takes it for whole"
        [line] = events(capsys.readouterr().err, "requests_cut")
        assert (line["count"], line["level"]) == (2, "warning")


async def test_a_hurry_cuts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path) as w:
        half = await w.half()
        draining = asyncio.ensure_future(w.service.drain())
        await until(lambda: w.service.draining)
        w.service.abort()
        await within(draining)

        assert await half.end() == b""
        assert events(capsys.readouterr().err, "requests_cut")[0]["count"] == 1


async def test_a_connection_that_stays_gets_a_refusal_and_its_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        half, other = await w.half(), await w.half()
        draining = asyncio.ensure_future(w.service.drain())
        await until(lambda: w.service.draining and all(one.draining for one in w.service._assembly.listeners))
        half._writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        w.gateway.rest.set()
        told, _, _ = await asyncio.gather(half.end(), other.end(), within(draining))

        assert told.startswith(b"later")
        assert told == b"later" or b"X-Sidecar-Error: shutting_down" in told


async def test_a_reload_while_draining_is_ignored(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        half = await w.half()
        draining = asyncio.ensure_future(w.service.drain())
        await until(lambda: w.service.draining)
        w.config["upstreams"]["orders"]["prefix"] = "/api"

        assert not await w.reload()
        await w.look()
        assert dict(w.service.reloads) == {}
        w.gateway.rest.set()
        await asyncio.gather(half.end(), within(draining))


async def test_requests_at_an_address_that_was_just_taken_away_are_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path) as w:
        half = await w.half()
        w.config["upstreams"]["orders"]["listen"] = f"127.0.0.1:{free_port()}"
        assert await w.reload()
        draining = asyncio.ensure_future(w.service.drain())
        await until(lambda: w.service.draining)
        await ask(f"http://{w.service.admin_address}", "/livez")  # Some turns of the loop, none of them its end.
        assert not draining.done()
        w.gateway.rest.set()
        rest, _ = await asyncio.gather(half.end(), within(draining))

        assert rest == b"later"
        assert not events(capsys.readouterr().err, "requests_cut")


async def test_requests_at_an_address_that_was_just_taken_away_are_cut_with_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path) as w:
        half = await w.half()
        w.config["upstreams"]["orders"]["listen"] = f"127.0.0.1:{free_port()}"
        w.config["shutdown"] = {"grace": "0s"}
        assert await w.reload()
        await within(w.service.drain())

        assert events(capsys.readouterr().err, "requests_cut")[0]["count"] == 1
        assert await half.end() == b""


async def test_a_reload_that_hangs_holds_up_neither_the_listeners_nor_the_end_of_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(w: World) -> None:
        w.config["shutdown"] = {"grace": "100ms"}

    async with serving(tmp_path, prepare) as w:
        arrived, go = asyncio.Event(), asyncio.Event()

        @asynccontextmanager
        async def hangs(_: Assembly, config: Config) -> AsyncIterator[None]:
            arrived.set()
            await go.wait()
            yield

        monkeypatch.setattr(Assembly, "change_to", hangs)
        half = await w.half()
        reloading = asyncio.ensure_future(w.reload())
        await arrived.wait()
        await within(w.service.drain())

        assert await refuses(w.url())
        assert await half.end() == b""
        assert events(capsys.readouterr().err, "requests_cut")[0]["count"] == 1
        go.set()
        await within(reloading)


@pytest.mark.parametrize("how", ["drain", "close"])
async def test_the_end_in_the_middle_of_a_reload_closes_what_that_opens(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as w:
        arrived, go = asyncio.Event(), asyncio.Event()
        change = Assembly.change_to

        @asynccontextmanager
        async def held(self: Assembly, config: Config) -> AsyncIterator[None]:
            arrived.set()
            await go.wait()
            async with change(self, config):
                yield

        monkeypatch.setattr(Assembly, "change_to", held)
        moved = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]
        w.config["upstreams"]["orders"]["listen"], w.config["admin"]["listen"] = moved
        reloading = asyncio.ensure_future(w.reload())
        await arrived.wait()
        waiting = asyncio.ensure_future(w.service.reload("SIGHUP"))
        ending = asyncio.ensure_future(w.service.drain() if how == "drain" else w.service.close())
        await until(lambda: w.service.draining)
        go.set()
        await within(reloading)
        await within(ending)

        assert await refuses(f"http://{moved[0]}")
        assert not await waiting, "the one after it is not begun"
        await w.service.close()
        assert await refuses(f"http://{moved[1]}")
