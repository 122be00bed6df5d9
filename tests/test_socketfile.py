"""Who may connect to a unix socket: never more than was asked for, from its first moment on."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from proxy.socketfile import Access, SocketFile, make
from tests.processes import lacking

OWN = os.geteuid(), os.getegid()
NOTHING_ASKED = Access()
ANOTHER_GROUP = next((group for group in os.getgroups() if group != OWN[1]), OWN[1] if OWN[0] else 54321)
"""One that this process may give a file to."""


@contextmanager
def _made(path: Path, access: Access = NOTHING_ASKED) -> Iterator[SocketFile]:
    sock, file = make(str(path), access)
    with sock:
        yield file
    file.remove()


def _state(path: Path) -> tuple[str, int, int]:
    found = path.lstat()
    return f"{stat.S_IMODE(found.st_mode):04o}", found.st_uid, found.st_gid


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
@pytest.mark.parametrize(
    ("access", "mode"),
    [
        (Access(), "0600"),
        (Access(group=ANOTHER_GROUP), "0660"),
        (Access(mode=0o666), "0666"),
        (Access(mode=0o640, group=ANOTHER_GROUP), "0640"),
        (Access(mode=0o770, owner=OWN[0]), "0770"),
    ],
)
def test_the_mode_is_as_asked_whatever_the_umask(umask: int, access: Access, mode: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    before = os.umask(umask)
    try:
        with _made(path, access):
            assert _state(path) == (mode, OWN[0], access.group or OWN[1])
        assert os.umask(umask) == umask, "it is as it was"
    finally:
        os.umask(before)


def test_it_does_not_listen_yet(tmp_path: Path) -> None:
    with _made(tmp_path / "s", Access(mode=0o666)), socket.socket(socket.AF_UNIX) as caller:
        with pytest.raises(ConnectionRefusedError):
            caller.connect(str(tmp_path / "s"))


def test_nobody_ever_sees_it_wider(tmp_path: Path) -> None:
    """Somebody looks again and again while sockets come, change and go."""
    path, done = tmp_path / "s", threading.Event()
    seen: set[tuple[str, int, int]] = set()

    def look() -> None:
        while not done.is_set():
            with suppress(FileNotFoundError):
                seen.add(_state(path))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(100):
            with _made(path, Access(mode=0o620, group=ANOTHER_GROUP)) as file:
                file.permit(Access(mode=0o602 if number % 2 else 0o660))
    finally:
        done.set()
        looking.join()
    assert {mode for mode, _, _ in seen} <= {"0000", "0600", "0602", "0620", "0660"}
    if OWN[1] != ANOTHER_GROUP:
        assert {mode for mode, _, group in seen if group == ANOTHER_GROUP} <= {"0000", "0600", "0620"}


class Steps:
    """What the file is like before each change that the system is asked for."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, refuse: bool = False) -> None:
        self.seen: list[tuple[str, int, int]] = []
        chmod, chown = os.chmod, os.chown

        def noted_chmod(place: str, mode: int) -> None:
            self.seen.append(_state(path))
            chmod(place, mode)

        def noted_chown(place: str, owner: int, group: int) -> None:
            self.seen.append(_state(path))
            if refuse:
                raise PermissionError(1, "Operation not permitted")
            chown(place, owner, group)

        monkeypatch.setattr(os, "chmod", noted_chmod)
        monkeypatch.setattr(os, "chown", noted_chown)


def test_nobody_may_connect_before_owner_and_group_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    steps = Steps(path, monkeypatch)
    with _made(path, Access(0o666, OWN[0], ANOTHER_GROUP)):
        assert _state(path) == ("0666", OWN[0], ANOTHER_GROUP)
    assert {mode for mode, _, _ in steps.seen} == {"0000"}
    assert steps.seen[-1] == ("0000", OWN[0], ANOTHER_GROUP)


def test_between_two_permissions_only_what_both_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if OWN[1] == ANOTHER_GROUP:
        lacking("this process is a member of no second group")
    path = tmp_path / "s"
    with _made(path, Access(mode=0o620)) as file:
        steps = Steps(path, monkeypatch)
        file.permit(Access(mode=0o606, group=ANOTHER_GROUP))
        assert _state(path) == ("0606", OWN[0], ANOTHER_GROUP)
    assert steps.seen[1:] == [("0600", *OWN), ("0600", OWN[0], ANOTHER_GROUP)]


def test_what_is_no_longer_asked_for_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with _made(path) as file:
        born = _state(path)
        file.permit(Access(0o666, OWN[0], ANOTHER_GROUP))
        file.permit(Access())
        assert _state(path) == born


def test_a_change_that_is_refused_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    with _made(path, Access(mode=0o620)) as file:
        before = _state(path)
        Steps(path, monkeypatch, refuse=True)
        with pytest.raises(PermissionError):
            file.permit(Access(mode=0o666, group=OWN[1] + 1))
        assert _state(path) == before
        file.permit(Access(mode=0o620))  # Nothing to change: nobody is asked.


def test_one_that_cannot_be_made_as_asked_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    Steps(path, monkeypatch, refuse=True)
    with pytest.raises(PermissionError):
        make(str(path), Access(group=OWN[1] + 1))
    assert not path.exists()


@pytest.mark.parametrize("other", ["link", "socket"])
def test_a_file_put_in_its_place_is_not_touched(other: str, tmp_path: Path) -> None:
    """Whoever may write to the folder could have root give away any file, if it went by the name alone."""
    path, precious = tmp_path / "s", tmp_path / "precious"
    precious.write_text("data")
    precious.chmod(0o600)
    with _made(path) as file:
        path.unlink()
        if other == "link":
            path.symlink_to(precious)
        else:
            with socket.socket(socket.AF_UNIX) as successor:
                successor.bind(str(path))
        before = _state(path)
        with pytest.raises(FileNotFoundError):
            file.permit(Access(mode=0o666))
        assert (_state(path), _state(precious)) == (before, ("0600", *OWN))
    assert path.is_symlink() or path.is_socket(), "it is not removed either"


def test_a_file_put_in_its_place_at_once_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, precious = tmp_path / "s", tmp_path / "precious"
    precious.write_text("data")
    precious.chmod(0o600)

    class Raced(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            path.unlink()
            path.symlink_to(precious)

    monkeypatch.setattr(socket, "socket", Raced)
    with pytest.raises(OSError, match="not supported"):
        make(str(path), Access(mode=0o666))
    assert _state(precious) == ("0600", *OWN)


def test_a_stale_one_is_replaced_by_one_with_its_own_permissions(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.chmod(0o777)
    with _made(path, Access(mode=0o620, group=ANOTHER_GROUP)):
        assert _state(path) == ("0620", OWN[0], ANOTHER_GROUP)


def test_one_in_use_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        path.chmod(0o640)
        with pytest.raises(OSError, match="in use"):
            make(str(path), Access(mode=0o666, group=ANOTHER_GROUP))
        assert _state(path) == ("0640", *OWN)
