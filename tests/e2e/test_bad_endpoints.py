"""Slow, dead and lying token endpoints: the caller is told whose fault it is, and it ends when the fault ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.emulator import Emulator
from tests.e2e.world import until, world
from tests.processes import StartSidecar, free_port

NOT_REQUIRED = {"required": False}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param({"fault": "error", "error": "invalid_client"}, "invalid_client", id="invalid_client"),
        pytest.param({"fault": "error", "error": "invalid_scope"}, "invalid_scope", id="invalid_scope"),
        pytest.param({"fault": "error", "error": "unauthorized_client"}, "unauthorized_client", id="unauthorized"),
        pytest.param({"fault": "error", "error": "invalid_grant"}, "invalid_grant", id="invalid_grant"),
        pytest.param({"fault": "status", "status": 429}, "throttled", id="429"),
        pytest.param({"fault": "status", "status": 500}, "server_error", id="500"),
        pytest.param({"fault": "empty"}, "malformed_response", id="empty 200"),
        pytest.param({"fault": "broken_json"}, "malformed_response", id="broken JSON"),
        pytest.param({"fault": "html"}, "malformed_response", id="a web page"),
        pytest.param({"fault": "drop"}, "connection", id="dropped connection"),
        pytest.param({"fault": "delay", "seconds": 60}, "timeout", id="slower than request_timeout"),
    ],
)
async def test_each_fault_has_its_reason_and_an_end(
    fault: dict[str, Any], reason: str, sidecar_process: StartSidecar, tmp_path: Path
) -> None:
    def break_it(emulator: Emulator) -> None:
        emulator.set_faults({"token": [{**fault, "count": "all"}]})

    auth = {"request_timeout": "300ms", "wait": "500ms"}
    async with world(sidecar_process, tmp_path, before=break_it, upstream=NOT_REQUIRED, auth=auth) as w:

        async def told_so() -> bool:
            return (await w.status())["last_error"] is not None

        await until(told_so)
        async with w.session.get(w.sidecar.url("http") + "/") as response:
            problem = json.loads(await response.read())
            assert response.status == 503
            assert response.headers["X-Sidecar-Error"] == "token_unavailable"
            assert response.headers["Content-Type"] == "application/problem+json"
            assert int(response.headers["Retry-After"]) >= 1
        assert problem["type"] == "urn:cognito-sidecar:error:token_unavailable"
        assert problem["detail"].startswith(f"{reason}: ")
        assert problem["upstream"] == "http"
        assert (await w.status())["last_error"]["reason"] == reason
        _, metrics = await w.page("/metrics")
        line = next(x for x in metrics.splitlines() if f'refresh_failures_total{{reason="{reason}"' in x)
        assert float(line.split()[-1]) >= 1
        assert (await w.page("/livez"))[0] == 200, "liveness never depends on anything remote"

        # The fault ends. A person may have had to mend something: writing the secret again retries at once.
        w.emulator.set_faults({"token": []})
        w.secret_file.write_text(w.emulator.rotate_secret())

        async def well_again() -> bool:
            return (await w.get())[0] == 200

        await until(well_again)


async def test_nobody_listens_at_the_token_url(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    auth = {"token_url": f"http://127.0.0.1:{free_port()}/oauth2/token", "wait": "200ms"}
    async with world(sidecar_process, tmp_path, ready=False, auth=auth) as w:
        status, body = await w.get()
        assert status == 503
        assert "connection: there is no connection to the token endpoint" in json.loads(body)["detail"]
        ready, why = await w.page("/readyz")
        assert ready == 503
        assert "http" in why
        assert (await w.page("/startupz"))[0] == 503
        assert (await w.page("/livez"))[0] == 200


async def test_an_upstream_that_is_not_required_holds_up_nobody(sidecar_process: StartSidecar, tmp_path: Path) -> None:
    auth = {"token_url": f"http://127.0.0.1:{free_port()}/oauth2/token"}
    async with world(sidecar_process, tmp_path, upstream=NOT_REQUIRED, auth=auth) as w:
        assert (await w.page("/readyz"))[0] == 200
        assert (await w.page("/startupz"))[0] == 200
