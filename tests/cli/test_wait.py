"""`wait`, with a clock turned by hand: no test waits."""

from __future__ import annotations

import click
import pytest

from proxy.cli import probe, wait
from proxy.cli.command import seconds
from proxy.config.scalars import parse_duration
from tests.cli.conftest import Run, Serve


class HandClock:
    """Time that passes only while somebody pauses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    monkeypatch.setattr(probe, "monotonic", clock.monotonic)
    monkeypatch.setattr(probe, "pause", clock.pause)
    return clock


def test_a_ready_sidecar_is_not_waited_for(command: Run, canned: Serve, clock: HandClock) -> None:
    server = canned((200, "ok"))
    assert command("wait", "--admin", server.address) == (0, "", "")
    assert server.requests[0].startswith(b"GET /readyz ")
    assert clock.pauses == []


def test_waits_until_it_is_ready(command: Run, canned: Serve, clock: HandClock) -> None:
    server = canned((503, "starting"), b"", (503, "starting"), (200, "ok"))
    assert command("wait", "--admin", server.address).code == 0
    assert clock.pauses == pytest.approx([0.1, 0.15, 0.225])


def test_pauses_grow_to_half_a_second_and_end_at_the_timeout(command: Run, canned: Serve, clock: HandClock) -> None:
    server = canned((503, "orders: no token yet"))
    assert command("wait", "--timeout", "10s", "--admin", server.address) == (
        1,
        "",
        f"cognito-sidecar: not ready within 10s: {server.address}/readyz answered 503: orders: no token yet\n",
    )
    assert max(clock.pauses) == 0.5
    assert sum(clock.pauses) == pytest.approx(10)


def test_a_sidecar_that_was_not_started(command: Run, clock: HandClock, free_port: int) -> None:
    outcome = command("wait", "--timeout", "1m", "--admin", f"127.0.0.1:{free_port}")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("cognito-sidecar: not ready within 60s: ")
    assert outcome.err.endswith(f"127.0.0.1:{free_port}: nothing listens there; is the sidecar running?\n")


@pytest.mark.parametrize(("answer", "code"), [((200, "ok"), 0), ((503, ""), 1)])
def test_no_time_at_all_still_asks_once(
    command: Run, canned: Serve, clock: HandClock, answer: tuple[int, str], code: int
) -> None:
    server = canned(answer)
    assert command("wait", "--timeout", "0", "--admin", server.address).code == code
    assert len(server.requests) == 1
    assert clock.pauses == []


@pytest.mark.parametrize("text", ["250ms", "30s", "5m", "1h", "1.5s", "7", "0"])
def test_durations_are_those_of_the_configuration(text: str) -> None:
    option = click.Option(["--timeout"])
    assert seconds(click.Context(wait.command), option, text) == pytest.approx(float(parse_duration(text)))


def test_the_timeout_is_the_one_that_was_given(command: Run, canned: Serve, clock: HandClock) -> None:
    outcome = command("wait", "--timeout", "250ms", "--admin", canned((503, "")).address)
    assert outcome.code == 1
    assert sum(clock.pauses) == pytest.approx(0.25)
    assert "not ready within 0.25s: " in outcome.err


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 s", "1d", "1e3", "inf", "٣s"])
def test_what_is_no_duration(command: Run, text: str) -> None:
    assert command("wait", "--timeout", text).code == 2
