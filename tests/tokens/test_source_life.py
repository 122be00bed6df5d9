"""A token source over the life of its tokens: renewal in time, one call at a time, and no end to trying."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import REASONS, Reason, TokenUnavailable
from proxy.explanations import remedy
from proxy.secret import Secret
from proxy.tasks import spawn
from proxy.tokens.backoff import MENDING
from proxy.tokens.endpoint import Grant
from tests.fakes import settle
from tests.tokens.helpers import Bench, failure


async def test_the_first_token_is_fetched_at_the_start() -> None:
    bench = Bench()
    assert bench.source.current() is None
    await settle()
    token = bench.token()
    assert (token.reveal(), token.number, token.proven) == ("token-1", 1, True)
    assert bench.calls == 1


async def test_a_fresh_token_is_given_again_and_again() -> None:
    bench = await Bench().started()
    first = bench.token()
    await bench.clock.turn(2699)
    assert bench.token() is first
    assert (bench.calls, bench.state) == (1, "FRESH")


async def test_a_token_is_renewed_in_the_background_while_it_is_still_given() -> None:
    bench = await Bench().started()
    first = bench.token()
    bench.endpoint.hold()
    await bench.clock.turn(2701)
    assert (bench.calls, bench.state) == (2, "STALE")
    assert bench.token() is first
    bench.endpoint.release()
    await settle()
    assert bench.token().number == 2
    assert (bench.calls, bench.state) == (2, "FRESH")


async def test_tokens_follow_each_other_without_any_request() -> None:
    bench = await Bench().started()
    await bench.clock.turn(2700.5 * 4)
    assert bench.calls == 5


async def test_a_life_of_two_seconds() -> None:
    bench = Bench()
    bench.endpoint.life = 2.0
    await bench.started()
    for _ in range(60):
        await bench.clock.turn(0.1)
        assert bench.token() is not None
    assert bench.calls == 4
    assert bench.source.stats.failures == {}


async def test_life_counts_from_before_the_request() -> None:
    bench = Bench()
    bench.endpoint.hold()
    await bench.started()
    await bench.clock.turn(100)
    bench.endpoint.release()
    await settle()
    status = bench.source.status()
    assert status.obtained_at == bench.clock.wall - 100
    assert status.expires_at == bench.clock.wall + 3500


async def test_a_token_that_is_over_when_it_comes_is_a_failure_with_a_pause() -> None:
    bench = Bench()
    bench.endpoint.life = 2.0
    bench.endpoint.hold()
    await bench.started()
    await bench.clock.turn(3)
    bench.endpoint.release()
    await settle()
    assert bench.calls == 1
    assert bench.source.stats.failures == {"timeout": 1}
    await bench.clock.turn(1.1)
    assert bench.token().number == 1


async def test_five_hundred_first_requests_cost_one_call() -> None:
    bench = Bench()
    bench.endpoint.hold()
    waiting = [spawn(bench.source.wait(5), name="request") for _ in range(500)]
    await settle()
    assert bench.source.stats.waiters == 500
    bench.endpoint.release()
    tokens = await asyncio.gather(*waiting)
    assert {token.reveal() for token in tokens} == {"token-1"}
    assert bench.calls == 1
    assert bench.source.stats.waiters == 0


@pytest.mark.parametrize("gone", [1, 10])
async def test_requests_that_go_away_do_not_cancel_the_fetch(gone: int) -> None:
    bench = Bench()
    bench.endpoint.hold()
    waiting = [spawn(bench.source.wait(5), name="request") for _ in range(10)]
    await settle()
    for request in waiting[:gone]:
        request.cancel()
    await settle()
    assert bench.source.stats.waiters == 10 - gone
    bench.endpoint.release()
    await settle()
    assert [request.result().number for request in waiting[gone:]] == [1] * (10 - gone)
    assert bench.token().number == 1
    assert bench.calls == 1


@pytest.mark.parametrize("reason", REASONS)
async def test_no_failure_ends_the_attempts(reason: Reason) -> None:
    bench = Bench()
    bench.endpoint.script.extend(failure(reason) for _ in range(12))
    await bench.started()
    first, longest = (30, 300) if reason in MENDING else (1, 60)
    for attempt in range(1, 12):
        assert bench.calls == attempt
        (due,) = bench.clock.timers
        assert due == pytest.approx(min(longest, first * 2 ** (attempt - 1)), abs=0.02)
        await bench.clock.turn(due - 0.01)
        assert bench.calls == attempt, "not before its time"
        await bench.clock.turn(0.02)
    await bench.clock.turn(longest + 1)
    assert bench.token().number == 1
    assert bench.source.stats.failures == {reason: 12}


async def test_no_exception_ends_the_attempts() -> None:
    bench = Bench()
    bench.endpoint.script.extend([RuntimeError("boom"), KeyError("x"), AssertionError(), RecursionError()])
    await bench.started()
    await bench.clock.turn(1 + 2 + 4 + 8 + 0.1)
    assert bench.token().number == 1
    assert bench.source.stats.failures == {"connection": 4}


async def test_a_failing_endpoint_does_not_take_the_token_away() -> None:
    bench = await Bench().started()
    bench.endpoint.script.extend(failure("server_error") for _ in range(100))
    await bench.clock.turn(3589)
    assert bench.state == "STALE"
    assert bench.token().number == 1
    await bench.clock.turn(2)
    assert bench.state == "EXPIRED"
    assert bench.source.current() is None
    bench.endpoint.script.clear()
    await bench.clock.turn(61)
    assert bench.token().number == 2


async def test_retry_after_is_honoured() -> None:
    bench = Bench()
    bench.endpoint.script.extend([failure("throttled", 7.0), failure("throttled", 4000.0)])
    await bench.started()
    await bench.clock.turn(7)
    assert bench.calls == 1
    await bench.clock.turn(1.8)
    assert bench.calls == 2
    await bench.clock.turn(299)
    assert bench.calls == 2
    await bench.clock.turn(2)
    assert bench.calls == 3


async def test_a_request_waits_through_a_short_pause() -> None:
    bench = Bench()
    bench.endpoint.script.append(failure("connection"))
    await bench.started()
    request = spawn(bench.source.wait(5), name="request")
    await bench.clock.turn(1.1)
    assert request.result().number == 1


async def test_a_request_does_not_wait_for_what_cannot_come_in_time() -> None:
    bench = Bench()
    bench.endpoint.script.append(failure("invalid_client"))
    await bench.started()
    with pytest.raises(TokenUnavailable) as caught:
        await bench.source.wait(5)
    what, _, to_do = caught.value.detail.partition(". ")
    assert (what, to_do) == ("invalid_client: words about invalid_client", remedy("invalid_client"))
    assert caught.value.retry_after == pytest.approx(30)


async def test_a_request_waits_no_longer_than_it_may() -> None:
    bench = Bench()
    bench.endpoint.hold()
    request = spawn(bench.source.wait(5), name="request")
    await bench.clock.turn(4.9)
    assert not request.done()
    await bench.clock.turn(0.2)
    error = request.exception()
    assert isinstance(error, TokenUnavailable)
    assert error.detail == "timeout: the token endpoint has not answered yet"
    assert error.retry_after == 1.0
    bench.endpoint.release()
    await settle()
    assert bench.token().number == 1, "the fetch went on"


async def test_a_request_that_may_not_wait_starts_the_fetch_all_the_same() -> None:
    bench = Bench()
    with pytest.raises(TokenUnavailable):
        await bench.source.wait(0)
    await settle()
    assert (await bench.source.wait(0)).number == 1


async def test_a_machine_that_slept_renews_at_the_first_look() -> None:
    bench = await Bench().started()
    bench.clock.sleep(8 * 3600)
    assert bench.source.current() is None, "not one request with the dead token"
    await settle()
    assert bench.token().number == 2


async def test_a_machine_that_slept_renews_without_any_request() -> None:
    bench = await Bench().started()
    bench.clock.sleep(3000)
    bench.source.poll()
    await settle()
    assert bench.token().number == 2


async def test_a_machine_that_slept_through_a_pause_does_not_wait_for_its_rest() -> None:
    bench = Bench()
    bench.endpoint.script.append(failure("invalid_client"))
    await bench.started()
    bench.clock.sleep(3600)
    bench.source.poll()
    await settle()
    assert bench.token().number == 1


async def test_a_wall_clock_set_back_changes_nothing() -> None:
    bench = await Bench().started()
    bench.clock.set_wall(-1e6)
    assert bench.token().number == 1
    await bench.clock.turn(2699)
    assert bench.calls == 1
    await bench.clock.turn(2)
    assert bench.calls == 2


async def test_a_wall_clock_set_forward_ends_the_token() -> None:
    bench = await Bench().started()
    bench.clock.set_wall(7200)
    assert bench.source.current() is None


async def test_nothing_is_renewed_at_rest_and_the_next_request_wakes_it() -> None:
    bench = await Bench(idle_after=600).started()
    await bench.clock.turn(4 * 3600)
    status = bench.source.status()
    assert (bench.calls, status.state, status.at_rest, status.usable) == (1, "EXPIRED", True, False)
    assert status.next_attempt_at is None
    assert bench.source.alive()
    assert bench.source.current() is None
    assert bench.source.status().ends_rest, "nothing is wrong yet: the first request waits for what it has begun"
    request = spawn(bench.source.wait(5), name="request")
    await settle()
    assert request.result().number == 2
    status = bench.source.status()
    assert (status.at_rest, status.ends_rest) == (False, False)


async def test_a_token_that_ran_out_while_the_process_stood_still_ends_no_rest() -> None:
    bench = await Bench(idle_after=0).started()
    bench.clock.set_wall(7200)
    assert bench.source.current() is None
    assert not bench.source.status().ends_rest


async def test_a_request_at_rest_takes_a_stale_token_and_starts_its_renewal() -> None:
    bench = await Bench(idle_after=600).started()
    await bench.clock.turn(3000)
    assert (bench.calls, bench.state) == (1, "STALE")
    assert bench.token().number == 1
    await settle()
    assert bench.token().number == 2


async def test_while_requests_come_there_is_no_rest() -> None:
    bench = await Bench(idle_after=600).started()
    for _ in range(20):
        await bench.clock.turn(500)
        assert bench.token() is not None
    assert bench.calls == 4


async def test_the_first_token_is_wanted_even_at_rest() -> None:
    bench = Bench(idle_after=10)
    bench.endpoint.script.extend(failure("connection") for _ in range(8))
    await bench.started()
    await bench.clock.turn(400)
    assert bench.state == "FRESH"


async def test_where_jitter_puts_the_renewal() -> None:
    bench = Bench(refresh_jitter=0.05)
    bench.random = 0.0
    await bench.started()
    assert bench.source.status().renew_at == bench.clock.wall + 2520


async def test_one_call_at_a_time_whatever_happens() -> None:
    bench = Bench()
    bench.endpoint.life = 5.0
    bench.endpoint.script.extend(
        [failure("timeout"), Grant(Secret("x"), 5.0, ()), failure("throttled"), RuntimeError()]
    )
    requests = [spawn(bench.source.wait(30), name="request") for _ in range(5)]
    for _ in range(100):
        bench.source.poll()
        bench.source.current()
        if (token := bench.source.current()) is not None:
            requests.append(spawn(bench.source.refused(token.number, 5), name="request"))
        await bench.clock.turn(0.3)
    await bench.clock.turn(60)
    await asyncio.gather(*requests)
    assert bench.endpoint.most_running == 1
