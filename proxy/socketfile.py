"""The file of a unix socket: who may connect, from the moment it is there, and its removal.

Connecting takes write permission on the file (unix(7)). The file is made with no permission for anybody, gets its
owner and group next and its mode last, all of it before the socket listens; so it never admits more than was asked
for. The umask is what does that on every system: it belongs to the whole process, but it is held for one call of the
kernel, and what another thread made in that moment would be too narrow and not too wide. A private name to rename
from would need a longer path than the 107 bytes that a socket has, and would take the place of a socket that another
process has bound in the meantime.

A file that a dead process left is replaced; one that somebody listens on, or a file of another kind, never is, and
on the way out only the file that was made here is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator
from typing import NamedTuple


class Access(NamedTuple):
    """What a configuration says of a socket's file. None: it says nothing."""

    mode: int | None = None
    owner: int | None = None
    """A user's number."""
    group: int | None = None

    @property
    def permissions(self) -> int:
        """The mode itself. Without one the socket is its owner's alone, and its group's where one is named."""
        if self.mode is not None:
            return self.mode
        return 0o600 if self.group is None else 0o660


class SocketFile:
    """One that was made here. A change of it affects who may connect from then on, and no connection that is there."""

    def __init__(self, path: str, made: os.stat_result) -> None:
        self.path = path
        self._access: Access | None = None
        self._identity = made.st_dev, made.st_ino
        self._born = made.st_uid, made.st_gid

    def permit(self, access: Access) -> None:
        """Set owner, group and mode. Raises OSError, and then admits nobody whom it did not admit before."""
        if access == self._access:
            return
        with _held(self.path) as (place, now):
            if (now.st_dev, now.st_ino) != self._identity:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._permit(place, now, access)

    def _permit(self, place: str, now: os.stat_result, access: Access) -> None:
        owner = self._born[0] if access.owner is None else access.owner
        group = self._born[1] if access.group is None else access.group
        mode = stat.S_IMODE(now.st_mode)
        if (owner, group) != (now.st_uid, now.st_gid):
            # What both modes allow is neither too much for those who lose the file nor for those who get it.
            os.chmod(place, mode & access.permissions)
            try:
                os.chown(place, owner, group)
            except OSError:
                os.chmod(place, mode)
                raise
        os.chmod(place, access.permissions)
        self._access = access

    def remove(self) -> None:
        """Remove it, unless it is gone or another process has put a file in its place."""
        with contextlib.suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == self._identity:
                os.unlink(self.path)


def make(path: str, access: Access) -> tuple[socket.socket, SocketFile]:
    """A bound socket, which does not listen yet, and its file. Raises OSError, and then nothing is left behind."""
    _make_way(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        umask = os.umask(0o777)
        try:
            sock.bind(path)
        finally:
            os.umask(umask)
        with _held(path) as (place, made):
            # A folder that others may write to can have another file here by now.
            if not stat.S_ISSOCK(made.st_mode) or stat.S_IMODE(made.st_mode):
                raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
            file = SocketFile(path, made)
            try:
                file._permit(place, made, access)
            except OSError:
                file.remove()
                raise
    except BaseException:
        sock.close()
        raise
    return sock, file


@contextlib.contextmanager
def _held(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """A name of the file at `path`, a link not followed, and its state. On Linux the name stays the file's whatever
    takes its place at `path`, so that nobody can have root change the owner of another file."""
    if sys.platform != "linux":  # pragma: no cover - other systems cannot open a socket's file
        yield path, os.lstat(path)
        return
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}", os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _make_way(path: str) -> None:
    """Remove a socket file that nobody listens on. Raises OSError where there is anything else."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # A listener whose queue is full is a listener.
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
