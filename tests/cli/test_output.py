"""Lines that must not stop the program which writes them."""

from __future__ import annotations

import io
import os
import sys

import pytest

from proxy.cli.output import complain, discard, one_line, say


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("  two\n lines\t", "two lines"),
        ("bell\x07 and \x1b[2J", "bell and [2J"),
        ("", ""),
        ("umlaut ü", "umlaut ü"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_one_line_is_cut_visibly() -> None:
    assert one_line("abcdef", limit=4) == "abc…"


@pytest.mark.parametrize(("write", "name"), [(say, "stdout"), (complain, "stderr")])
def test_a_stream_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch, write: object, name: str) -> None:
    assert callable(write)
    read, end = os.pipe()
    os.close(read)
    with os.fdopen(end, "w") as pipe:
        monkeypatch.setattr(sys, name, pipe)
        write("nobody reads this")
        write("nor this: the descriptor leads nowhere by now")


def test_say_shows_the_line_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    say("here")
    say()
    assert capsys.readouterr().out == "here\n\n"


def test_discard_takes_a_stream_without_a_descriptor() -> None:
    discard(io.StringIO())
