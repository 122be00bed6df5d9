"""The link: what passes, what it notes of that, and each way in which it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from tests.forward.rig import Wire, until, within
from tests.processes import free_port
from trials.chaos.link import Link

ASKED = b"PUT /dev/sized/a.1?size=5&seconds=0 HTTP/1.1\r\nHost: x\r\n\r\n"
AGAIN = b"GET /dev/sized/a.2?size=5&seconds=0 HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class _Bed:
    """A link with both ends in hand."""

    def __init__(self, link: Link, came: asyncio.Queue[Wire]) -> None:
        self.link = link
        self.wires: list[Wire] = []
        self._came = came

    async def near(self, link: Link) -> Wire:
        """The sidecar's end of a new connection."""
        self.wires.append(Wire(*await asyncio.open_connection("127.0.0.1", link.port)))
        return self.wires[-1]

    async def connect(self) -> tuple[Wire, Wire]:
        """The sidecar's end and the peer's."""
        near = await self.near(self.link)
        self.wires.append(await within(self._came.get()))
        return near, self.wires[-1]


@pytest.fixture
async def bed() -> AsyncIterator[_Bed]:
    came: asyncio.Queue[Wire] = asyncio.Queue()
    server = await asyncio.start_server(lambda *ends: came.put_nowait(Wire(*ends)), "127.0.0.1", 0)
    link = Link(free_port(), server.sockets[0].getsockname()[1])
    await link.open()
    made = _Bed(link, came)
    yield made
    for wire in made.wires:
        await wire.closed()
    await link.close()
    server.close()


async def test_bytes_and_ends_pass_both_ways(bed: _Bed) -> None:
    near, far = await bed.connect()
    near.send(b"there")
    assert await far.take(5) == b"there"
    far.send(b"back")
    assert await near.take(4) == b"back"
    near.end()
    assert await far.rest() == b""
    far.send(b"later")
    far.end()
    assert await near.rest() == b"later"


async def test_each_request_and_what_came_back_of_its_answer_is_noted(bed: _Bed) -> None:
    near, far = await bed.connect()
    near.send(ASKED)
    await far.head()
    far.send(ANSWER[:20])
    await near.take(20)
    [first] = bed.link.passages
    assert (first.id, first.method, first.nth, first.returned, first.status) == ("a.1", "PUT", 1, 20, 200)
    far.send(ANSWER[20:])
    await near.take(len(ANSWER) - 20)
    near.send(AGAIN)
    await far.head()
    first, second = bed.link.passages
    assert (first.returned, first.torn) == (len(ANSWER), False)
    assert (second.id, second.nth, second.returned, second.status) == ("a.2", 2, 0, 0)


async def test_a_head_is_found_in_pieces_and_after_bytes_that_look_like_one(bed: _Bed) -> None:
    near, far = await bed.connect()
    near.send(b"0123H" + ASKED[:30])
    await far.take(35)
    near.send(ASKED[30:] + b"body ends with H" + AGAIN)
    await far.until(AGAIN)
    assert [(one.id, one.method) for one in bed.link.passages] == [("a.1", "PUT"), ("a.2", "GET")]


async def test_what_is_no_ask_is_not_noted(bed: _Bed) -> None:
    near, far = await bed.connect()
    near.send(b"GET /readyz HTTP/1.1\r\n\r\n")
    await far.head()
    far.send(ANSWER)
    await near.take(len(ANSWER))
    assert bed.link.passages == []


async def test_a_stalled_link_holds_everything_until_it_flows(bed: _Bed) -> None:
    near, far = await bed.connect()
    bed.link.stall()
    near.send(ASKED)
    # The head has left the sidecar, and is on its way.
    await until(lambda: bed.link.passages)
    bed.link.delay(0.01)
    bed.link.flow()
    assert await far.head() == ASKED


@pytest.mark.parametrize("after", [0, 1, 30])
async def test_a_cut_comes_after_so_many_bytes(bed: _Bed, after: int) -> None:
    near, far = await bed.connect()
    near.send(ASKED)
    await far.head()
    bed.link.cut(lambda: after)
    far.send(ANSWER)
    assert await near.rest() == ANSWER[:after]
    await far.gone()
    assert bed.link.passages[0].returned == after
    bed.link.cut(None)
    near, far = await bed.connect()
    far.send(ANSWER)
    assert await near.take(len(ANSWER)) == ANSWER


async def test_a_reset_is_seen_at_both_ends_and_noted(bed: _Bed) -> None:
    near, far = await bed.connect()
    near.send(ASKED)
    await far.head()
    assert bed.link.reset(1.0, Random(1)) == 1
    for wire in (near, far):
        with pytest.raises(ConnectionResetError):
            await wire.rest()
    assert bed.link.passages[0].torn


async def test_a_link_that_is_shut_accepts_nobody_and_keeps_who_is_there(bed: _Bed) -> None:
    near, far = await bed.connect()
    bed.link.shut()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", bed.link.port)
    near.send(b"still")
    assert await far.take(5) == b"still"
    await bed.link.open()
    await bed.connect()


async def test_a_peer_that_is_not_there_is_a_connection_that_ends(bed: _Bed) -> None:
    link = Link(free_port(), free_port())
    await link.open()
    near = await bed.near(link)
    await near.gone()
    await link.close()
