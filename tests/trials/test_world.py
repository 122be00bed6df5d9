"""The processes of a trial together: a real sidecar between real neighbours, and every kind of ask on its way."""

from __future__ import annotations

import json
from pathlib import Path

from trials.asks import Ask
from trials.caller import Line, Manner
from trials.readings import read_until
from trials.world import EMULATOR, LOG, Surroundings, end, running_sidecar, surroundings


async def _ends(around: Surroundings, url: str) -> dict[str, tuple[str, int, int]]:
    """Of each kind of ask how it ended, its status, and where its bytes were not its own."""
    asks = [
        Ask("1", "POST", "sized", size=100_000, body=70_000),
        Ask("2", "PUT", "chunked", size=50_000, body=20_000, chunked=True),
        Ask("3", kind="slow", size=500, seconds=0.1),
        Ask("4", "DELETE", "late", size=5, seconds=0.1),
        Ask("5", "POST", "early", size=500, body=300),
        Ask("6", "HEAD", "sized", size=5),
        Ask("7", kind="once401", size=500),
        Ask("8", kind="events", size=5, seconds=0.1),
        Ask("9", kind="close", size=500),
        Ask("10", kind="eof"),
        Ask("11", kind="cut", size=500),
        Ask("12", kind="socket", body=30_000),
    ]
    found: dict[str, tuple[str, int, int]] = {}
    for ask in asks:
        line = await Line.open(url)
        [outcome] = await line.call([ask], Manner(keep=False, waits_for_100=ask.id == "1"))
        assert outcome.extra == 0
        found[ask.kind + ask.method] = (outcome.end, outcome.status, outcome.differs_at)
    return found


async def test_every_kind_of_ask_ends_as_it_should(tmp_path: Path) -> None:
    async with surroundings(tmp_path, records=True) as around:
        socket = str(tmp_path / "local.sock")
        second = {"listen": f"unix:{socket}", "auth": {"scopes": [EMULATOR.second_scope]}}
        config = around.configuration({"orders": {"pool": {"keepalive": "200ms"}}, "local": second})
        async with running_sidecar(tmp_path, config, descriptors=200) as sidecar:
            right = ("whole", 200, -1)
            assert await _ends(around, sidecar.url("orders")) == {
                **dict.fromkeys(("sizedPOST", "chunkedPUT", "slowGET", "lateDELETE", "earlyPOST", "sizedHEAD"), right),
                **dict.fromkeys(("once401GET", "eventsGET", "closeGET"), right),
                "eofGET": ("whole", 502, -1),
                "cutGET": ("cut", 200, -1),
                "socketGET": ("whole", 101, -1),
            }
            line = await Line.open(f"unix:{socket}")
            [outcome] = await line.call([Ask("13", size=10)], Manner(keep=False))
            assert (outcome.end, outcome.status, outcome.differs_at) == ("whole", 200, -1)

            await around.issuer.rotate_keys(keep_old=False)
            await around.upstream.kill()
            await around.upstream.start()
            line = await Line.open(sidecar.url("orders"))
            [outcome] = await line.call([Ask("14", "POST", body=10)], Manner(keep=False))
            assert (outcome.end, outcome.status, outcome.differs_at) == ("whole", 200, -1)

            used = await read_until(around.session, sidecar.admin, lambda one: not one.caller_connections, seconds=20)
            assert used.tasks > 0
            assert await end(sidecar) == 0
        assert '"event": "drained"' in (tmp_path / LOG).read_text()
    records = [json.loads(line) for line in (tmp_path / "upstream.jsonl").read_text().splitlines()]
    arrivals = [(one["id"], one["verdict"]) for one in records if one["what"] == "arrival"]
    twice = [("7", "valid"), ("7", "valid"), ("14", "revoked key"), ("14", "valid")]
    assert [one for one in arrivals if one[0] in ("7", "14")] == twice
    assert [one for one in records if one["what"] == "mixed"] == []
    assert all(one["right"] for one in records if one["what"] == "body")
