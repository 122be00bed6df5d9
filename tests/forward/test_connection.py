"""An upstream's connection by itself, over a transport that only takes notes: what sockets seldom do in order."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from proxy.forward.body import Piece
from proxy.forward.connection import Failure, UpstreamConnection
from proxy.forward.http1 import ResponseHead

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class _Transport:
    def __init__(self) -> None:
        self.written = b""
        self.calls: list[str] = []
        self.unsent = 0
        self.half_closes = True

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str) -> None:
        """There is no socket below."""

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


class _Owner:
    def __init__(self) -> None:
        self.events: list[str] = []

    def release(self, connection: UpstreamConnection) -> None:
        self.events.append("released")

    def lost(self, connection: UpstreamConnection) -> None:
        self.events.append("lost")


class _Sink:
    """An exchange that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.stalled_since = 7.0

    def give_way(self) -> None:
        self.told.append("give way")

    def interim_head(self, head: ResponseHead) -> None:
        self.told.append(("interim", head.status))

    def final_head(self, head: ResponseHead) -> None:
        self.told.append(("head", head.status))

    def whole_response(self, head: ResponseHead, content: bytes) -> None:
        self.told += [("head", head.status), content]
        self.response_end()

    def switched(self, head: ResponseHead) -> None:
        self.told.append("switched")

    def response_pieces(self, pieces: list[Piece]) -> None:
        self.told.append(b"".join(pieces))

    def response_end(self) -> None:
        self.told.append("end")

    def upstream_failed(self, failure: Failure, reason: str) -> None:
        self.told.append(("failed", failure))

    def upstream_slow(self) -> None:
        self.told.append("slow")

    def upstream_ready(self) -> None:
        self.told.append("ready")


class _Rig:
    """A connection in the middle of an exchange whose request was sent."""

    def __init__(self, method: bytes = b"GET") -> None:
        self.transport, self.owner, self.sink = _Transport(), _Owner(), _Sink()
        self.connection = UpstreamConnection(self.owner)
        self.connection.connection_made(cast(asyncio.BaseTransport, self.transport))
        self.connection.begin(self.sink, method, b"head")
        self.connection.request_sent = True

    @property
    def kept(self) -> bool:
        return self.owner.events == ["released"] and self.connection.usable


def test_a_clean_exchange_leaves_it_usable() -> None:
    rig = _Rig()
    assert rig.transport.written == b"head"
    rig.connection.data_received(OK + b"o")
    assert rig.sink.told == [("head", 200)]
    rig.connection.read_body()
    rig.connection.data_received(b"k")
    assert rig.sink.told == [("head", 200), b"o", b"k", "end"]
    assert rig.kept
    assert repr(rig.connection) == "<upstream connection idle #1>"


def test_it_is_given_back_before_the_exchange_hears_of_the_end() -> None:
    """So that the caller's next request, which may be here already, finds it."""
    rig = _Rig()
    seen: list[list[str]] = []
    rig.sink.response_end = lambda: seen.append([*rig.owner.events])  # type: ignore[method-assign]
    rig.connection.data_received(OK + b"ok")
    rig.connection.read_body()
    assert seen == [["released"]]


@pytest.mark.parametrize("discarded", [False, True])
@pytest.mark.parametrize(
    "unlike", ["request not sent", "bytes not taken", "close", "old version", "bytes after the end"]
)
def test_it_is_closed_after_anything_that_was_not_clean(unlike: str, discarded: bool) -> None:
    rig = _Rig()
    answer = OK + b"ok"
    match unlike:
        case "request not sent":
            rig.connection.request_sent = False
        case "bytes not taken":
            rig.transport.unsent = 1
        case "close":
            answer = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\nok")
        case "old version":
            answer = answer.replace(b"1.1", b"1.0")
        case _:
            answer += b"!"
    rig.connection.data_received(answer)
    if discarded:
        rig.connection.discard()
    else:
        rig.connection.read_body()
        assert rig.sink.told == [("head", 200), b"ok", "end"]
    assert rig.owner.events == []
    assert rig.transport.calls == ["abort"]
    assert not rig.connection.usable


def test_a_pause_does_not_outlive_its_exchange() -> None:
    rig = _Rig()
    rig.connection.data_received(OK)
    rig.connection.read_body()
    rig.sink.response_pieces = lambda pieces: rig.connection.pause_reading()  # type: ignore[method-assign]
    rig.connection.data_received(b"ok")
    assert rig.transport.calls == ["pause", "resume"]
    assert rig.kept


def test_pausing_twice_is_pausing_once() -> None:
    rig = _Rig()
    for _ in range(2):
        rig.connection.pause_reading()
    for _ in range(2):
        rig.connection.resume_reading()
    assert rig.transport.calls == ["pause", "resume"]


def test_a_body_that_nobody_reads_yet_is_held_then_makes_the_upstream_wait() -> None:
    rig = _Rig()
    rig.connection.data_received(b"HTTP/1.1 401 No\r\nContent-Length: 100000\r\n\r\n")
    rig.connection.data_received(b"x" * 40_000)
    assert rig.transport.calls == []
    rig.connection.data_received(b"y" * 40_000)
    assert rig.transport.calls == ["pause"]
    rig.connection.read_body()
    assert rig.transport.calls == ["pause", "resume"]
    assert rig.sink.told == [("head", 401), b"x" * 40_000 + b"y" * 40_000]


