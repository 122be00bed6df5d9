"""Who is at the other end of a unix socket, and whom that opens which upstream."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proxy.config.model import Address, GroupId, Peers, UserId
from proxy.forward import caller, peers
from proxy.forward.peers import NOBODY, Peer, check_peer, is_admitted, peer_of
from proxy.socketfile import Access
from tests.forward.rig import OK, Rig, Wire, refused, sidecar
from tests.processes import lacking

DENIED = "the caller's user is not let in: list it, or one of its groups, in `allow_peers`"


def allow(uids: tuple[int, ...] = (), gids: tuple[int, ...] = ()) -> Peers:
    return Peers(tuple(map(UserId, uids)), tuple(map(GroupId, gids)))


# ------------------------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("lists", "peer", "admitted"),
    [
        pytest.param(None, NOBODY, True, id="no list: everybody"),
        pytest.param(allow((1000,)), Peer(1000, frozenset((5,))), True, id="the user"),
        pytest.param(allow((1000,)), Peer(1001, frozenset((1000,))), False, id="a group is no user"),
        pytest.param(allow((), (7,)), Peer(1001, frozenset((5, 7))), True, id="one of its groups"),
        pytest.param(allow((), (7,)), Peer(7, frozenset((5,))), False, id="a user is no group"),
        pytest.param(allow((1000,), (7,)), Peer(1000, frozenset()), True, id="either will do: the user"),
        pytest.param(allow((1000,), (7,)), Peer(1, frozenset((7,))), True, id="either will do: the group"),
        pytest.param(allow((1000,), (7,)), Peer(0, frozenset((0,))), False, id="root is nobody special"),
        pytest.param(allow((1000,), (7,)), NOBODY, False, id="one that the system does not vouch for"),
    ],
)
def test_the_rule(lists: Peers | None, peer: Peer, admitted: bool) -> None:
    assert is_admitted(lists, peer) is admitted


def test_where_the_upstream_is_not_known_any_of_them_will_do() -> None:
    peer = Peer(1, frozenset())
    check_peer(peer, (allow((2,)), allow((1,))))
    check_peer(peer, (allow((2,)), None))
    with pytest.raises(Exception, match="allow_peers"):
        check_peer(peer, (allow((2,)), allow((3,))))


# ---------------------------------------------------------------------------------------------- what the system says


class Kernel:
    """A socket that says of its peer what a test wants."""

    def __init__(self, credentials: bytes | OSError, groups: bytes | OSError) -> None:
        self._answers = {socket.SO_PEERCRED: credentials, 59: groups}

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes:
        assert level == socket.SOL_SOCKET
        answer = self._answers[option]
        if isinstance(answer, OSError):
            raise answer
        return answer[:length]


def _ucred(uid: int, gid: int) -> bytes:
    return struct.pack("iII", 99, uid, gid)


def test_the_system_is_asked_for_user_and_all_groups() -> None:
    assert peer_of(Kernel(_ucred(3, 4), struct.pack("3I", 4, 5, 6))) == Peer(3, frozenset((4, 5, 6)))
    assert peer_of(Kernel(_ucred(2**32 - 2, 4), b"")) == Peer(2**32 - 2, frozenset((4,)))


@pytest.mark.parametrize("number", [errno.ENOPROTOOPT, errno.ERANGE])
def test_without_the_list_of_groups_the_first_one_counts(number: int) -> None:
    assert peer_of(Kernel(_ucred(3, 4), OSError(number, "no"))) == Peer(3, frozenset((4,)))


def test_where_the_list_has_another_number_it_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "machine", lambda: "sparc64")
    assert peer_of(Kernel(_ucred(3, 4), struct.pack("I", 5))) == Peer(3, frozenset((4,)))


def test_who_cannot_be_told_is_nobody() -> None:
    assert peer_of(None) is NOBODY
    assert peer_of(Kernel(OSError(errno.ENOPROTOOPT, "no"), b"")) is NOBODY
    assert peer_of(Kernel(b"\0\0", b"")) is NOBODY
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as connection:
        assert peer_of(connection) is NOBODY, "a TCP connection may be anybody's"


def test_a_connection_of_this_process_is_this_users() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_of(one) == Peer(os.geteuid(), frozenset((os.getegid(), *os.getgroups())))


@contextmanager
def user(uid: int, *gids: int) -> Iterator[None]:
    """Be somebody else for what the system is asked for within."""
    if os.geteuid():
        lacking("only root can be somebody else for a moment")
    before = os.getegid(), os.getgroups()
    os.setgroups(gids[1:])
    os.setegid(gids[0])
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[0])
        os.setgroups(before[1])


# ----------------------------------------------------------------------------------------------- on real connections


@pytest.fixture
def path() -> Iterator[Path]:
    """For a socket where every user can come by: pytest's own folders are this user's alone."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder, "s")


