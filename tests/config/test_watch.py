"""Noticing changes by content, whatever happens to the files."""

from __future__ import annotations

import os
from pathlib import Path

from proxy.config.watch import MISSING, NOT_A_FILE, changed, fingerprint


def test_content_counts_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    before = fingerprint([str(path)])
    os.utime(path, (1, 1))
    (tmp_path / "new").write_text("one")
    (tmp_path / "new").replace(path)
    assert fingerprint([str(path)]) == before
    path.write_text("two")
    assert changed(before, fingerprint([str(path)])) == [str(path)]


def test_kubernetes_swaps_a_link_to_a_directory(tmp_path: Path) -> None:
    for name, content in (("v1", "one"), ("v2", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(content)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "secret").symlink_to("..data/secret")
    files = [str(tmp_path / "secret")]
    before = fingerprint(files)
    (tmp_path / "..data_tmp").symlink_to("v2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert changed(before, fingerprint(files)) == files


def test_a_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    missing = fingerprint([str(path)])
    assert missing == {str(path): MISSING}
    path.write_text("")
    there = fingerprint([str(path)])
    assert changed(missing, there) == [str(path)]
    path.unlink()
    assert fingerprint([str(path)]) == missing


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(b"x" * ((1 << 20) + 1))
    names = ["fifo", "loop", "large", ".", "a\0b"]
    paths = [str(tmp_path / name) for name in names]
    assert list(fingerprint(paths).values()) == [NOT_A_FILE, MISSING, MISSING, MISSING, MISSING]
    assert fingerprint([os.devnull]) == {os.devnull: NOT_A_FILE}


def test_files_that_are_in_one_of_the_two_only() -> None:
    assert changed({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == ["a", "c", "d"]
    assert changed({}, {}) == []
