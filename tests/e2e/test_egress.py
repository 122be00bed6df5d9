"""The whole sidecar where connections have to leave by a proxy: environment, key, reload, and what nobody may see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.emulator import Emulator
from tests.e2e.world import until
from tests.forward.rig import until as until_so
from tests.processes import StartSidecar, run_command, write_config
from tests.proxies import LEAKS, PASSWORD, ConnectProxy, connect_proxy
from tests.serving import LIFE, serving, within

pytestmark = pytest.mark.uvloop


def _config(emulator: Emulator, **upstream: Any) -> dict[str, Any]:
    """The emulator under names that only the proxy knows."""

    def elsewhere(url: str, name: str) -> str:
        return f"http://{name}:80/" + url.split("/", 3)[3]

    return {
        "upstreams": {
            "orders": {
                "url": elsewhere(emulator.gateway_url("http"), "api.test"),
                "auth": {
                    "token_url": elsewhere(emulator.token_url, "login.test"),
                    "client_id": emulator.settings.client_id,
                    "client_secret": emulator.settings.client_secrets[0],
                    "scopes": list(emulator.settings.scopes),
                },
                "allow_insecure": True,
                **upstream,
            }
        },
        "log": {"level": "debug", "format": "json", "access": True},
    }


def _routed(proxy: ConnectProxy, emulator: Emulator) -> None:
    port = int(emulator.token_url.split("/")[2].rpartition(":")[2])
    proxy.routes |= {"api.test:80": port, "login.test:80": port}


async def _get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_the_environments_proxy(sidecar_process: StartSidecar) -> None:
    async with Emulator() as emulator, connect_proxy() as proxy:
        _routed(proxy, emulator)
        async with sidecar_process(_config(emulator), {"HTTP_PROXY": proxy.url}) as sidecar:
            assert "Hello World!" in (await _get(sidecar.url("orders") + "/"))[1]
            assert set(proxy.places) == {"login.test:80", "api.test:80"}
            assert all(b"\r\nProxy-Authorization: Basic " in head for head in proxy.asked)
            pages = [(await _get(sidecar.admin + path))[1] for path in ("/status", "/metrics", "/")]
        code, stdout, stderr = await run_command(
            "check", "--config", str(sidecar.config_file), env={"HTTP_PROXY": proxy.url}
        )
        assert code == 0
        shown = "".join((*pages, sidecar.output, stdout.decode(), stderr.decode()))
        assert shown.count(f" by way of 127.0.0.1:{proxy.port}") == 2  # of the upstream, and of its token endpoint
        assert not [leak for leak in LEAKS if leak in shown]


async def test_a_proxy_that_refuses_is_said_to(sidecar_process: StartSidecar) -> None:
    why = "refused the tunnel: 407 Proxy Authentication Required"
    async with Emulator() as emulator, connect_proxy() as proxy:
        proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
        config = _config(emulator, egress_proxy={"env": "EGRESS"})
        config["upstreams"]["orders"]["auth"]["wait"] = "0s"
        async with sidecar_process(config, {"EGRESS": proxy.url}, ready=False) as sidecar:

            async def failed() -> bool:
                return why in (await _get(sidecar.admin + "/status"))[1]

            await until(failed)
            status = json.loads((await _get(sidecar.admin + "/status"))[1])["upstreams"]["orders"]
            assert status["last_error"]["reason"] == "connection"
            code, answer = await _get(sidecar.url("orders") + "/")
            assert (code, f"the egress proxy 127.0.0.1:{proxy.port} {why}" in answer) == (503, True)
            pages = [(await _get(sidecar.admin + path))[1] for path in ("/status", "/metrics", "/")]
        told = await run_command("token", "--config", str(sidecar.config_file), env={"EGRESS": proxy.url})
        assert told.code == 1
        assert why in told.stderr.decode()
        shown = "".join((*pages, answer, sidecar.output, told.stdout.decode(), told.stderr.decode()))
        assert not [leak for leak in LEAKS if leak in shown]


async def test_what_no_proxy_names_is_reached_without_it(sidecar_process: StartSidecar) -> None:
    async with Emulator() as emulator, connect_proxy() as proxy:
        _routed(proxy, emulator)
        env = {"http_proxy": proxy.url, "NO_PROXY": "api.test"}
        async with sidecar_process(_config(emulator), env) as sidecar:
            code, answer = await _get(sidecar.url("orders") + "/")
            # Nobody but the proxy knows the name.
            assert (code, "its name does not resolve" in answer) == (502, True)
            assert set(proxy.places) == {"login.test:80"}


async def test_loopback_is_reached_without_it(sidecar_process: StartSidecar) -> None:
    async with Emulator() as emulator, connect_proxy() as proxy:
        config = _config(emulator, url=emulator.gateway_url("http"))
        config["upstreams"]["orders"]["auth"]["token_url"] = emulator.token_url
        async with sidecar_process(config, {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": "not a proxy"}) as sidecar:
            assert "Hello World!" in (await _get(sidecar.url("orders") + "/"))[1]
            assert proxy.asked == []


async def test_a_bad_variable_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    async with Emulator() as emulator:
        file = tmp_path / "config.yaml"
        config = _config(emulator, listen="127.0.0.1:8080")
        write_config(file, config)
        bad = {"HTTP_PROXY": f"http://user:{PASSWORD}@proxy.corp:3128/"}
        code, stdout, stderr = await run_command("check", "--config", str(file), env=bad)
        assert (code, stdout) == (2, b"")
        assert b"upstreams.orders.egress_proxy: environment variable HTTP_PROXY: " in stderr
        assert PASSWORD.encode() not in stderr
        config["upstreams"]["orders"]["egress_proxy"] = "none"
        write_config(file, config)
        assert (await run_command("check", "--config", str(file), env=bad)).code == 0


async def test_a_reload_takes_another_proxy(tmp_path: Path) -> None:
    """New connections by the new way, without a new token; a proxy that is the same keeps its connections."""
    async with connect_proxy() as one, connect_proxy() as other:
        where = tmp_path / "egress"
        where.write_text(one.url)
        async with serving(
            tmp_path, lambda w: w.config["upstreams"]["orders"].update(egress_proxy={"file": str(where)})
        ) as w:
            assert (await w.get()).body == "/ tok.1"
            assert len(one.asked) == 2  # the token, and the upstream
            assert await w.reload()
            assert (await w.get()).body == "/ tok.1"
            assert len(one.asked) == 2

            where.write_text(other.url)
            await w.look()
            assert (await w.get()).body == "/ tok.1"
            assert (len(one.asked), len(other.asked)) == (2, 1)
            # The next token comes by the new way as well.
            w.clock.sleep(0.85 * LIFE)
            await w.look()
            await until_so(lambda: len(w.endpoint.asked) == 2)
            assert (len(one.asked), len(other.asked)) == (2, 2)

            where.write_text("none")
            await w.look()
            assert (await w.get()).body == "/ tok.2"
            assert (len(one.asked), len(other.asked)) == (2, 2)
            await within(one.gone.wait())  # The old way is given up.
