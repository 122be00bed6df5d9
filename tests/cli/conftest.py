"""Running commands in this process, and an admin listener that says whatever a test wants."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.cli import main


class Outcome(NamedTuple):
    """What a user sees of one command."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, with none of the sidecar's own variables unless a test sets them."""
    for name in ("COGNITO_SIDECAR_CONFIG", "COGNITO_SIDECAR_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COGNITO_SIDECAR_DUMPABLE", "1")  # This process is the tests': it keeps what it has.

    def run(*argv: str) -> Outcome:
        capsys.readouterr()
        code = main(argv)
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


Canning = tuple[int, str] | bytes | None
"""An answer: status and body, or raw bytes, or None for no answer on a connection that stays open."""


class Canned:
    """A server that gives the connections it gets the answers in turn, the last of them again and again."""

    def __init__(self, listener: socket.socket, answers: tuple[Canning, ...]) -> None:
        self._listener = listener
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        name = self._listener.getsockname()
        return f"unix:{name}" if isinstance(name, str) else f"127.0.0.1:{name[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            self.requests.append(connection.recv(65536))
            if answer is None:
                self._open.append(connection)
                continue
            with connection:
                connection.sendall(answer if isinstance(answer, bytes) else _http(*answer))

    def close(self) -> None:
        # shutdown, not close alone: that leaves a thread in accept() where it is.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self._open:
            connection.close()


Serve = Callable[..., Canned]


@pytest.fixture
def canned() -> Iterator[Serve]:
    """Start such a server, on TCP or on the given unix socket."""
    with ExitStack() as stack:

        def serve(*answers: Canning, unix: str = "") -> Canned:
            if unix:
                listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                listener.bind(unix)
                listener.listen()
            else:
                listener = socket.create_server(("127.0.0.1", 0))
            server = Canned(listener, answers)
            stack.callback(server.close)
            return server

        yield serve


def _http(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} Word\r\nContent-Type: text/plain\r\n\r\n{body}".encode()


@pytest.fixture
def free_port() -> int:
    """A port of this machine where nobody listened a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of this machine where somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AWS's SDK finds none of this machine's settings, and credentials that open nothing."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
