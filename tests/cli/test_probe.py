"""One question over a bare socket, to servers that are well, slow, wrong or gone."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from proxy.cli import probe
from proxy.cli.finding import target
from proxy.cli.probe import Answer, ask, trouble
from tests.cli.conftest import Serve


def test_asks_for_the_path_and_gives_status_and_body(canned: Serve) -> None:
    server = canned((200, "ok\n"))
    assert ask(target(server.address), "/livez", 5) == Answer(200, "ok")
    assert server.requests[0].startswith(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n")


def test_json_from_something_else_stays_readable(canned: Serve) -> None:
    server = canned((404, '{\n  "error": "not_found"\n}\n'))
    assert ask(target(server.address), "/readyz", 5) == Answer(404, '{ "error": "not_found" }')


def test_over_a_unix_socket(canned: Serve, tmp_path: Path) -> None:
    server = canned((503, "not ready\norders: no token\n"), unix=f"{tmp_path}/a.sock")
    assert ask(target(server.address), "/readyz", 5) == Answer(503, "not ready; orders: no token")


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 OK 200\r\n\r\n", b"\xff" * 70000]
)
def test_what_is_no_sidecar(canned: Serve, answer: bytes) -> None:
    with pytest.raises(OSError, match=r"not as a sidecar does|Connection reset"):
        ask(target(canned(answer).address), "/livez", 5)


def test_a_server_that_never_answers_costs_the_timeout(canned: Serve) -> None:
    with pytest.raises(TimeoutError):
        ask(target(canned(None).address), "/livez", 0.05)


def test_the_timeout_is_for_the_whole_answer(canned: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.5, 1.5])
    monkeypatch.setattr(probe, "monotonic", lambda: next(ticks))
    with pytest.raises(TimeoutError):
        ask(target(canned(b"HTTP/1.1 200 OK\r\n").address), "/livez", 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("timed out"), "no answer in time"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "nothing listens there"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "nothing listens there"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (ConnectionError("odd"), "odd"),
        (ConnectionError(), "ConnectionError"),
    ],
)
def test_trouble_in_words(error: OSError, words: str) -> None:
    assert words in trouble(error)


def test_a_unix_socket_that_is_not_there_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ask(target(f"unix:{tmp_path}/none"), "/livez", 1)
