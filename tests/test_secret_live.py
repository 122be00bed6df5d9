"""A sidecar at work, and every object of the program that is alive in it: none shows a secret."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxy import log
from tests.forward.rig import until
from tests.serving import World, within, world

SECRET, KEY, FIELD, PROXY = "s1", "canary-key", "canary-field", "canary-proxy"
CALLERS = ("canary-query", "canary-cookie", "canary-basic", "canary-body")
CANARIES = ("tok.1", KEY, FIELD, PROXY, *CALLERS)
"""The client's secret is as short as the token endpoint's script has it: it is looked for where it would stand."""


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    yield
    log.configure()


def _prepare(w: World) -> None:
    w.config["upstreams"]["orders"] = w.upstream(
        headers={"set": {"X-Api-Key": FIELD}},
        egress_proxy="none",
        auth={"extra_params": {"assertion": FIELD}},
    )
    w.config["upstreams"]["away"] = w.upstream(
        prefix="/away", egress_proxy=f"http://user:{PROXY}@127.0.0.1:9", required=False
    )
    w.config["require_header"] = {"name": "X-Key", "value": KEY}
    w.config["log"] = {"format": "json", "level": "debug", "access": True}


@pytest.mark.uvloop
async def test_no_living_object_shows_a_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path, _prepare) as w:
        await w.service.start()
        await until(lambda: w.views["orders"].token.usable and w.views["away"].token.last_error)
        address = urlsplit(w.url())
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        fields = (f"X-Key: {KEY}", "Cookie: s=canary-cookie", "Authorization: Basic canary-basic", "Content-Length: 11")
        head = "\r\n".join(("POST /half?key=canary-query HTTP/1.1", "Host: localhost", *fields, "", "canary-body"))
        writer.write(head.encode())
        await within(reader.readuntil(b"\r\n\r\nfirst"))

        alive = [one for one in gc.get_objects() if str(type(one).__module__).partition(".")[0] == "proxy"]
        kinds = Counter(type(one).__name__ for one in alive)
        shown = {f"{type(one).__name__}: {text}" for one in alive for text in (repr(one), str(one), f"{one}")}
        w.gateway.rest.set()
        assert await within(reader.readexactly(5)) == b"later"
        writer.close()
        await within(writer.wait_closed())

    for kind in ("CallerConnection", "Exchange", "RequestHead", "Admission", "Upstream", "AccessToken", "TokenSource"):
        assert kinds[kind], f"none of {kind} was seen alive, so that nothing is proven of it"
    assert [text for text in shown if any(canary in text for canary in CANARIES)] == []
    assert [text for text in shown if f"'{SECRET}'" in text or f":{SECRET}" in text] == []
    err = capsys.readouterr().err
    assert '"path": "/half"' in err
    assert [canary for canary in CANARIES if canary in err] == []
