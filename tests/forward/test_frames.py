"""Where frames end, whatever way their bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from proxy.forward.frames import GOING_AWAY, Frames

SIZES = st.sampled_from([0, 1, 2, 125, 126, 127, 300, 0xFFFF, 0x10000, 0x10001])


def frame(opcode: Opcode = Opcode.TEXT, size: int = 0, *, fin: bool = True) -> bytes:
    """A frame as a server that nobody here wrote makes it."""
    return Frame(opcode, bytes(size), fin).serialize(mask=False)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    data = st.builds(frame, st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]), SIZES, fin=st.booleans())
    control = st.builds(frame, st.sampled_from([Opcode.PING, Opcode.PONG]), st.integers(0, 125))
    return draw(st.lists(data | control, min_size=1, max_size=6))


def message_ends(frames: list[bytes]) -> set[int]:
    """The same of messages: after control frames as after what stood before them."""
    found, at, last = {0}, 0, True
    for one in frames:
        at += len(one)
        if one[0] & 0x0F < 3:
            last = one[0] >= 0x80
        if last:
            found.add(at)
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at these places."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]


def ends(frames: list[bytes]) -> set[int]:
    """Where frames end, counted from the first byte of all; 0 for the beginning."""
    found = {0}
    for one in frames:
        found.add(max(found) + len(one))
    return found


@given(streams(), st.lists(st.integers(0, 1 << 20), max_size=12), st.booleans())
def test_any_cut(frames: list[bytes], places: list[int], bytewise_at_first: bool) -> None:
    data = b"".join(frames)
    if bytewise_at_first:
        places = [*range(12), *places]
    followed, at = Frames(), 0
    for piece in cut(data, places):
        followed.follow(piece)
        at += len(piece)
        assert followed.between == (at in ends(frames))
        assert followed.whole == (at in message_ends(frames))
    assert not followed.lost
    assert not followed.closed


def next_end(frames: list[bytes], told_at: int, places: list[int], *, whole: bool) -> int:
    """The end that is found from `told_at` on, of a message where `whole`, else of a frame."""
    data = b"".join(frames)
    followed = Frames()
    followed.follow(data[:told_at])
    at = told_at
    for piece in cut(data[told_at:], places):
        end = followed.end(memoryview(piece), whole=whole)
        if end is not None:
            return at + end
        at += len(piece)
    raise AssertionError("the last byte of all is an end")


@given(streams(), st.integers(0, 1 << 20), st.lists(st.integers(0, 1 << 20), max_size=6))
def test_the_next_end(frames: list[bytes], told_at: int, places: list[int]) -> None:
    """From any place on, the end that is found is the first one there is."""
    told_at %= sum(map(len, frames)) + 1
    assert next_end(frames, told_at, places, whole=False) == min(end for end in ends(frames) if end >= told_at)


@given(streams(), st.integers(0, 1 << 20), st.lists(st.integers(0, 1 << 20), max_size=6))
def test_the_next_end_of_a_message(frames: list[bytes], told_at: int, places: list[int]) -> None:
    frames = [*frames, frame(Opcode.CONT, 3)]
    told_at %= sum(map(len, frames)) + 1
    assert next_end(frames, told_at, places, whole=True) == min(end for end in message_ends(frames) if end >= told_at)


NO_FRAMES = {
    "a client's, masked": bytes.fromhex("8180 00000000"),
    "a client's, masked and long": bytes.fromhex("81fe 0080 00000000"),
    "an unknown opcode": bytes.fromhex("8300"),
    "an unknown control opcode": bytes.fromhex("8b00"),
    "a control frame in fragments": bytes.fromhex("0900"),
    "a long control frame": bytes.fromhex("897e 0080"),
    "a length in too many bytes": bytes.fromhex("817e 0005"),
    "a length in far too many bytes": bytes.fromhex("827f 000000000000ffff"),
    "a length below zero": bytes.fromhex("827f 8000000000000000"),
    "anything after a Close": frame(Opcode.CLOSE) + frame(),
    "something else altogether": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("data", NO_FRAMES.values(), ids=NO_FRAMES.keys())
@pytest.mark.parametrize("bytewise", [False, True])
def test_what_is_no_frame_has_no_end(data: bytes, bytewise: bool) -> None:
    frames = Frames()
    frames.follow(frame(size=3))
    for piece in cut(data, [*range(len(data))] if bytewise else []):
        frames.follow(piece)
    assert frames.lost
    frames.follow(frame())
    assert not frames.between
    assert frames.end(frame()) is None


def test_a_thousand_small_frames_at_once() -> None:
    frames = Frames()
    frames.follow(frame(size=20) * 3000 + frame(size=70_000) + frame(size=200) * 1000)
    assert frames.between


def test_far_more_and_smaller_ones_are_not_worth_the_time() -> None:
    frames = Frames()
    frames.follow(frame() * 100_000)
    assert frames.lost
    assert not frames.between


def test_extensions_and_fragments_are_frames_too() -> None:
    frames = Frames()
    frames.follow(b"\x41\x01x\x30\x00\x80\x02yz")  # Compressed, a reserved bit, the last fragment.
    assert frames.between


def test_a_close_frame_is_noticed_with_its_header() -> None:
    frames = Frames()
    frames.follow(frame(size=3))
    assert not frames.closed
    frames.follow(frame(Opcode.CLOSE, 2)[:2])
    assert (frames.closed, frames.between) == (True, False)
    assert frames.end(bytes(10)) == 2


def test_after_a_close_no_message_has_an_end_to_wait_for() -> None:
    frames = Frames()
    frames.follow(frame(Opcode.TEXT, 3, fin=False) + frame(Opcode.CLOSE, 2))
    assert frames.whole


def test_going_away_is_what_a_client_reads_from_it() -> None:
    client = Protocol(CLIENT)
    client.receive_data(GOING_AWAY)
    [received] = client.events_received()
    assert isinstance(received, Frame)
    assert Close.parse(received.data) == Close(1001, "")
