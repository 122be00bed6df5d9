"""A token endpoint that fails, and a fleet that shares what it knows of that."""

from __future__ import annotations

import pytest

from proxy.config.model import Value
from proxy.errors import TokenUnavailable
from proxy.explanations import remedy
from proxy.tasks import spawn
from proxy.tokens.shared.rules import TURN
from tests.tokens.helpers import OTHER_SECRET, SECRET, FakeEndpoint, failure, log_lines
from tests.tokens.shared.pods import Fleet

LIFE = 3600.0


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def test_pods_whose_token_has_ended_take_turns(fleet: Fleet) -> None:
    """More of them than could take the lock one after the other while they are patient."""
    pods = [await fleet.start(draws=place / 60) for place in range(60)]
    fleet.endpoint.by_secret[SECRET] = failure("server_error")
    await fleet.clock.turn(LIFE - 9)
    began = fleet.calls
    await fleet.clock.turn(5)
    assert all(pod.source.current() is None for pod in pods)
    assert 5 <= fleet.calls - began <= 5 / TURN + 7
    del fleet.endpoint.by_secret[SECRET]
    began = fleet.calls
    await fleet.clock.turn(13)
    assert fleet.calls - began <= 2
    assert len({pod.token().token_id for pod in pods}) == 1, "they look again long before they would call again"


async def test_pods_that_start_while_it_is_silent_are_as_patient_as_ever(fleet: Fleet) -> None:
    fleet.endpoint.by_secret[SECRET] = failure("timeout")
    await fleet.start()
    fleet.endpoint.hold()
    for _ in range(30):
        await fleet.start()
    began = fleet.calls
    await fleet.clock.turn(1)
    assert fleet.calls - began <= 11
    fleet.endpoint.release()


async def test_who_was_told_says_the_same_as_who_has_tried(fleet: Fleet) -> None:
    fleet.endpoint.by_secret[SECRET] = failure("throttled")
    await fleet.start()
    await fleet.start()
    assert fleet.calls == 2, "one with the lock, one in its turn"
    with log_lines() as lines:
        told = await fleet.start()
        request = spawn(told.source.wait(0.3), name="request")
        await fleet.clock.turn(0.4)
    error = request.exception()
    assert isinstance(error, TokenUnavailable)
    assert error.detail == f"throttled: another sidecar has just tried. {remedy('throttled')}".strip()
    assert [line["reason"] for line in lines if line["event"] == "token_refresh_failed"] == ["throttled"]
    assert told.source.stats.consecutive_failures == 1
    assert sum(told.source.stats.failures.values()) == 0, "it has made no call"
    assert told.stats.operations["note", "hit"] == 1


async def test_a_pod_that_cannot_reach_the_endpoint_keeps_no_other_from_it(fleet: Fleet) -> None:
    reachable, fleet.endpoint = fleet.endpoint, FakeEndpoint()
    fleet.endpoint.by_secret[SECRET] = failure("connection")
    cut_off = [await fleet.start(draws=place / 5) for place in range(5)]
    fleet.endpoint = reachable
    healthy = await fleet.start()
    request = spawn(healthy.source.wait(5), name="request")
    await fleet.clock.turn(4.9)
    assert request.result() == healthy.token()
    await fleet.clock.turn(60)
    assert {pod.origin for pod in cut_off} == {"cache"}
    assert {pod.token() for pod in cut_off} == {healthy.token()}


@pytest.mark.parametrize("secrets", [(SECRET,), (SECRET, OTHER_SECRET)])
async def test_a_failure_with_another_secret_is_no_news(fleet: Fleet, secrets: tuple[str, ...]) -> None:
    fleet.endpoint.by_secret["the wrong one"] = failure("invalid_client")
    wrong = await fleet.start(client_secret=(Value("the wrong one"),))
    right = await fleet.start(client_secret=tuple(map(Value, secrets)))
    await fleet.clock.turn(2.9)
    assert right.source.current() is not None
    assert wrong.source.current() is None


async def test_what_is_no_note_of_ours_is_not_believed(fleet: Fleet) -> None:
    fleet.endpoint.by_secret[SECRET] = failure("server_error")
    await fleet.start()
    del fleet.endpoint.by_secret[SECRET]
    fleet.store.spoil(b"\x01" + bytes(100))
    second = await fleet.start()
    await fleet.clock.turn(2.9)
    assert second.source.current() is not None
    assert second.stats.operations["note", "rejected"] >= 1
