"""A token source's secrets, its changes by reload, its end, and what it tells about itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.clock import SystemClock
from proxy.config.model import Tls, Value
from proxy.errors import TokenUnavailable
from proxy.tasks import spawn
from proxy.tokens import TokenSource
from tests.fakes import settle
from tests.tokens.helpers import OTHER_SECRET, SECRET, Bench, failure, log_lines, make_auth

BOTH = (Value(SECRET), Value(OTHER_SECRET))

# ---------------------------------------------------------------------------------------------------- two secrets


async def test_the_other_secret_is_tried_at_once_and_kept() -> None:
    bench = Bench(client_secret=BOTH)
    bench.endpoint.by_secret[SECRET] = failure("invalid_client")
    await bench.started()
    assert bench.token().number == 1
    assert bench.endpoint.calls == [SECRET, OTHER_SECRET]
    assert bench.source.status().secret == "2 of 2"
    assert (bench.source.stats.successes, bench.source.stats.failures) == (1, {})
    await bench.clock.turn(2701)
    assert bench.endpoint.calls == [SECRET, OTHER_SECRET, OTHER_SECRET]


async def test_a_rotation_without_a_gap() -> None:
    bench = await Bench(client_secret=BOTH).started()
    assert bench.source.status().secret == "1 of 2"
    bench.endpoint.by_secret[SECRET] = failure("invalid_client")
    await bench.clock.turn(2701)
    assert bench.token().number == 2
    assert bench.source.status().secret == "2 of 2"


async def test_two_bad_secrets_are_one_failure() -> None:
    bench = Bench(client_secret=BOTH)
    bench.endpoint.by_secret = {SECRET: failure("invalid_client"), OTHER_SECRET: failure("invalid_client")}
    await bench.started()
    assert bench.endpoint.calls == [SECRET, OTHER_SECRET]
    assert bench.source.stats.failures == {"invalid_client": 1}


async def test_the_other_secret_is_not_tried_for_other_errors() -> None:
    bench = Bench(client_secret=BOTH)
    bench.endpoint.by_secret[SECRET] = failure("invalid_scope")
    await bench.started()
    assert bench.endpoint.calls == [SECRET]


async def test_no_secret_at_all_is_a_failure_in_words() -> None:
    bench = await Bench(client_secret=()).started()
    assert bench.source.stats.failures == {"credentials": 1}


# --------------------------------------------------------------------------------------------------------- reload


async def test_a_new_secret_is_tried_at_once() -> None:
    bench = Bench()
    bench.endpoint.by_secret[SECRET] = failure("invalid_client")
    await bench.started()
    bench.source.update(make_auth(client_secret=(Value(OTHER_SECRET),)), ("orders",))
    await settle()
    assert bench.token().number == 1
    assert bench.endpoint.calls == [SECRET, OTHER_SECRET]


async def test_a_new_secret_keeps_a_valid_token_and_costs_no_call() -> None:
    bench = await Bench().started()
    token = bench.token()
    bench.source.update(make_auth(client_secret=(Value(OTHER_SECRET),)), ("orders",))
    await settle()
    assert bench.token() is token
    assert bench.calls == 1
    await bench.clock.turn(2701)
    assert bench.endpoint.calls == [SECRET, OTHER_SECRET]


async def test_a_secret_that_changes_while_the_old_one_is_being_refused() -> None:
    bench = Bench()
    bench.endpoint.by_secret[SECRET] = failure("invalid_client")
    bench.endpoint.hold()
    await bench.started()
    bench.source.update(make_auth(client_secret=(Value(OTHER_SECRET),)), ("orders",))
    bench.endpoint.release()
    await settle()
    assert bench.token().number == 1, "without the pause of 30 s"


async def test_a_secret_that_changes_when_the_old_one_has_just_been_refused() -> None:
    bench = Bench()
    bench.endpoint.by_secret[SECRET] = failure("invalid_client")
    bench.endpoint.hold()
    await bench.started()
    bench.endpoint.release()
    await asyncio.sleep(0)
    # The call has failed; that its task is done will be heard in the loop's next turn.
    assert (bench.source.stats.failures, bench.source.status().fetching) == ({"invalid_client": 1}, True)
    bench.source.update(make_auth(client_secret=(Value(OTHER_SECRET),)), ("orders",))
    await settle()
    assert bench.token().number == 1, "without the pause of 30 s"


@pytest.mark.parametrize("changes", [{"tls": Tls(ca_file="/ca.pem")}, {"request_timeout": 3}])
async def test_other_settings_of_the_connection_are_tried_at_once(changes: dict[str, Any]) -> None:
    bench = Bench()
    bench.endpoint.script.append(failure("credentials"))
    await bench.started()
    bench.source.update(make_auth(**changes), ("orders",))
    await settle()
    assert bench.token().number == 1
    assert bench.connected == 2


async def test_settings_that_have_nothing_to_do_with_a_failure_do_not_end_its_pause() -> None:
    bench = Bench()
    bench.endpoint.script.append(failure("invalid_client"))
    await bench.started()
    bench.source.update(make_auth(refresh_at=0.5), ("orders", "billing"))
    await settle()
    assert bench.calls == 1
    await bench.clock.turn(31)
    assert bench.source.status().renew_at == pytest.approx(bench.clock.wall + 1800, abs=2)


async def test_another_client_is_another_source() -> None:
    with pytest.raises(ValueError, match="of its own"):
        Bench().source.update(make_auth(client_id=Value("another")), ("orders",))


# ------------------------------------------------------------------------------------------------- end and health


async def test_the_end_cancels_the_fetch_and_frees_who_waits() -> None:
    bench = Bench()
    bench.endpoint.hold()
    request = spawn(bench.source.wait(5), name="request")
    await settle()
    await bench.source.close()
    await settle()
    error = request.exception()
    assert isinstance(error, TokenUnavailable)
    assert error.detail == "the sidecar is shutting down"
    assert bench.endpoint.running == 0
    assert bench.clock.timers == []
    assert bench.source.alive()
    bench.source.poll()
    assert bench.source.current() is None
    await settle()
    assert bench.calls == 1


async def test_after_the_end_a_token_serves_as_long_as_it_lives() -> None:
    bench = await Bench().started()
    await bench.source.close()
    await bench.source.close()
    assert bench.token().number == 1
    bench.clock.sleep(7200)
    assert bench.source.current() is None
    assert bench.source.status().next_attempt_at is None


async def test_closing_before_the_fetch_has_begun() -> None:
    bench = Bench()
    bench.source.start()
    await bench.source.close()
    assert bench.calls == 0


async def test_a_fetch_cancelled_by_somebody_else_is_begun_again() -> None:
    bench = Bench()
    bench.endpoint.hold()
    await bench.started()
    (fetch,) = [task for task in asyncio.all_tasks() if task.get_name() == "token-fetch orders"]
    fetch.cancel()
    await settle()
    assert not bench.source.status().fetching
    assert bench.source.alive()
    bench.endpoint.release()
    bench.source.poll()
    await settle()
    assert bench.token().number == 1


async def test_a_source_that_fails_is_alive() -> None:
    bench = Bench()
    bench.endpoint.script.extend(failure("connection") for _ in range(5))
    await bench.started()
    assert bench.source.alive()
    await bench.clock.turn(10)
    assert bench.source.alive()


async def test_a_fetch_that_never_ends_is_a_fault() -> None:
    bench = Bench(request_timeout=10)
    bench.endpoint.hold()
    await bench.started()
    await bench.clock.turn(39)
    assert bench.source.alive()
    await bench.clock.turn(2)
    assert not bench.source.alive()


async def test_a_renewal_that_is_due_and_never_starts_is_a_fault() -> None:
    bench = await Bench().started()
    # Nothing looks at the time any more: no timer fires, nobody polls.
    bench.clock.sleep(7200)
    assert bench.source.alive(), "a machine that just woke up"
    bench.clock.monotonic += 31
    assert not bench.source.alive()
    bench.source.poll()
    await settle()
    assert bench.source.alive()


# --------------------------------------------------------------------------------------------- what it says of itself


async def test_status_over_a_life() -> None:
    bench = Bench()
    bench.endpoint.script.append(failure("server_error"))
    empty = bench.source.status()
    assert (empty.state, empty.usable, empty.number, empty.token_id, empty.lifetime) == ("EMPTY", False, 0, None, None)
    assert empty.scopes == ("orders/READ",)
    assert empty.next_attempt_at == bench.clock.wall

    await bench.started()
    failed = bench.source.status()
    assert failed.last_error == ("server_error", "words about server_error", bench.clock.wall)
    assert failed.next_attempt_at == bench.clock.wall + 1
    assert failed.consecutive_failures == 1

    await bench.clock.turn(1.001)
    fresh = bench.source.status()
    obtained = bench.clock.wall
    assert (fresh.state, fresh.usable, fresh.at_rest, fresh.fetching) == ("FRESH", True, False, False)
    assert (fresh.last_error, fresh.consecutive_failures) == (failed.last_error, 0), "it stays to be read, as past"
    assert (fresh.obtained_at, fresh.expires_at) == (obtained, obtained + 3600)
    assert fresh.renew_at == fresh.next_attempt_at == obtained + 2700
    assert (fresh.lifetime, fresh.secret, fresh.number) == (3600, "1 of 1", 1)
    assert fresh.token_id == bench.token().token_id

    bench.endpoint.hold()
    await bench.clock.turn(2701)
    stale = bench.source.status()
    assert (stale.state, stale.usable, stale.fetching, stale.next_attempt_at) == ("STALE", True, True, None)


async def test_stats() -> None:
    bench = Bench()
    bench.endpoint.script.extend([failure("timeout"), failure("timeout")])
    await bench.started()
    await bench.clock.turn(4)
    stats = bench.source.stats
    assert (stats.successes, stats.failures, stats.consecutive_failures) == (1, {"timeout": 2}, 0)
    assert stats.last_success_at == pytest.approx(bench.clock.wall - 1, abs=0.01)
    assert sum(stats.duration.counts) == 3


async def test_nothing_shows_a_credential() -> None:
    with log_lines() as lines:
        bench = Bench(client_secret=BOTH)
        bench.endpoint.by_secret[SECRET] = failure("invalid_client")
        await bench.started()
        bench.endpoint.script.extend([failure("server_error"), RuntimeError(f"quotes {OTHER_SECRET} and token-2")])
        token = bench.token()
        await bench.source.refused(1, 5)
        await bench.clock.turn(60)
        await bench.source.refused(bench.token().number, 5)
        bench.source.update(make_auth(client_secret=(Value("a-third-secret"),)), ("orders",))
        bench.endpoint.script.append(failure("invalid_client"))
        bench.clock.sleep(7200)
        with pytest.raises(TokenUnavailable) as caught:
            await bench.source.wait(1)
    shown = "\n".join([*map(str, lines), repr(bench.source), str(bench.source.status()), repr(token)])
    shown += repr(caught.value) + repr(caught.value.__context__) + repr(vars(bench.source))
    for credential in (SECRET, OTHER_SECRET, "a-third-secret", "token-"):
        assert credential not in shown.replace("token-fetch", "")
    assert {line["event"] for line in lines} == {
        "client_secret_switched",
        "client_secret_changed",
        "token_fetch_broke",
        "token_obtained",
        "token_refresh_failed",
        "token_refused",
        "token_renewal_did_not_help",
    }
    assert {line["upstream"] for line in lines} == {"orders"}


async def test_it_runs_on_the_machines_own_clock_and_client() -> None:
    source = TokenSource(make_auth(), ("orders",))
    assert repr(source) == "<token source of orders, EMPTY>"
    assert isinstance(source._clock, SystemClock)
    await source.close()
