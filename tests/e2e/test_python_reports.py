"""What Python itself reports when it is asked to be talkative, and when the process is ended by a fatal signal.

The event loop's debug mode describes callbacks with their arguments, faulthandler says where every thread was.
`test_nothing_is_told.py` reads what the sidecar says by itself.
"""

from __future__ import annotations

import asyncio
import signal
from urllib.parse import urlsplit

from proxy.emulator import Emulator
from tests.canaries import leaks
from tests.e2e.hostile import hostile, message
from tests.processes import PATIENCE, StartSidecar

KEY, COOKIE, BODY = "the-callers-key-0f1e2d3c4b5a", "a-cookie-of-its-own-9c8b7a6f", "the-body-of-a-request-5e4d3c2b"
TALKATIVE = {"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1"}


async def test_pythons_own_reports_hold_no_secret(sidecar_process: StartSidecar) -> None:
    async with Emulator() as emulator, hostile({"orders": lambda _: message("200 OK", "ok")}) as upstream:
        secret = emulator.settings.client_secrets[0]
        auth = {
            "token_url": emulator.token_url,
            "client_id": emulator.settings.client_id,
            "client_secret": {"env": "SECRET"},
        }
        config = {
            "upstreams": {"orders": {"url": f"{upstream.url}/orders", "auth": auth}},
            "require_header": {"name": "X-Key", "value": {"env": "KEY"}},
            "log": {"level": "debug"},
        }
        async with sidecar_process(config, {"SECRET": secret, "KEY": KEY, **TALKATIVE}) as sidecar:
            address = urlsplit(sidecar.url("orders"))
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            fields = (f"X-Key: {KEY}", f"Cookie: {COOKIE}", f"Content-Length: {len(BODY)}")
            head = "\r\n".join(("POST / HTTP/1.1", "Host: localhost", *fields, "", ""))
            writer.write((head + BODY).encode())
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.write((head + BODY[:-1]).encode())  # Another one that is under way, or about to be.
            sidecar.send(signal.SIGABRT)
            assert await sidecar.ended() == -signal.SIGABRT
            writer.close()
        credential = upstream.calls[-1].credential
    assert "Fatal Python error: Aborted" in sidecar.output
    told = {"what it printed": sidecar.output}
    assert leaks([secret, KEY, COOKIE, BODY, credential.removeprefix("Bearer ")], told) == []
