"""401s from the upstream: one renewal, and then peace."""

from __future__ import annotations

import asyncio

import pytest

from proxy.tasks import spawn
from proxy.tokens import Recovery
from tests.fakes import settle
from tests.tokens.helpers import Bench, failure


async def test_a_refused_token_is_renewed_once_for_all_who_had_it() -> None:
    bench = await Bench().started()
    bench.endpoint.hold()
    requests = [spawn(bench.source.refused(1, 5), name="request") for _ in range(50)]
    await settle()
    assert bench.token().number == 1, "others still get the old one"
    bench.endpoint.release()
    outcomes = await asyncio.gather(*requests)
    assert {(one.outcome, one.token and one.token.number) for one in outcomes} == {("renewed", 2)}
    assert bench.calls == 2


async def test_a_401_to_an_older_token_takes_the_newer_one() -> None:
    bench = await Bench().started()
    await bench.source.refused(1, 5)
    assert await bench.source.refused(1, 5) == Recovery("renewed", bench.token())
    assert bench.calls == 2


async def test_a_401_joins_the_renewal_that_is_running() -> None:
    bench = await Bench().started()
    bench.endpoint.hold()
    await bench.clock.turn(2701)
    request = spawn(bench.source.refused(1, 5), name="request")
    await settle()
    bench.endpoint.release()
    await settle()
    assert request.result().outcome == "renewed"
    assert bench.calls == 2
    assert not bench.token().proven


async def test_a_renewal_that_did_not_help_is_not_repeated_for_thirty_seconds() -> None:
    bench = await Bench().started()
    renewed = await bench.source.refused(1, 5)
    assert renewed.token is not None
    assert not renewed.token.proven
    assert await bench.source.refused(2, 5) == Recovery("cooling_down", None)
    await bench.clock.turn(29)
    assert await bench.source.refused(2, 5) == Recovery("cooling_down", None)
    assert bench.calls == 2
    await bench.clock.turn(2)
    assert (await bench.source.refused(2, 5)).outcome == "renewed"
    assert await bench.source.refused(3, 5) == Recovery("cooling_down", None)
    assert bench.calls == 3


async def test_a_token_that_was_accepted_may_be_revoked_again() -> None:
    bench = await Bench().started()
    for number in range(1, 5):
        recovery = await bench.source.refused(number, 5)
        assert recovery.outcome == "renewed"
        assert recovery.token is not None
        bench.source.accepted(recovery.token)
    assert bench.calls == 5


async def test_a_cool_down_outlasts_the_renewals_of_short_lives() -> None:
    bench = Bench()
    bench.endpoint.life = 2.0
    await bench.started()
    await bench.source.refused(1, 5)
    await bench.source.refused(2, 5)
    await bench.clock.turn(10)
    before = bench.calls
    assert await bench.source.refused(bench.token().number, 5) == Recovery("cooling_down", None)
    assert bench.calls == before


async def test_a_failed_renewal_keeps_the_token_and_passes_the_401_on() -> None:
    bench = await Bench().started()
    bench.endpoint.script.append(failure("server_error"))
    assert await bench.source.refused(1, 5) == Recovery("failed", None)
    assert bench.token().number == 1
    assert await bench.source.refused(1, 5) == Recovery("failed", None), "at once, in the pause"
    assert bench.calls == 2
    await bench.clock.turn(1.1)
    assert bench.token().number == 2, "what a 401 asked for is not forgotten"
    assert not bench.token().proven


async def test_a_renewal_that_takes_too_long_passes_the_401_on_and_goes_on() -> None:
    bench = await Bench().started()
    bench.endpoint.hold()
    request = spawn(bench.source.refused(1, 5), name="request")
    await bench.clock.turn(5.1)
    assert request.result() == Recovery("failed", None)
    bench.endpoint.release()
    await settle()
    assert bench.token().number == 2


async def test_a_401_that_comes_when_the_newer_token_is_over_waits_for_the_next() -> None:
    bench = await Bench().started()
    await bench.source.refused(1, 5)
    bench.clock.sleep(7200)
    recovery = await bench.source.refused(1, 5)
    assert recovery.outcome == "renewed"
    assert recovery.token is not None
    assert recovery.token.number == 3
    bench.clock.sleep(7200)
    bench.endpoint.script.append(failure("invalid_client"))
    assert await bench.source.refused(1, 5) == Recovery("failed", None)


@pytest.mark.parametrize("number", [1, 2])
async def test_after_the_end_a_401_passes(number: int) -> None:
    bench = await Bench().started()
    await bench.source.close()
    bench.clock.sleep(7200)
    assert await bench.source.refused(number, 5) == Recovery("failed", None)
    assert bench.calls == 1


async def test_a_request_that_goes_away_does_not_cancel_the_renewal() -> None:
    bench = await Bench().started()
    bench.endpoint.hold()
    request = spawn(bench.source.refused(1, 5), name="request")
    await settle()
    request.cancel()
    await settle()
    bench.endpoint.release()
    await settle()
    assert bench.token().number == 2
