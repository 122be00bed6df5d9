"""Files that commands write: whole or not at all, and over others only when told to."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from proxy.cli.saving import save
from proxy.errors import SidecarError


def test_a_new_file(tmp_path: Path) -> None:
    plain, forced = tmp_path / "plain", tmp_path / "forced"
    save(str(plain), "mine ☃", force=False)
    save(str(forced), "mine ☃", force=True)
    assert plain.read_text(encoding="utf-8") == forced.read_text(encoding="utf-8") == "mine ☃"
    mask = os.umask(0)
    os.umask(mask)
    assert plain.stat().st_mode & 0o777 == forced.stat().st_mode & 0o777 == 0o666 & ~mask


def test_one_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("here", "mine", force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("link", [False, True])
def test_one_that_is_there(tmp_path: Path, link: bool) -> None:
    file, place = tmp_path / "file", tmp_path / "link"
    file.write_text("theirs")
    file.chmod(0o640)
    if link:
        place.symlink_to(file)
    path = str(place if link else file)
    with pytest.raises(SidecarError, match=f"^{path} is there already; --force writes over it$"):
        save(path, "mine", force=False)
    assert file.read_text() == "theirs"
    save(path, "mine", force=True)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("mine", 0o640)
    assert place.is_symlink() is link
    assert len([*tmp_path.iterdir()]) == 1 + link


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_left_of_what_failed(tmp_path: Path, force: bool) -> None:
    with pytest.raises(UnicodeEncodeError):
        save(str(tmp_path / "file"), "\udcff", force=force)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("force", [False, True])
def test_why_it_cannot_be_written(tmp_path: Path, force: bool) -> None:
    with pytest.raises(SidecarError, match=f"^{tmp_path}/nowhere/x: No such file or directory$"):
        save(f"{tmp_path}/nowhere/x", "mine", force=force)
    if force:
        with pytest.raises(SidecarError, match=f"^{tmp_path}: Is a directory$"):
            save(str(tmp_path), "mine", force=True)


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    """As `/dev/stdout` is, and `/dev/null`, which nobody wants to be a file from now on."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    save(str(pipe), "mine", force=True)
    reader.join(10)
    assert (read, pipe.is_fifo()) == (["mine"], True)