@asynccontextmanager
async def _restricted(path: Path, lists: Peers) -> AsyncIterator[Rig]:
    listen = Address("", 0, str(path), Access(mode=0o666))
    async with sidecar(listen=listen, allow_peers=lists) as rig:
        yield rig


def _get(target: str = "/") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: any\r\n\r\n".encode()


async def _answered(rig: Rig, caller: Wire, peer: Wire | None = None) -> Wire:
    """See one request through to the upstream and back; `peer` is the upstream's connection, where it has one."""
    peer = peer or await rig.origin.accept()
    await peer.head()
    peer.send(OK)
    assert (await caller.message()).endswith(b"ok")
    return peer


@pytest.mark.uvloop
async def test_this_user_is_let_in_by_uid_and_by_gid(path: Path) -> None:
    for lists in (allow((os.geteuid(),)), allow((), (os.getegid(),))):
        async with _restricted(path, lists) as rig:
            await _answered(rig, await rig.call(_get()))


@pytest.mark.uvloop
async def test_another_user_gets_a_403_and_is_counted(path: Path) -> None:
    async with _restricted(path, allow((os.geteuid() + 1,), (2**32 - 2,))) as rig:
        caller = await rig.call(_get())
        for _ in range(2):
            denied = refused(await caller.message())
            assert (denied.status, denied.name, denied.detail) == (403, "caller_denied", DENIED)
            caller.send(_get())
        assert rig.origin.wires == []
        await rig.settled()
    assert rig.stats.errors == {"caller_denied": 3}
    assert rig.stats.requests == {("GET", 403): 3}


async def test_the_token_and_the_upstream_are_not_asked_for_somebody_denied(path: Path) -> None:
    async with _restricted(path, allow((os.geteuid() + 1,))) as rig:
        caller = await rig.call(b"POST / HTTP/1.1\r\nHost: any\r\nContent-Length: 5\r\n\r\nhello")
        assert refused(await caller.message()).name == "caller_denied"
        assert rig.origin.wires == []


@pytest.fixture
def come_as(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The users of the connections to come, in their order: what a kernel would say of them."""
    users: list[int] = []

    def told(connection: object) -> Peer:
        assert connection is not None
        return Peer(users.pop(0), frozenset())

    monkeypatch.setattr(caller, "peer_of", told)
    return users


@pytest.mark.parametrize("allowed_first", [True, False])
@pytest.mark.parametrize("pipelined", [True, False])
async def test_what_was_decided_for_one_says_nothing_of_another(
    path: Path, come_as: list[int], allowed_first: bool, pipelined: bool
) -> None:
    """The same bytes from two users, on connections that stay: what is remembered of a head knows no user."""
    count = 3
    async with _restricted(path, allow((1,))) as rig:
        come_as += [1, 2] if allowed_first else [2, 1]
        callers = [await rig.call() for _ in come_as]
        peer: Wire | None = None
        for _ in range(2):
            for number, one in enumerate(callers):
                if pipelined:
                    one.send(_get("/same") * count)
                for _ in range(count):
                    if not pipelined:
                        one.send(_get("/same"))
                    if (number == 0) is allowed_first:
                        peer = await _answered(rig, one, peer)
                    else:
                        assert refused(await one.message()).name == "caller_denied"
        assert come_as == [], "the system is asked once for each connection"
        assert rig.stats.requests == {("GET", 200): 2 * count, ("GET", 403): 2 * count}


async def test_a_reload_is_in_force_on_connections_that_are_there(path: Path) -> None:
    async with _restricted(path, allow((os.geteuid(),))) as rig:
        caller = await rig.call(_get())
        peer = await _answered(rig, caller)
        caller.send(_get())
        await _answered(rig, caller, peer)
        rig.upstream.peers = allow((os.geteuid() + 1,))
        caller.send(_get())
        assert refused(await caller.message()).name == "caller_denied"


@pytest.mark.uvloop
async def test_two_users_and_a_group_on_one_real_socket(path: Path) -> None:
    async with _restricted(path, allow((1001,), (77,))) as rig:
        for uid, gids, admitted in (
            (1001, (5,), True),
            (1002, (5,), False),
            (1002, (77,), True),
            (1002, (5, 6, 77), True),
            (0, (0,), False),
        ):
            with user(uid, *gids):
                one = await rig.call()
            one.send(_get())
            if admitted:
                peer = await _answered(rig, one)
                peer.close()
                await rig.settled()
            else:
                assert refused(await one.message()).name == "caller_denied"
