"""Log lines as a person and as a machine read them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator

import pytest

from proxy import log


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    log.configure()


def test_a_text_line_shows_time_level_event_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "info")
    log.logger("tokens").warning("token_refresh_failed", upstream="orders", attempt=2)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "\x1b" not in err, "no colours: lines go to files and collectors"
    for part in ("Z ", "warning", "token_refresh_failed", "upstream=orders", "attempt=2", "room=tokens"):
        assert part in err


def test_a_json_line_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info")
    log.logger("forward").info("request", text='two\nlines and "quotes"')

    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"room": "forward", "event": "request", "level": "info", "text": 'two\nlines and "quotes"'}


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_left_out(
    level: log.Level, shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("json", level)
    for name in ("debug", "info", "warning", "error"):
        getattr(log.logger("test"), name)("event")

    assert [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()] == shown


def test_a_reload_changes_loggers_that_are_there_already(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "error")
    early = log.logger("test")
    early.info("hidden")
    log.configure("json", "info")
    early.info("shown")

    assert json.loads(capsys.readouterr().err)["event"] == "shown"


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), ValueError("I/O on closed file")])
def test_a_stream_that_takes_no_lines_stops_nothing(trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise trouble

    monkeypatch.setattr(sys, "stderr", Full())
    log.configure("text", "info")

    log.logger("test").error("event")


def test_a_process_that_was_started_without_standard_error_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # As `2>&-` has it.
    log.configure("text", "info")

    log.logger("test").error("event")
