"""One round: processes and links, a warm-up, load with faults, the way back to health, rest, and the end."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.certificates import Authority
from tests.processes import Sidecar, free_port
from trials.asks import Ask
from trials.caller import Line, Manner, Outcome
from trials.chaos.crowd import Crowd
from trials.chaos.faults import Faults, LogPipe
from trials.chaos.link import Link
from trials.chaos.records import Beat, Done, Ending, Probe, Records, read_upstream
from trials.chaos.scenarios import Scenario
from trials.chaos.script import write_script
from trials.readings import Readings, read_until, status
from trials.world import LOG, Surroundings, end, running_sidecar, surroundings

WARM_UP: Final = 1.0
"""Seconds of load before the first readings."""
CALM: Final = 0.5
"""Seconds of load after everything is well again."""
WELL_WITHIN: Final = 10.0
"""Seconds after the last fault, besides what back-off and a cool-down take."""
COOL_DOWN: Final = 30.0
"""After a renewal that did not help, a 401 is passed on for so long (`cooling_down` in docs/metrics.md)."""
REST: Final = 15.0
"""Seconds in which all connections have to be gone once the callers are."""
_AGAIN: Final = 0.1
_BEAT: Final = 0.2

_PLAIN: Final = {
    "GET": Ask("", "GET", size=100),
    "POST": Ask("", "POST", size=100, body=1_000),
    "chunked PUT": Ask("", "PUT", "chunked", size=1_000, body=1_000, chunked=True),
    "event stream": Ask("", "GET", "events", size=2, seconds=0.1),
    "WebSocket": Ask("", "GET", "socket", body=1_000),
}


async def play(scenario: Scenario, seed: int, seconds: float, directory: Path, say: Callable[[str], None]) -> Records:
    """Play it, with files in `directory`. Raises where it cannot even begin."""
    async with AsyncExitStack() as stack:
        around = await stack.enter_async_context(
            surroundings(directory, token_lifetime=scenario.life, records=True, kind=scenario.issuer)
        )
        authority = Authority(directory) if scenario.tls else None
        context = authority.server_context("127.0.0.1") if authority is not None else None
        links = {
            "issuer": await stack.enter_async_context(_link(around.issuer.port)),
            "upstream": await stack.enter_async_context(_link(around.upstream.port, context)),
        }
        log = LogPipe(directory / "log.pipe", directory / LOG) if scenario.log == "pipe" else None
        if log is not None:
            stack.callback(log.close)
        sidecar = await stack.enter_async_context(
            running_sidecar(
                directory,
                _configuration(scenario, around, links, directory, authority),
                log=_REDIRECTS.get(scenario.log, "").format(directory=directory),
                descriptors=scenario.descriptors,
            )
        )
        timeline: list[Done] = []

        def note(done: Done) -> None:
            timeline.append(done)
            say(f"{done.at:6.2f} s  {done.what}")

        faults = Faults(around, sidecar, links, log, seed, note)
        places = {name: sidecar.url(name) if name != "local" else f"unix:{directory}/local.sock" for name in _VIAS}
        crowd = Crowd(seed, places)

        crowd.start()
        await asyncio.sleep(WARM_UP)
        await crowd.stop()
        before = await _at_rest(around.session, sidecar)

        crowd.start()
        beats: list[Beat] = []
        listening = asyncio.create_task(_listen(sidecar, faults, beats))
        await faults.carry_out(write_script(scenario.kinds, seed, seconds))
        if scenario.mends:
            await faults.mend()
        bound = await _bound(around.session, sidecar)
        faults.say(f"the faults are over; all has to be well within {bound:.0f} s")
        probes = await _probe(around.session, sidecar, places, seed, bound)
        faults.say("well again" if all(probe.seconds is not None for probe in probes) else "not well again")
        await asyncio.sleep(CALM)
        listening.cancel()
        after: Readings | None = None
        if not scenario.under_load:
            await crowd.stop()
            after = await _at_rest(around.session, sidecar)
        faults.say("SIGTERM")
        told_to_end = time.time()
        ending = await _end(sidecar)
        await crowd.stop()
        faults.say(f"ended with exit code {ending.code}")
    upstream = (directory / "upstream.jsonl").read_text(encoding="utf-8").splitlines()
    lines = (directory / LOG).read_text(errors="replace").splitlines() if (directory / LOG).exists() else []
    return read_upstream(upstream)._replace(
        outcomes=tuple(crowd.outcomes),
        passages=tuple(links["upstream"].passages),
        kids=frozenset(around.issuer.kids),
        told_to_end=told_to_end,
        harmless=scenario.harmless,
        probes=tuple(probes),
        beats=tuple(beats),
        before=before,
        after=after if not scenario.under_load else before,
        ending=ending,
        log=tuple(lines),
        secrets=frozenset(around.issuer.secrets),
        timeline=tuple(timeline),
    )


_VIAS: Final = ("orders", "strict", "local")
_REDIRECTS: Final = {
    "pipe": "2>'{directory}/log.pipe'",
    "full": ">/dev/full 2>&1",
    "closed": ">&- 2>&-",
}


def _configuration(
    scenario: Scenario,
    around: Surroundings,
    links: Mapping[str, Link],
    directory: Path,
    authority: Authority | None,
) -> dict[str, Any]:
    """Three upstreams: one that sends again after a 401, one that does not, and one with a token of its own."""
    listen = f"127.0.0.1:{free_port()}"
    patience = f"{scenario.patience}s"
    auth = {"wait": patience, "request_timeout": "3s"}
    common: dict[str, Any] = {
        "timeouts": dict.fromkeys(("connect", "response", "idle"), patience),
        "pool": {"max_connections": 20, "keepalive": "1s"},
        "replay_limit": "16KiB",
        "auth": auth,
    }
    base = f"127.0.0.1:{links['upstream'].port}"
    if authority is not None:
        base, common["tls"] = f"https://{base}", {"ca_file": authority.ca_file}
    else:
        base = f"http://{base}"
    local = {**auth, "scopes": [scenario.issuer.second_scope]}
    return around.configuration(
        {
            "orders": {**common, "listen": listen, "url": f"{base}/dev"},
            "strict": {**common, "listen": listen, "url": base, "prefix": "/strict", "retry_on_401": False},
            "local": {**common, "listen": f"unix:{directory}/local.sock", "url": base, "auth": local},
        },
        issuer_port=links["issuer"].port,
        log={"level": "debug", "format": "json", "access": True},
        shutdown={"grace": "8s"},
    )


@asynccontextmanager
async def _link(target: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Link]:
    link = Link(free_port(), target, tls)
    await link.open()
    try:
        yield link
    finally:
        await link.close()


async def _at_rest(session: aiohttp.ClientSession, sidecar: Sidecar) -> Readings | None:
    try:
        return await read_until(session, sidecar.admin, lambda one: one.at_rest, seconds=REST)
    except (aiohttp.ClientError, TimeoutError):
        return None


async def _bound(session: aiohttp.ClientSession, sidecar: Sidecar) -> float:
    """Seconds in which everything has to be well: the sidecar itself says when it asks for a token next."""
    try:
        told = await status(session, sidecar.admin)
    except (aiohttp.ClientError, TimeoutError):
        return WELL_WITHIN
    due = [one["next_attempt_at"] for one in told["upstreams"].values() if one["consecutive_failures"]]
    waits = [datetime.fromisoformat(at).timestamp() + 1 - time.time() for at in due if at]
    return WELL_WITHIN + max(0.0, *waits, 0.0)


async def _probe(
    session: aiohttp.ClientSession, sidecar: Sidecar, places: Mapping[str, str], seed: int, bound: float
) -> list[Probe]:
    """Ask for each plain thing until it is right, all at the same time."""
    probes = [
        _until_right(f"{name} by {via}", places[via], via, ask._replace(id=f"{seed}.probe.{via}.{index}"), bound)
        for via in _VIAS
        for index, (name, ask) in enumerate(_PLAIN.items())
    ]
    return await asyncio.gather(*probes, _until_ready(session, sidecar.admin, bound))


async def _until_right(name: str, place: str, via: str, ask: Ask, bound: float) -> Probe:
    began, tries, last = time.monotonic(), 0, ""
    while (passed := time.monotonic() - began) < bound:
        tries += 1
        try:
            line = await Line.open(place, via)
            [outcome] = await line.call([ask._replace(id=f"{ask.id}.{tries}")], Manner(keep=False))
        except OSError as error:
            last = f"no connection ({type(error).__name__})"
        else:
            if _right(outcome):
                return Probe(name, round(time.monotonic() - began, 2), bound)
            last = f"{outcome.end} {outcome.status} {outcome.error}"
            if outcome.status == 401:
                bound = max(bound, WELL_WITHIN + COOL_DOWN)
        await asyncio.sleep(_AGAIN)
    return Probe(name, None, passed, last)


def _right(outcome: Outcome) -> bool:
    status = 101 if outcome.kind == "socket" else 200
    return outcome.end == "whole" and outcome.status == status and outcome.length == outcome.expected


async def _until_ready(session: aiohttp.ClientSession, admin: str, bound: float) -> Probe:
    began, last = time.monotonic(), ""
    while (passed := time.monotonic() - began) < bound:
        try:
            async with session.get(f"{admin}/readyz", timeout=aiohttp.ClientTimeout(total=5)) as response:
                if response.status == 200:
                    return Probe("/readyz", round(time.monotonic() - began, 2), bound)
                last = (await response.text()).replace("\n", "; ")
        except (aiohttp.ClientError, TimeoutError) as error:
            last = f"no answer ({type(error).__name__})"
        await asyncio.sleep(_AGAIN)
    return Probe("/readyz", None, passed, last)


async def _listen(sidecar: Sidecar, faults: Faults, beats: list[Beat]) -> None:
    """Look at `/livez` again and again, on a connection of its own."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        while True:
            began, at, well = time.monotonic(), faults.now, False
            frozen, freezes = faults.frozen, faults.freezes
            try:
                async with session.get(f"{sidecar.admin}/livez") as response:
                    well = response.status == 200
            except (aiohttp.ClientError, TimeoutError):
                pass
            beats.append(Beat(at, round(time.monotonic() - began, 3), well, frozen or faults.freezes > freezes))
            await asyncio.sleep(_BEAT)


async def _end(sidecar: Sidecar) -> Ending:
    by_itself = not sidecar.running
    began = time.monotonic()
    code = await end(sidecar)
    return Ending(by_itself, code, round(time.monotonic() - began, 2))
