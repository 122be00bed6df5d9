"""A file that a command writes for a person: whole or not at all, and over another one only when told to."""

from __future__ import annotations

import os
import tempfile

from proxy.errors import SidecarError


def save(path: str, text: str, *, force: bool) -> None:
    """Write a file; a sidecar that runs with it never sees half of it.

    With `force` over one that is there; a pipe or a terminal is written to. Raises SidecarError.
    """
    target = os.path.realpath(path)
    try:
        if force and os.path.exists(target) and not os.path.isfile(target):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
        elif force:
            _replace(target, text)
        else:
            _create(path, text)
    except FileExistsError:
        raise SidecarError(f"{path} is there already; --force writes over it") from None
    except OSError as error:
        raise SidecarError(f"{path}: {os.strerror(error.errno or 0)}") from None


def _create(path: str, text: str) -> None:
    open(path, "x").close()  # The name is ours from here on.
    try:
        _replace(path, text)
    except BaseException:
        os.unlink(path)
        raise


def _replace(target: str, text: str) -> None:
    handle, whole = tempfile.mkstemp(dir=os.path.dirname(target) or ".")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(whole, _mode(target))
        os.replace(whole, target)
    except BaseException:
        os.unlink(whole)
        raise


def _mode(path: str) -> int:
    """The permissions of a file that is there, else those of a new one."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
