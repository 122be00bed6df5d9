"""Renewal that nobody sees: short lives, stampedes, rotations, all under load on a real process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from proxy.emulator import Emulator, Settings
from tests.e2e.world import World, until, world
from tests.processes import StartSidecar


def statuses(w: World, kind: str = "http") -> dict[str, int]:
    """What the gateway answered, by status."""
    found: dict[str, int] = w.emulator.calls()["gateways"][kind]["by_status"]
    return found


async def test_500_first_requests_cost_one_token_call(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    def slow_first_call(emulator: Emulator) -> None:
        emulator.set_faults({"token": [{"fault": "delay", "seconds": 2}]})

    async with world(sidecar_process, tmp_path, before=slow_first_call, ready=False, auth={"wait": "20s"}) as w:
        raw = [asyncio.open_connection("127.0.0.1", int(w.sidecar.url("http").rpartition(":")[2])) for _ in range(500)]
        connections = await asyncio.gather(*raw)
        for _, writer in connections:
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
        for _, writer in connections:
            writer.close()

        assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 500
        assert w.emulator.token_calls == 1


async def test_three_lives_under_load_and_no_expired_token(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path, settings=Settings(token_lifetime=2)) as w:
        answers = await w.load(lambda: w.emulator.token_calls < 5)

        assert {status for status, _ in answers} == {200}
        assert statuses(w) == {"200": len(answers)}, "the gateway never saw a token that it had to refuse"
        _, metrics = await w.page("/metrics")
        assert 'cognito_sidecar_token_refresh_failures_total{reason="timeout",upstream="http"} 0.0' in metrics


async def test_a_failing_endpoint_is_not_noticed_while_the_token_lives(
    sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    async with world(sidecar_process, tmp_path, settings=Settings(token_lifetime=8), auth={"refresh_at": 0.2}) as w:
        w.emulator.set_faults({"token": [{"fault": "status", "status": 500, "count": 2}]})
        answers = await w.load(lambda: w.emulator.token_calls < 4, callers=2)

        assert {status for status, _ in answers} == {200}
        told = await w.status()
        assert told["state"] == "FRESH"
        assert told["last_error"]["reason"] == "server_error", "it stays to be read, with its time"
        assert told["consecutive_failures"] == 0
        assert told["token_calls"] == {"success": 2, "failure": 2}


async def test_new_signing_keys_cost_each_caller_nothing(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path) as w:
        for _ in range(3):
            await w.emulator.rotate_keys()
            answers = await asyncio.gather(*(w.get() for _ in range(20)))
            assert {status for status, _ in answers} == {200}

        assert w.emulator.token_calls == 4, "one for each rotation, however many callers were refused"
        _, metrics = await w.page("/metrics")
        replayed = next(line for line in metrics.splitlines() if 'unauthorized_total{outcome="replayed"' in line)
        assert float(replayed.split()[-1]) >= 3


async def test_a_post_is_sent_again_with_its_whole_body(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with world(sidecar_process, tmp_path) as w:
        w.emulator.revoke_tokens()
        body = bytes(range(256)) * 200
        async with w.session.post(w.sidecar.url("http") + "/echo", data=body) as response:
            seen = json.loads(await response.read())
            assert response.status == 200
        assert seen["body"]["length"] == len(body)


async def test_secret_rotation_by_the_book(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    """Cognito's way: a second secret is made, the sidecar is given it, the first is deleted. Nobody notices."""
    async with world(sidecar_process, tmp_path, settings=Settings(token_lifetime=3)) as w:
        going = True
        load = asyncio.ensure_future(w.load(lambda: going, callers=4))
        secret = w.emulator.rotate_secret()
        w.secret_file.write_text(secret)  # noticed by its content, within 5 s
        await w.sidecar.printed("client_secret_changed")
        w.emulator.revoke_secret()
        calls = w.emulator.token_calls

        async def renewed_twice() -> bool:
            await w.get()
            return w.emulator.token_calls >= calls + 2

        await until(renewed_twice)
        going = False
        answers = await load

        assert {status for status, _ in answers} == {200}
        assert set(w.emulator.calls()["token"]["by_outcome"]) == {"success"}, "no call was wasted on the old secret"


async def test_with_two_secrets_the_one_that_works_is_found(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    auth = {"client_secret": ["a_secret_that_has_been_deleted_already", "emulator_secret_for_this_machine_only"]}
    async with world(sidecar_process, tmp_path, auth=auth) as w:
        assert (await w.get())[0] == 200
        told = await w.status()
        assert told["secret"] == "2 of 2"
        assert w.emulator.token_calls == 2
