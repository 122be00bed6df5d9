"""Start, reload and end of a real process, with signals, while requests are under way."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.world import World, until, world
from tests.processes import StartSidecar, free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def download() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """An upstream whose one answer stops half-way until the event is set; its URL and the event."""
    rest = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        await rest.wait()
        writer.write(b"later")
        writer.close()
        served.set()

    served = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", rest
        rest.set()
        await served.wait()


async def began(w: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A caller that has received the first half."""
    port = int(w.sidecar.url("http").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\nfirst")
    return reader, writer


async def test_sigterm_in_the_middle_of_a_download_finishes_it(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with download() as (url, rest), world(sidecar_process, tmp_path, upstream={"url": url}) as w:
        reader, writer = await began(w)
        w.sidecar.send(signal.SIGTERM)
        await w.sidecar.printed("draining")

        async def refuses() -> bool:
            try:
                _, other = await asyncio.open_connection("127.0.0.1", int(w.sidecar.url("http").rpartition(":")[2]))
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                return False  # It stood in the queue of a listener that has just closed.
            other.close()
            return False

        await until(refuses)
        ready, why = await w.page("/readyz")
        assert ready == 503
        assert "draining" in why or "shutting down" in why
        rest.set()
        assert await reader.readexactly(5) == b"later"
        writer.close()
        assert await w.sidecar.ended() == 0
        assert "requests_cut" not in w.sidecar.output


async def test_what_does_not_finish_within_grace_is_cut_visibly(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    top = {"shutdown": {"grace": "300ms"}}
    async with download() as (url, _), world(sidecar_process, tmp_path, upstream={"url": url}, top=top) as w:
        reader, writer = await began(w)
        w.sidecar.send(signal.SIGTERM)
        try:
            rest = await reader.read()
        except ConnectionResetError:
            rest = b""
        writer.close()
        assert rest == b"", "five of the ten declared bytes: the caller sees that it was cut"
        assert await w.sidecar.ended() == 0
        assert "requests_cut" in w.sidecar.output


async def test_a_second_signal_ends_it_now(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with download() as (url, _), world(sidecar_process, tmp_path, upstream={"url": url}) as w:
        _, writer = await began(w)
        w.sidecar.send(signal.SIGTERM)
        await w.sidecar.printed("draining")
        w.sidecar.send(signal.SIGTERM)
        assert await w.sidecar.ended() == 0
        writer.close()


async def test_a_broken_reload_keeps_the_running_configuration(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path) as w:
        good = w.sidecar.config_file.read_text()
        token = (await w.status())["token_id"]
        w.sidecar.config_file.write_text(good + "no_such_key: 1\n")
        w.sidecar.send(signal.SIGHUP)
        line = await w.sidecar.printed("reload_failed")
        assert "no_such_key" in line
        assert (await w.get())[0] == 200
        assert 'config_reloads_total{result="failure"} 1.0' in (await w.page("/metrics"))[1]

        w.sidecar.config_file.write_text(good)
        await w.sidecar.printed('"reloaded"')
        assert (await w.status())["token_id"] == token, "an unchanged upstream keeps its token"
        assert w.emulator.token_calls == 1


@pytest.mark.parametrize("how", ["signal", "content"])
async def test_a_reload_moves_a_listener_and_keeps_the_token(
    how: str, sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    async with world(sidecar_process, tmp_path) as w:
        config = {**w.sidecar.config}
        old = w.sidecar.url("http")
        config["upstreams"] = {"http": {**config["upstreams"]["http"], "listen": f"127.0.0.1:{free_port()}"}}
        config["admin"] = {"listen": f"127.0.0.1:{free_port()}"}
        w.sidecar.rewrite(config)
        if how == "signal":
            w.sidecar.send(signal.SIGHUP)
        await w.sidecar.printed('"reloaded"')

        assert w.sidecar.url("http") != old
        assert (await w.get())[0] == 200
        assert (await w.page("/readyz"))[0] == 200
        assert w.emulator.token_calls == 1


async def test_a_reload_under_load_fails_no_request(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path) as w:
        going = True
        load = asyncio.ensure_future(w.load(lambda: going))
        for number in range(1, 6):
            config = {**w.sidecar.config}
            upstream = {**config["upstreams"]["http"], "replay_limit": number * 1000}
            config["upstreams"] = {"http": upstream}
            w.sidecar.rewrite(config)
            w.sidecar.send(signal.SIGHUP)
            await w.sidecar.printed('"reloaded"', times=number)
        going = False
        answers = await load
        assert {status for status, _ in answers} == {200}
        assert w.emulator.token_calls == 1
