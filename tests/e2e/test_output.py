"""A sidecar whose standard output and error nobody takes: it serves on, and says later what was lost."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.world import World, until, world
from tests.processes import StartSidecar

ACCESS = {"log": {"access": True, "format": "json"}}
LONG = "/" + "x" * 1500
"""A path whose lines soon fill any pipe."""
ROOM = 50_000
"""Bytes; fewer than a hundred such lines, and the last of them is cut."""


async def burst(w: World, count: int) -> None:
    """So many requests on one connection, all of them answered."""
    host, port = w.sidecar.url("http").removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    # Not allowed, so that neither the emulator nor its signatures take part.
    writer.write(f"TRACE {LONG} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * count)
    for _ in range(count):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 ")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length
        await reader.readexactly(int(length[1]))
    writer.close()


async def dropped(w: World) -> int:
    _, metrics = await w.page("/metrics")
    return next(
        int(float(line.split()[1]))
        for line in metrics.splitlines()
        if line.startswith("cognito_sidecar_log_lines_dropped_total ")
    )


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with suppress(OSError):
            os.close(descriptor)


async def test_a_pipe_that_nobody_reads_keeps_no_caller_waiting(
    sidecar_process: StartSidecar, tmp_path: Path, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    async with world(sidecar_process, tmp_path, top=ACCESS, output=writer) as w:
        os.close(writer)
        await burst(w, 6000)
        lost = await dropped(w)
        assert 2000 < lost < 6000
        assert (await w.get())[0] == 200

        # The reader is back.
        lines = asyncio.StreamReader(limit=1 << 20)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(reader, "rb"))
        requests = 0
        async with asyncio.timeout(20):
            while b'"log_lines_lost"' not in (line := await lines.readline()):
                requests += LONG.encode() in line
        told = json.loads(line)
        assert told["count"] == await dropped(w)
        assert told["level"] == "error"
        assert requests + told["count"] in (6000, 6001), "each line is there or counted"
        assert (await w.get())[0] == 200
        assert json.loads(await lines.readline())["path"] == "/"
        w.sidecar.send(signal.SIGTERM)
        assert b"drained" in await lines.read()
        assert await w.sidecar.ended() == 0


async def test_a_reader_that_has_stopped_does_not_hold_up_the_end(
    sidecar_process: StartSidecar, tmp_path: Path, pipe: tuple[int, int]
) -> None:
    async with world(sidecar_process, tmp_path, top=ACCESS, output=pipe[1]) as w:
        await burst(w, 6000)
        w.sidecar.send(signal.SIGTERM)
        assert await w.sidecar.ended() == 0


async def test_a_full_disk_is_no_reason_to_stop_and_is_told_of_when_it_has_room(
    sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    """A limit on the size of its files stands for the disk: beyond it a write fails, in the middle of a line too."""
    log = tmp_path / "log"
    with log.open("ab") as file:
        async with world(sidecar_process, tmp_path, top=ACCESS, output=file.fileno()) as w:
            resource.prlimit(w.sidecar.pid, resource.RLIMIT_FSIZE, (ROOM, ROOM))
            await burst(w, 100)
            assert (await w.get())[0] == 200

            async def full() -> bool:
                return await dropped(w) > 0

            await until(full)
            os.truncate(log, 0)

            async def written() -> bool:
                return (await w.get())[0] == 200 and log.read_text().endswith("\n")

            await until(written)
            first, *_, last = (json.loads(line) for line in log.read_text().strip().splitlines())
            assert first["event"] == "log_lines_lost"
            assert 0 < first["count"] <= await dropped(w)
            assert (last["event"], last["path"]) == ("request", "/")