def test_an_answer_that_is_discarded_whole_leaves_it_usable() -> None:
    rig = _Rig()
    rig.connection.data_received(OK)
    rig.connection.pause_reading()
    rig.connection.data_received(b"ok")
    rig.connection.discard()
    assert rig.kept
    assert rig.transport.calls == ["pause", "resume"]


@pytest.mark.parametrize("rest", [b"", b"o"])
def test_an_answer_that_is_not_all_here_when_it_is_discarded(rest: bytes) -> None:
    rig = _Rig()
    rig.connection.data_received(OK + rest)
    rig.connection.discard()
    assert rig.transport.calls == ["abort"]
    rig.connection.data_received(b"ok")
    rig.connection.connection_lost(None)
    assert rig.sink.told == [("head", 200)]
    assert rig.owner.events == ["lost"]


@pytest.mark.parametrize("event", ["a byte", "the end"])
def test_an_idle_connection_that_hears_anything_is_not_usable_from_that_moment(event: str) -> None:
    rig = _Rig()
    rig.connection.data_received(OK + b"ok")
    rig.connection.read_body()
    assert rig.connection.usable
    if event == "a byte":
        rig.connection.data_received(b"H")
        assert rig.transport.calls == ["abort"]
    else:
        assert rig.connection.eof_received() is False  # The transport closes it a turn of the loop later.
    assert repr(rig.connection.usable) == "False"
    rig.connection.connection_lost(None)
    assert rig.owner.events == ["released", "lost"]


def test_back_pressure_is_told_to_whoever_sends() -> None:
    rig = _Rig()
    rig.connection.pause_writing()
    rig.connection.resume_writing()
    assert rig.sink.told == ["slow", "ready"]
    rig.connection.close()
    rig.connection.pause_writing()
    rig.connection.resume_writing()
    assert rig.sink.told == ["slow", "ready"]


@pytest.mark.parametrize(
    ("received", "failure"),
    [(b"", Failure.UNANSWERED), (b"H", Failure.CUT), (b"HTTP/1.1 103 Early\r\n\r\n", Failure.CUT)],
)
def test_whether_an_answer_had_begun_when_the_connection_was_lost(received: bytes, failure: Failure) -> None:
    rig = _Rig()
    if received:
        rig.connection.data_received(received)
    rig.connection.connection_lost(ConnectionResetError())
    assert rig.sink.told[-1] == ("failed", failure)
    assert rig.owner.events == ["lost"]


def test_a_new_exchange_forgets_what_the_last_one_heard() -> None:
    rig = _Rig()
    rig.connection.data_received(OK + b"ok")
    rig.connection.read_body()
    rig.connection.begin(rig.sink, b"GET", b"again")
    rig.connection.connection_lost(None)
    assert rig.sink.told[-1] == ("failed", Failure.UNANSWERED)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, [("head", 200), b"ab", "end"]),
        (ConnectionResetError(), [("head", 200), b"ab", ("failed", Failure.CUT)]),
    ],
)
def test_a_connection_lost_while_its_body_waited(error: Exception | None, told: list[object]) -> None:
    rig = _Rig()
    rig.connection.data_received(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab")
    rig.connection.connection_lost(error)
    assert rig.sink.told == [("head", 200)]
    rig.connection.read_body()
    assert rig.sink.told == told


def test_a_tunnel_takes_the_exchanges_place_with_what_came_with_the_101() -> None:
    rig, tunnel = _Rig(), _Sink()
    rig.sink.switched = lambda head: rig.connection.serve(tunnel)  # type: ignore[method-assign]
    rig.connection.data_received(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\nhi")
    rig.connection.data_received(b"!")
    assert rig.connection.eof_received() is True
    rig.connection.connection_lost(None)
    assert tunnel.told == [b"hi", b"!", "end", ("failed", Failure.CUT)]


@pytest.mark.parametrize(("half_closes", "does"), [(True, "write_eof"), (False, "close")])
def test_the_end_of_one_half_is_the_end_of_both_where_it_cannot_be_said(half_closes: bool, does: str) -> None:
    rig = _Rig()
    rig.transport.half_closes = half_closes
    rig.connection.data_received(b"HTTP/1.1 101 Yes\r\n\r\n")
    rig.connection.write_eof()
    assert rig.transport.calls == [does]
    assert rig.connection.eof_received() is half_closes


def test_calls_that_come_after_the_end_do_nothing() -> None:
    rig = _Rig()
    rig.connection.connection_lost(None)
    told = [*rig.sink.told]
    rig.connection.write(b"x")
    rig.connection.write_eof()
    rig.connection.close_when_sent()
    rig.connection.data_received(b"x")
    rig.connection.pause_reading()
    rig.connection.resume_reading()
    rig.connection.read_body()
    rig.connection.close()
    assert rig.sink.told == told
    assert rig.transport.calls == []


def test_an_exchange_that_leaves_while_heads_arrive() -> None:
    for said in (b"HTTP/1.1 103 Early\r\n\r\n", b"HTTP/1.1 101 Yes\r\n\r\nx", OK, b"\x00\r\n\r\n"):
        rig = _Rig()
        rig.connection._sink = None
        rig.connection.data_received(said)
        assert rig.sink.told == []
