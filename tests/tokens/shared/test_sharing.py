"""Sidecars that share tokens through one store, on one clock: who calls, who waits, who takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.config.model import Value
from proxy.stats import CacheOperation
from proxy.tokens.identity import lasting_identity
from proxy.tokens.shared.rules import AFTER_FAILURE, Breaker, lock_life
from proxy.tokens.shared.sealing import lock_name
from proxy.tokens.source import TokenSource
from tests.fakes import FakeClock
from tests.forward.rig import until
from tests.tokens.helpers import OTHER_SECRET, SECRET, failure, log_lines, make_auth
from tests.tokens.shared.pods import Fleet, Pod

LIFE = 3600.0


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def test_the_second_takes_what_the_first_has_got(fleet: Fleet) -> None:
    first, second = await fleet.start(), await fleet.start()
    assert fleet.calls == 1
    assert first.token() == second.token()
    assert (first.origin, second.origin) == ("endpoint", "cache")
    assert not fleet.store.locked
    assert second.stats.operations["get", "hit"] == 1
    assert (first.source.stats.successes, second.source.stats.successes) == (1, 0)


async def test_a_token_from_the_cache_is_as_old_as_it_is(fleet: Fleet) -> None:
    first = await fleet.start()
    await fleet.clock.turn(1000)
    second = await fleet.start()
    assert second.source.status().expires_at == first.source.status().expires_at
    assert second.source.status().state == "FRESH"


async def test_one_call_renews_for_all(fleet: Fleet) -> None:
    pods = [await fleet.start(refresh_jitter=0.05) for _ in range(5)]
    for pod, draws in zip(pods, (0.5, 0.6, 0.7, 0.8, 0.0), strict=True):
        pod.draws = draws
    for life in range(1, 4):
        await fleet.clock.turn(LIFE * 0.95 - 1)
        assert fleet.calls == 1 + life
        assert len({pod.token().token_id for pod in pods}) == 1


async def test_a_request_with_a_fresh_token_never_touches_it(fleet: Fleet) -> None:
    pod = await fleet.start()
    asked = len(fleet.store.asked)
    for _ in range(10):
        pod.token()
    assert len(fleet.store.asked) == asked


async def test_who_has_none_waits_for_who_is_calling(fleet: Fleet) -> None:
    fleet.endpoint.hold()
    first, second = await fleet.start(), await fleet.start()
    waiting = asyncio.ensure_future(second.source.wait(5))
    await fleet.clock.turn(1)
    assert fleet.calls == 1
    fleet.endpoint.release()
    await fleet.clock.turn(2)
    assert await waiting == first.token()
    assert fleet.calls == 1
    assert second.stats.operations["lock", "busy"] > 0


async def test_but_no_longer_than_half_of_what_a_request_waits(fleet: Fleet) -> None:
    fleet.endpoint.hold()
    await fleet.start()
    await fleet.start(wait=5)
    await fleet.clock.turn(2)
    assert fleet.calls == 1
    await fleet.clock.turn(3)
    assert fleet.calls == 2
    fleet.endpoint.release()
    await fleet.clock.turn(1)
    assert all(pod.source.current() for pod in fleet.pods)


async def test_who_holds_a_valid_one_keeps_it_and_waits(fleet: Fleet) -> None:
    first, second = await fleet.start(), await fleet.start()
    fleet.endpoint.hold()
    await fleet.clock.turn(LIFE * 0.75 + 10)
    assert fleet.calls == 2, "one of the two renews"
    assert first.token() == second.token()
    before = first.token()
    fleet.endpoint.release()
    await fleet.clock.turn(3)
    assert first.token() == second.token() != before
    assert fleet.calls == 2


async def test_a_renewer_that_dies_is_replaced_when_its_lock_ends(fleet: Fleet) -> None:
    pods = [await fleet.start(), await fleet.start()]
    life = lock_life(10, 1)
    await fleet.clock.turn(LIFE * 0.75 - 1)
    assert await fleet.store.take("lock:" + lock_name(lasting_identity(make_auth())), b"the dead", life)
    await fleet.clock.turn(life - 1)
    assert fleet.calls == 1
    await fleet.clock.turn(5)
    assert fleet.calls == 2
    assert len({pod.token() for pod in pods}) == 1


async def test_a_source_that_is_closed_frees_its_lock(fleet: Fleet) -> None:
    first = await fleet.start()
    fleet.endpoint.hold()
    await fleet.clock.turn(LIFE * 0.75 + 1)
    assert fleet.store.locked
    await first.source.close()
    await fleet.clock.turn(0)
    assert not fleet.store.locked


async def test_a_fleet_tries_again_no_more_than_once_a_second(fleet: Fleet) -> None:
    pods = [await fleet.start() for _ in range(10)]
    fleet.endpoint.by_secret[SECRET] = failure("server_error")
    await fleet.clock.turn(LIFE * 0.75 + 1)
    began = fleet.calls
    await fleet.clock.turn(60)
    assert fleet.calls - began <= 60 / AFTER_FAILURE + 2
    assert all(pod.source.current() for pod in pods)
    del fleet.endpoint.by_secret[SECRET]
    await fleet.clock.turn(120)
    assert len({pod.token().token_id for pod in pods}) == 1


async def test_a_refused_token_is_replaced_once_for_all(fleet: Fleet) -> None:
    pods = [await fleet.start() for _ in range(4)]
    refused = pods[0].token()
    recoveries = [asyncio.ensure_future(pod.source.refused(pod.token().number, 5)) for pod in pods]
    await fleet.clock.turn(3)
    tokens = {(await recovery).token for recovery in recoveries}
    assert fleet.calls == 2
    assert len(tokens) == 1
    assert refused not in tokens
    assert sum(pod.stats.operations["remove", "success"] for pod in pods) == 1


@pytest.mark.parametrize("trouble", ["timeout", "connection", "denied", "full", "error"])
async def test_without_the_engine_each_goes_on_alone(fleet: Fleet, trouble: Any) -> None:
    fleet.store.trouble = trouble
    with log_lines() as lines:
        pods = [await fleet.start() for _ in range(3)]
        assert fleet.calls == 3
        for _ in range(3):
            await fleet.clock.turn(LIFE)
    assert all(pod.source.current() for pod in pods)
    assert pods[0].stats.operations["get", trouble] >= 3
    said = [line for line in lines if line["event"] == "token_cache_failed"]
    assert len(said) == 3, "once by each"
    assert {line["trouble"] for line in said} == {trouble}


async def test_it_is_used_again_when_it_is_back(fleet: Fleet) -> None:
    fleet.store.trouble = "connection"
    first = await fleet.start()
    for _ in range(Breaker.THRESHOLD):
        await fleet.clock.turn(LIFE * 0.8)
    fleet.store.trouble = None
    with log_lines() as lines:
        await fleet.clock.turn(LIFE * 0.8)
    assert [line["event"] for line in lines if "cache" in line["event"]] == ["token_cache_used_again"]
    second = await fleet.start()
    assert second.origin == "cache"
    assert second.token() == first.token()


async def test_an_engine_that_fails_is_not_asked_for_a_while(fleet: Fleet) -> None:
    pod = await fleet.start()
    fleet.store.trouble = "timeout"
    for _ in range(Breaker.THRESHOLD):
        fleet.endpoint.life = 2.0
        await fleet.clock.turn(LIFE if pod.source.stats.successes == 1 else 1.5)
    asked = len(fleet.store.asked)
    await fleet.clock.turn(2)
    assert len(fleet.store.asked) == asked
    assert pod.source.current() is not None


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x01" + bytes(200)])
async def test_what_does_not_open_is_counted_and_replaced(fleet: Fleet, content: bytes) -> None:
    await fleet.start()
    fleet.store.spoil(content)
    second = await fleet.start()
    assert fleet.calls == 2
    assert second.stats.operations["get", "rejected"] == 2, "before the lock, and after it"
    assert (await fleet.start()).origin == "cache"


async def test_halves_of_a_fleet_with_two_secrets_do_not_get_in_each_others_way(fleet: Fleet) -> None:
    old, new = Value(SECRET), Value(OTHER_SECRET)
    await fleet.start(client_secret=(old,))
    await fleet.start(client_secret=(new,))
    assert fleet.calls == 2
    both = await fleet.start(client_secret=(new, old))
    more = [await fleet.start(client_secret=(old,)), await fleet.start(client_secret=(new,))]
    assert {pod.origin for pod in (both, *more)} == {"cache"}
    assert len(fleet.store.names) == 2


async def test_with_two_secrets_either_opens_it(fleet: Fleet) -> None:
    await fleet.start(client_secret=(Value(SECRET),))
    both = await fleet.start(client_secret=(Value(OTHER_SECRET), Value(SECRET)))
    assert both.origin == "cache"


async def test_after_a_reload_a_refused_token_is_still_known(fleet: Fleet) -> None:
    first, second = await fleet.start(), await fleet.start()
    auth = make_auth(client_secret=(Value(SECRET), Value(OTHER_SECRET)))
    second.source.update(auth, ("orders",), sharing=second.engine.share(auth))
    recovery = asyncio.ensure_future(second.source.refused(second.token().number, 5))
    await fleet.clock.turn(1)
    assert (await recovery).outcome == "renewed"
    assert second.stats.operations["remove", "success"] == 1
    assert first.token() != second.token()


async def test_the_source_is_alive_while_it_waits_for_another(fleet: Fleet) -> None:
    await fleet.start()
    second = await fleet.start()
    fleet.endpoint.hold()
    await fleet.clock.turn(LIFE * 0.75 + 10)
    assert second.source.alive()
    fleet.endpoint.release()
    await fleet.clock.turn(3)


async def test_a_source_that_is_closed_before_its_call_frees_its_lock(fleet: Fleet) -> None:
    fleet.store.held["take"] = asyncio.Event()
    first = await fleet.start()
    assert fleet.store.locked
    await first.source.close()
    fleet.store.held.clear()
    await fleet.clock.turn(0)
    assert fleet.calls == 0
    assert not fleet.store.locked


async def test_an_engine_is_closed_when_the_last_fetch_has_ended(fleet: Fleet) -> None:
    fleet.endpoint.hold()
    first = await fleet.start()
    first.source.update(first.auth, ("orders",), sharing=None)
    closing = asyncio.ensure_future(first.engine.close())
    await fleet.clock.turn(1)
    assert "close" not in fleet.store.asked
    fleet.endpoint.release()
    await fleet.clock.turn(1)
    await closing
    assert fleet.store.asked[-1] == "close"
    assert len(fleet.store.names) == 1
    assert not fleet.store.locked
    assert first.source.current() is not None


async def test_a_token_that_came_during_a_reload_is_removed_when_it_is_refused(fleet: Fleet) -> None:
    fleet.endpoint.hold()
    first = await fleet.start()
    first.source.update(first.auth, ("orders",), sharing=first.engine.share(first.auth))
    fleet.endpoint.release()
    await fleet.clock.turn(1)
    recovery = asyncio.ensure_future(first.source.refused(first.token().number, 5))
    await fleet.clock.turn(1)
    assert (await recovery).outcome == "renewed"
    assert first.stats.operations["remove", "success"] == 1


async def test_a_token_that_was_not_shared_takes_nothing_with_it_when_it_is_refused(fleet: Fleet) -> None:
    first, second = await fleet.start(), await fleet.start()
    fleet.store.trouble = "connection"
    await fleet.clock.turn(LIFE * 0.75 + 1)
    assert first.token() != second.token(), "each has called"
    fleet.store.trouble = None
    recovery = asyncio.ensure_future(first.source.refused(first.token().number, 5))
    await fleet.clock.turn(1)
    await recovery
    assert first.stats.operations["remove", "success"] == 0, "the entry is of another token"


async def test_what_one_got_alone_is_there_for_the_others_when_the_engine_is_back_at_once(fleet: Fleet) -> None:
    fleet.store.troubles["get"] = "timeout"
    fleet.endpoint.hold()
    first = await fleet.start()
    fleet.store.troubles.clear()
    fleet.endpoint.release()
    await fleet.clock.turn(0)
    assert first.origin == "endpoint"
    assert (await fleet.start()).origin == "cache"
    assert fleet.calls == 1


async def test_a_lock_that_came_too_late_is_freed(fleet: Fleet) -> None:
    """The engine took it, and did not answer in time."""
    fleet.store.held["take"] = asyncio.Event()
    pod = await fleet.start(wait=0.2)
    await until(lambda: fleet.calls == 1)
    await until(lambda: not fleet.store.locked)
    assert pod.source.current() is not None


@pytest.mark.parametrize(("operation", "counted"), [("get", "get"), ("take", "lock")])
async def test_a_request_does_not_wait_for_an_engine_for_all_of_its_time(
    fleet: Fleet, operation: str, counted: CacheOperation
) -> None:
    fleet.store.held[operation] = asyncio.Event()
    pod = await fleet.start(wait=0.2)
    await until(lambda: pod.source.current() is not None)
    assert fleet.clock.read().monotonic == FakeClock().monotonic, "no time has passed for the request"
    assert pod.stats.operations[counted, "timeout"] == 1


@pytest.mark.parametrize("operations", [("take", "put"), ("put",)])
async def test_one_that_is_full_is_left_alone_too_though_it_answers(fleet: Fleet, operations: tuple[str, ...]) -> None:
    for operation in operations:
        fleet.store.troubles[operation] = "full"
    with log_lines() as lines:
        pod = await fleet.start()
        for _ in range(Breaker.THRESHOLD - 1):
            await fleet.clock.turn(LIFE * 0.75 + 1)
    assert pod.stats.left_alone
    assert [line["event"] for line in lines if "cache" in line["event"]] == ["token_cache_failed"]
    fleet.store.troubles.clear()
    await fleet.clock.turn(LIFE * 0.75 + 1)
    assert not pod.stats.left_alone


async def test_one_freeze_is_one_reason_to_leave_it_alone_however_many_sources_it_hits(fleet: Fleet) -> None:
    pod = await fleet.start()
    fleet.store.held["get"] = asyncio.Event()
    others = [
        TokenSource(
            make_auth(client_id=Value(f"client-{number}"), wait=0.2),
            ("orders",),
            clock=fleet.clock,
            draw=lambda: 0.5,
            connect=pod._connect,
            sharing=pod.engine.share(make_auth(client_id=Value(f"client-{number}"), wait=0.2)),
        )
        for number in range(20)
    ]
    for source in others:
        source.start()
    await until(lambda: all(source.current() is not None for source in others))
    assert not pod.engine.asks
    await fleet.clock.turn(Breaker.SHORTEST)
    assert pod.engine.asks


@pytest.mark.parametrize("ahead", [-600.0, -20.0, 20.0, 600.0])
async def test_a_pod_whose_clock_is_wrong_costs_calls_and_no_request(fleet: Fleet, ahead: float) -> None:
    right = [await fleet.start(), await fleet.start()]
    clock = FakeClock(wall=fleet.clock.wall + ahead)
    wrong = Pod(fleet, clock)
    wrong.source.start()
    await clock.turn(0)
    for _ in range(int(4 * LIFE / 30)):
        await fleet.clock.turn(30)
        await clock.turn(30)
        assert all(pod.source.current() is not None for pod in (*right, wrong))
    assert fleet.calls <= 3 * 6, "no more than each for itself"
    assert len({pod.token() for pod in right}) <= 2


async def test_with_requests_that_do_not_wait_it_is_asked_all_the_same(fleet: Fleet) -> None:
    await fleet.start(wait=0)
    assert (await fleet.start(wait=0)).origin == "cache"
