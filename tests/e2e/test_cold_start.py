"""Started before what it depends on: it says what is missing, serves the reason, and goes on by itself."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from proxy.emulator import Emulator
from tests.e2e.world import World, until, world
from tests.processes import StartSidecar, free_port
from tests.serving import TokenEndpoint


async def says(w: World) -> dict[str, Any]:
    """The first line that says why the upstream has no token."""
    line: dict[str, Any] = json.loads(await w.sidecar.printed('"token_refresh_failed"'))
    assert (line["upstream"], line["level"], line["consecutive"]) == ("http", "warning", 1)
    assert 0 < line["next_attempt_in"] <= 1
    return line


async def refused(w: World) -> tuple[int, str, str]:
    """Status, name and reason of the answer to a request."""
    async with w.session.get(w.sidecar.url("http") + "/") as response:
        problem = await response.json(content_type="application/problem+json")
        if response.status == 503:
            assert int(response.headers["Retry-After"]) >= 1
        return response.status, response.headers["X-Sidecar-Error"], problem["detail"]


async def well(w: World) -> None:
    """Wait until a request gets through, and for the probes to agree."""

    async def answered() -> bool:
        return (await w.get())[0] == 200

    await until(answered)
    assert (await w.page("/startupz"))[0] == 200
    assert (await w.page("/readyz"))[0] == 200
    assert "Traceback" not in w.sidecar.output


async def ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


async def test_before_the_token_endpoint(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    port = free_port()
    upstream = {"url": f"http://127.0.0.1:{port}/http"}
    auth = {"token_url": f"http://127.0.0.1:{port}/oauth2/token", "wait": "100ms"}
    async with world(sidecar_process, tmp_path, ready=False, upstream=upstream, auth=auth) as w:
        line = await says(w)
        assert line["reason"] == "connection"
        assert line["detail"] == "there is no connection to the token endpoint (connection refused)"
        status, name, detail = await refused(w)
        assert (status, name) == (503, "token_unavailable")
        assert detail.startswith("connection: there is no connection to the token endpoint (connection refused)")
        assert (await w.page("/startupz"))[0] == 503
        assert (await w.page("/livez"))[0] == 200

        late = Emulator(w.emulator.settings)
        await late.start(port=port)
        await well(w)
        await late.close()


async def test_a_name_that_does_not_resolve(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    auth = {"token_url": "https://login.nobody.invalid/oauth2/token", "wait": "100ms"}
    upstream = {"url": "https://api.nobody.invalid"}
    async with world(sidecar_process, tmp_path, ready=False, auth=auth, upstream=upstream) as w:
        assert (await says(w))["detail"] == "the token endpoint's name cannot be resolved"
        status, name, detail = await refused(w)
        assert (status, name) == (503, "token_unavailable")
        assert detail.startswith("connection: the token endpoint's name cannot be resolved")
        w.sidecar.send(signal.SIGTERM)
        assert await w.sidecar.ended() == 0


async def test_a_token_endpoint_that_accepts_and_never_answers(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with TokenEndpoint() as endpoint:
        endpoint.open.clear()
        auth = {
            "token_url": endpoint.url,
            "client_id": "id",
            "client_secret": "s1",
            "scopes": [],
            "request_timeout": "300ms",
            "wait": "100ms",
        }
        async with world(sidecar_process, tmp_path, ready=False, auth=auth) as w:
            # Before it is known what is wrong a caller does not wait for longer than it should either.
            status, name, _ = await refused(w)
            assert (status, name) == (503, "token_unavailable")
            assert (await says(w))["reason"] == "timeout"
            assert (await refused(w))[2].startswith("timeout: the token endpoint did not answer within 0.3 s")
            endpoint.open.set()

            async def ready() -> bool:
                return (await w.page("/readyz"))[0] == 200

            await until(ready)


async def test_before_the_upstream(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    port = free_port()
    async with world(sidecar_process, tmp_path, upstream={"url": f"http://127.0.0.1:{port}/http"}) as w:
        status, name, detail = await refused(w)
        assert (status, name) == (502, "upstream_unreachable")
        assert f"127.0.0.1:{port}" in detail
        assert (await w.page("/readyz"))[0] == 200, "an upstream that is down is no reason to take the sidecar away"
        async with await asyncio.start_server(ok, "127.0.0.1", port):
            await well(w)
