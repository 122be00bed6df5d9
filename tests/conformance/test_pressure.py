"""Back-pressure where it is easily forgotten: a caller that sends requests and takes no answers fills no memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.forward.rig import GET, ONE_MIB, Rig, sidecar, until

pytestmark = pytest.mark.uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000
REQUESTS = 800
"""Their answers are more than the system keeps for both ends."""


async def _serve(rig: Rig) -> None:
    peer = await rig.origin.accept()
    with suppress(asyncio.IncompleteReadError):
        while True:
            await peer._reader.readuntil(b"\r\n\r\n")
            peer.send(ANSWER)


@pytest.mark.parametrize("ends", [False, True])
async def test_requests_of_a_caller_that_does_not_read_wait(ends: bool) -> None:
    async with sidecar() as rig:
        serving = asyncio.ensure_future(_serve(rig))
        caller = await rig.call()
        await until(rig.connections)
        caller._writer.transport.pause_reading()  # type: ignore[attr-defined]
        (connection,) = rig.connections()
        caller.send(GET * REQUESTS)
        if ends:
            caller.end()
        await until(lambda: not connection.writable)
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert sum(rig.stats.requests.values()) < REQUESTS
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < ONE_MIB
        # Once it reads, all of them are served.
        caller._writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await caller.take(REQUESTS * len(ANSWER)) == REQUESTS * ANSWER
        if ends:
            assert await caller.rest() == b""
        await caller.closed()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
