"""Real sidecars that share tokens through a real engine, whatever becomes of the engine and of the one who renews.

In each of these, callers ask all the time, and every answer is 200 (`tests.e2e.fleet`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.e2e.fleet import fleet, until
from tests.processes import Sidecar, StartSidecar, free_port
from tests.tokens.shared.engines import Valkey, redis_with_tls, tls_url, valkey

SIDECARS: Final = int(os.environ.get("SIDECARS", "20"))
"""Of the largest fleet here. Each costs a second of a CPU and 55 MiB; SIDECARS=40 makes it forty."""
LIFE: Final = 6
"""Seconds. Up to one of them is lost by rounding (`jwt_life`); then it is renewed at 70 to 80 % of what is left."""
SOONEST: Final = 0.7 * (LIFE - 1)
LATE: Final = 2.0
"""Seconds that the line about a token may be late, in the rush of the start."""

Change = Callable[[Valkey], Any]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Valkey]:
    async with valkey(tmp_path) as server:
        yield server


def _cache(engine: Valkey, **changes: Any) -> dict[str, Any]:
    return {"url": engine.url, **changes}


@pytest.mark.timeout(180)
async def test_one_call_for_each_life(sidecar_process: StartSidecar, tmp_path: Path, engine: Valkey) -> None:
    """From the first to the last, while the fleet grows as well as after that."""
    async with fleet(sidecar_process, tmp_path, life=LIFE) as pods:
        await pods.grow(SIDECARS, _cache(engine, timeout="2s"))
        for _ in range(2):
            await pods.next_token()
        renewals = pods.renewals()
        assert len(renewals) == pods.emulator.token_calls
        passed = (renewals[-1] - renewals[0]).total_seconds()
        assert len(renewals) - 1 <= (passed + LATE) / SOONEST, renewals
        tokens = pods.obtained()
        assert len({token for token, _ in tokens}) == len(renewals)
        assert len(tokens) >= 3 * SIDECARS
        assert not pods.events("token_cache_failed")


class Line:
    """What lies between one sidecar and the engine: it ends the sidecar at a moment that only it can see."""

    def __init__(self, engine: Valkey, sign: bytes, *, answered: bool) -> None:
        """The moment: a command that holds `sign`, before the engine has it, or when it is `answered`."""
        self.port = free_port()
        self._engine = engine
        self._sign = sign
        self._answered = answered
        self.victim: asyncio.Future[Sidecar] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_engine = await asyncio.open_connection("127.0.0.1", self._engine.port)
        try:
            while command := await reader.read(65536):
                hit = self._sign in command
                if hit and not self._answered:
                    await self._strike()
                    return
                to_engine.write(command)
                answer = await there.read(65536)
                if hit:
                    await self._strike()
                    return
                writer.write(answer)
        except ConnectionError:
            pass
        finally:
            to_engine.transport.abort()
            writer.transport.abort()

    async def _strike(self) -> None:
        victim = await self.victim
        if victim.running:
            victim.send(signal.SIGKILL)


@asynccontextmanager
async def _line(line: Line) -> AsyncIterator[None]:
    async with await asyncio.start_server(line.serve, "127.0.0.1", line.port):
        yield


TAKES_THE_LOCK: Final = b"\r\nNX\r\n"
STORES_THE_TOKEN: Final = b"\r\n\x01"
"""The first byte of an entry."""


CALLS: Final[dict[str, Any]] = {"request_timeout": "500ms"}
"""A lock lives for as long as a call, and five seconds."""


class Death(NamedTuple):
    """When the one who renews is killed."""

    when: str
    sign: bytes | None
    """As for a Line; None: while the token endpoint answers."""
    answered: bool
    calls: int
    """Of the token endpoint: the first, the victim's where it made one, and what its death costs."""


DEATHS: Final = (
    Death("after the lock", TAKES_THE_LOCK, answered=True, calls=2),
    Death("in the call", None, answered=False, calls=3),
    Death("after the call", STORES_THE_TOKEN, answered=False, calls=3),
    Death("after the token is stored", STORES_THE_TOKEN, answered=True, calls=2),
)


async def test_the_renewer_is_killed(sidecar_process: StartSidecar, tmp_path: Path, engine: Valkey) -> None:
    """One call is made in its place, when its lock has ended; none where it had stored its token."""
    found = await asyncio.gather(*(_killed(death, sidecar_process, tmp_path, engine) for death in DEATHS))
    assert found == [(death.when, death.calls) for death in DEATHS]


async def _killed(death: Death, start: StartSidecar, directory: Path, engine: Valkey) -> tuple[str, int]:
    """How many calls there were until the others had a new token."""
    line = Line(engine, death.sign or b"never", answered=death.answered)
    folder = directory / death.when
    folder.mkdir()
    async with fleet(start, folder, life=30) as pods, _line(line):
        # Without jitter: what they take from the cache is a second or two newer, and may not be due already.
        peers = await pods.grow(2, _cache(engine, timeout="2s"), refresh_at=0.5, refresh_jitter=0, **CALLS)
        # Longer than the victim has to live; shorter than a call may take.
        called = await pods.delay_a_call(0.4) if death.sign is None else None
        # It takes the token that there is, and begins to renew that at once.
        cache = {"url": f"redis://127.0.0.1:{line.port}", "timeout": "2s"}
        victim, *_ = await pods.grow(1, cache, ready=False, refresh_at=0.02, refresh_jitter=0.01, **CALLS)
        line.victim.set_result(victim)
        if called is not None:
            await until(called)
            assert victim.running, victim.output
            victim.send(signal.SIGKILL)
        assert await victim.ended() == -signal.SIGKILL, victim.output
        await pods.next_token(peers)
        assert not pods.events("token_refresh_failed")
        assert not pods.events("token_cache_failed")
        return death.when, pods.emulator.token_calls


