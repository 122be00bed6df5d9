"""A tunnel that is told to end: the caller hears it in the WebSocket's own words, between two frames or not at all."""

from __future__ import annotations

import pytest

from proxy.forward import tunnel
from proxy.forward.frames import GOING_AWAY
from tests.forward.rig import HANDSHAKE, ONE_MIB, Rig, Wire, sidecar, until

pytestmark = pytest.mark.uvloop

MESSAGE = b"\x81\x05hello"
CLOSE = b"\x88\x02\x03\xe8"
"""The upstream's own: status 1000."""
ANSWER = bytes.fromhex("8882 00000000 03e9")
"""The caller's, masked as all of its frames are."""


async def _passed(caller: Wire, peer: Wire, data: bytes) -> None:
    """The upstream says something, and the caller gets it."""
    peer.send(data)
    assert await caller.take(len(data)) == data


async def _goes(rig: Rig, caller: Wire, peer: Wire) -> None:
    """The caller answers as it should, and everything ends."""
    caller.send(ANSWER)
    caller.end()
    assert await peer.rest() == ANSWER
    peer.send(CLOSE)
    peer.end()
    await rig.settled()
    assert rig.stats.requests == {("GET", 101): 1}
    assert rig.listener.abort() == 0


@pytest.mark.parametrize("before", [b"", MESSAGE, MESSAGE + b"\x01\x01a", b"\x89\x00"])
async def test_between_two_frames_the_caller_is_told_at_once(before: bytes) -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        await _passed(caller, peer, before)
        rig.listener.send_away()
        assert await caller.rest() == GOING_AWAY
        peer.send(MESSAGE)
        await _goes(rig, caller, peer)


@pytest.mark.parametrize("more", [b"", MESSAGE, MESSAGE[:3]])
@pytest.mark.parametrize("cut_at", [1, 2, 4])
async def test_within_a_frame_the_caller_gets_the_rest_of_it_first(cut_at: int, more: bytes) -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel(late=MESSAGE)
        assert await caller.take(len(MESSAGE)) == MESSAGE
        await _passed(caller, peer, MESSAGE[:cut_at])
        rig.listener.send_away()
        await _passed(caller, peer, MESSAGE[cut_at:-1])
        peer.send(MESSAGE[-1:] + more)
        assert await caller.rest() == MESSAGE[-1:] + GOING_AWAY
        await _goes(rig, caller, peer)


async def test_a_message_in_fragments_comes_to_its_end_first() -> None:
    """Some clients take a Close among them for a protocol error, though RFC 6455 §5.4 allows it."""
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        await _passed(caller, peer, b"\x01\x01a")
        rig.listener.send_away()
        await _passed(caller, peer, b"\x00\x01b\x89\x00")
        peer.send(b"\x80\x01c" + MESSAGE)
        assert await caller.rest() == b"\x80\x01c" + GOING_AWAY
        await _goes(rig, caller, peer)


async def test_a_message_without_an_end_is_not_waited_for() -> None:
    more = b"\x00\x01b"
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        await _passed(caller, peer, b"\x01\x01a")
        rig.listener.send_away()
        peer.send(more)
        while (taken := await caller.take(len(more))) == more:
            peer.send(more)
        assert taken + await caller.rest() == GOING_AWAY
        await _goes(rig, caller, peer)


async def test_what_the_caller_still_has_to_say_reaches_the_upstream() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        rig.listener.send_away()
        assert await caller.rest() == GOING_AWAY
        last = bytes(8 * ONE_MIB)
        caller.send(last)
        assert await peer.take(len(last)) == last
        await _goes(rig, caller, peer)


async def test_bytes_that_are_no_frames_are_left_alone() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        await _passed(caller, peer, b"220 mail.example ESMTP\r\n")
        rig.listener.send_away()
        await _passed(caller, peer, b"250 OK\r\n")
        caller.send(b"QUIT\r\n")
        assert await peer.take(6) == b"QUIT\r\n"
        assert rig.listener.abort() == 1
        await caller.gone()


async def test_after_the_upstream_s_own_close_there_is_nothing_to_add() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        await _passed(caller, peer, CLOSE[:1])
        rig.listener.send_away()
        peer.send(CLOSE[1:])
        assert await caller.rest() == CLOSE[1:]
        await _goes(rig, caller, peer)


async def test_a_half_that_has_ended_is_told_nothing_more() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        peer.end()
        assert await caller.rest() == b""
        rig.listener.send_away()
        caller.send(b"goes on")
        assert await peer.take(7) == b"goes on"
        caller.end()
        await rig.settled()


async def test_a_caller_that_had_ended_its_half_is_told_all_the_same() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        caller.end()
        assert await peer.rest() == b""
        await _passed(caller, peer, MESSAGE)
        rig.listener.send_away()
        assert await caller.rest() == GOING_AWAY
        assert rig.stats.in_flight == 1
        peer.end()
        await rig.settled()


async def test_a_caller_that_does_not_go_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "FAREWELL_SECONDS", 0.1)
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        rig.listener.send_away()
        assert await caller.rest() == GOING_AWAY
        while rig.stats.in_flight:  # However much it still says.
            await caller.send_bytewise(b"x")
        await peer.gone()
        assert rig.listener.abort() == 0


async def test_an_upstream_that_is_gone_leaves_the_caller_its_time() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        rig.listener.send_away()
        peer.reset()
        await until(lambda: not rig.pool.busy)
        assert await caller.rest() == GOING_AWAY
        assert rig.stats.in_flight == 1
        caller.send(ANSWER)
        caller.end()
        await rig.settled()


async def test_a_caller_that_goes_at_once_takes_the_upstream_with_it() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        rig.listener.send_away()
        caller.reset()
        await peer.gone()
        await rig.settled()


async def test_a_slow_caller_gets_whole_frames_and_holds_up_no_upstream() -> None:
    async with sidecar() as rig:
        caller, peer = await rig.tunnel()
        frame = b"\x82\x7f" + ONE_MIB.to_bytes(8, "big") + bytes(ONE_MIB)
        peer.send(frame * 64)
        [busy] = rig.pool._busy
        await until(lambda: not busy._reading)
        rig.listener.send_away()
        received = await caller.rest()
        assert received == frame * (len(received) // len(frame)) + GOING_AWAY
        assert len(received) < 64 * len(frame)
        caller.send(ANSWER)
        caller.end()
        assert await peer.rest() == ANSWER
        await until(lambda: not peer.unsent)
        peer.end()
        await rig.settled()


async def test_a_handshake_that_was_under_way_opens_a_tunnel_that_ends_at_once() -> None:
    async with sidecar() as rig:
        caller, peer, _ = await rig.exchange(HANDSHAKE)
        await rig.listener.stop_accepting()
        rig.listener.send_away()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        assert (await caller.head()).startswith(b"HTTP/1.1 101 ")
        assert await caller.rest() == GOING_AWAY
        await _goes(rig, caller, peer)
