"""A name server of a test's own, in the place of the system's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SILENT = "silent.example"
"""Of this name it says nothing until it is let."""


class Names:
    """It knows every name."""

    def __init__(self) -> None:
        self._system = socket.getaddrinfo
        self.asked: list[str] = []
        self.answers: list[str] | OSError | UnicodeError = ["192.0.2.1", "2001:db8::1"]
        self.let = threading.Event()

    def getaddrinfo(self, host: str, port: int, **options: Any) -> list[Any]:
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            return self._system(host, port, **options)
        self.asked.append(host)
        assert host != SILENT or self.let.wait(20)
        if isinstance(self.answers, Exception):
            raise self.answers
        return [found for address in self.answers for found in self._system(address, port, **options)]


@contextmanager
def names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.let.set()