@pytest.mark.parametrize("away", ["killed", "frozen"])
async def test_the_engine_goes_and_comes_back(
    sidecar_process: StartSidecar, tmp_path: Path, engine: Valkey, away: str
) -> None:
    async with fleet(sidecar_process, tmp_path, life=LIFE) as pods:
        await pods.grow(6, _cache(engine))
        await pods.next_token()
        shared = pods.emulator.token_calls
        if away == "killed":
            await engine.stop()
        else:
            engine.freeze()
        held = {sidecar: pods.holds(sidecar) for sidecar in pods.sidecars}

        async def alone() -> bool:
            await pods.turn()
            return all(pods.holds(sidecar) != held[sidecar] for sidecar in pods.sidecars)

        await until(alone)
        assert pods.emulator.token_calls >= shared + 6, "each for itself"
        said = pods.events("token_cache_failed")
        assert len(said) == 6, "once by each"
        assert {line["trouble"] for line in said} == {"connection" if away == "killed" else "timeout"}
        if away == "killed":
            await engine.start()
        else:
            engine.thaw()
        await pods.next_token()
        before = len(pods.renewals())
        await pods.next_token()
        assert len(pods.renewals()) == before + 1, "one for all again"
        assert len(pods.events("token_cache_used_again")) == 6


async def test_a_wrong_password(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    """Right in one half of the fleet, wrong in the other: that one calls for itself."""
    async with valkey(tmp_path, "--requirepass", "right") as engine, fleet(sidecar_process, tmp_path, life=60) as pods:
        right = await pods.grow(2, _cache(engine, password="right"))
        assert pods.emulator.token_calls == 1
        wrong = await pods.grow(2, _cache(engine, password="a-wrong-one"))
        assert pods.emulator.token_calls == 3
        assert len({pods.holds(sidecar) for sidecar in right}) == 1
        said = pods.events("token_cache_failed")
        assert [line["trouble"] for line in said] == ["denied"] * 2
        assert not any("a-wrong-one" in sidecar.output for sidecar in wrong)
        assert await pods.operations("get", "denied") == 2


async def test_a_poisoned_entry(sidecar_process: StartSidecar, tmp_path: Path, engine: Valkey) -> None:
    async with fleet(sidecar_process, tmp_path, life=60) as pods:
        await pods.grow(2, _cache(engine))
        (key,) = await engine.keys()
        good = await engine.raw(key)
        await engine.spoil(key, good[:-1] + bytes([good[-1] ^ 1]))
        third, *_ = await pods.grow(1, _cache(engine))
        assert pods.emulator.token_calls == 2, "it is not believed, and replaced"
        assert await pods.operations("get", "rejected") == 2, "before it has the lock, and after that"
        fourth, *_ = await pods.grow(1, _cache(engine))
        assert pods.obtained([fourth]) == [(pods.holds(third), "cache")]
        assert pods.emulator.token_calls == 2


async def test_a_secret_is_rotated_half_way_through_the_fleet(
    sidecar_process: StartSidecar, tmp_path: Path, engine: Valkey
) -> None:
    async with fleet(sidecar_process, tmp_path, life=LIFE) as pods:
        old = await pods.grow(2, _cache(engine), secret="one")
        new = await pods.grow(2, _cache(engine), secret="other")
        await pods.next_token()
        calls = pods.emulator.token_calls
        assert calls == len(pods.renewals())
        secret = pods.emulator.rotate_secret()
        (tmp_path / "other").write_text(secret + "\n")
        for sidecar in new:
            sidecar.send(signal.SIGHUP)
            await sidecar.printed('"client_secret_changed"')
        # Each half now reads its own entry, and neither writes over the other's.
        await asyncio.gather(pods.next_token(old), pods.next_token(new))
        assert pods.emulator.token_calls <= calls + 4
        assert len(await engine.keys()) >= 2
        (tmp_path / "one").write_text(secret + "\n")
        for sidecar in old:
            sidecar.send(signal.SIGHUP)
            await sidecar.printed('"client_secret_changed"')
        pods.emulator.revoke_secret()
        await pods.next_token()
        calls = pods.emulator.token_calls
        await pods.next_token()
        assert pods.emulator.token_calls == calls + 1
        assert not pods.events("token_refresh_failed")


async def test_by_tls_and_as_a_user_of_its_own(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    user = ("sidecar", "on", ">right", "~cognito-sidecar:*", "+get", "+getrange", "+set", "+eval", "+del", "+pexpire")
    folder = tmp_path / "engine"
    folder.mkdir()
    async with redis_with_tls(folder, "--user", *user, "--user", "default", "off") as (engine, authority):
        cache = {"url": tls_url(engine), "username": "sidecar", "password": "right", "ca_file": authority.ca_file}
        async with fleet(sidecar_process, tmp_path, life=60) as pods:
            await pods.grow(3, cache | {"timeout": "2s"})
            assert pods.emulator.token_calls == 1
            assert sorted(origin for _, origin in pods.obtained()) == ["cache", "cache", "endpoint"]
