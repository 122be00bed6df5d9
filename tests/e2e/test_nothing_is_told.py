"""No secret and no token is told to anybody: one sidecar at its most talkative, and everything goes wrong at once.

Unique secrets are everywhere where a secret may be. The sidecar is driven through success, revoked tokens, every
failure of the emulator and of a hostile token endpoint, hostile answers of an upstream, broken TLS, egress proxies
and broken configurations. Then they are looked for in what it printed, its pages, its answers and its command line.

What an upstream puts into its own answers goes on as it came: it has the token, and could tell it to anybody.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.emulator import Emulator
from proxy.emulator.keys import SigningKey, generate
from tests.canaries import leaks
from tests.certificates import Authority
from tests.e2e.hostile import ECHOES, ENDPOINT, GIVEN, UPSTREAM, Call, Hostile, hostile, message
from tests.e2e.world import until
from tests.processes import Sidecar, StartSidecar, free_port, run_command
from tests.proxies import AUTHORIZATION, PASSWORD, connect_proxy

pytestmark = pytest.mark.timeout(120)

SECRET = "client:/+%&~=secret-5d41402abc4b2a76b9719d91"
"""Every character has a meaning somewhere, and it could be a scope."""
WORD = "secret_in_plain_letters_abcdefgh"
"""It could be an error code."""
CALLER_KEY = 'caller"key\\-7d793037a0760186574b0282'
CONFIGURED = "configured-header-e4da3b7fbbce2345d777"
ADDRESS_KEY = "token-url-key-1679091c5a880faf6fb5e608"
EXTRA = "extra-parameter-8f14e45fceea167a5a36d"
CANARIES = {
    "the client secret": SECRET,
    "a client secret that is a word": WORD,
    "the callers' key": CALLER_KEY,
    "a configured header": CONFIGURED,
    "a key in the token URL": ADDRESS_KEY,
    "an extra parameter": EXTRA,
    "the hostile endpoint's token": GIVEN,
    "the egress proxy's credentials": AUTHORIZATION.removeprefix("Basic "),
    "the egress proxy's password in its URL": f"{PASSWORD}@127.0.0.1",
}

FAULTS: dict[str, dict[str, Any]] = {
    **{
        name: {"fault": "error", "error": name}
        for name in ("invalid_client", "invalid_scope", "unauthorized_client", "invalid_grant", "invalid_request")
    },
    "too-many": {"fault": "status", "status": 429, "retry_after": 60},
    "failing": {"fault": "status", "status": 500},
    "empty": {"fault": "empty"},
    "broken-json": {"fault": "broken_json"},
    "html": {"fault": "html"},
    "dropped": {"fault": "drop"},
    "cut": {"fault": "cut"},
    "slow": {"fault": "delay", "seconds": 60},
}
"""Every way in which the emulator can fail."""

UNREACHABLE = ("refused", "untrusted", "no-tls")
"""By their egress proxy, by their certificate, and since they speak no TLS."""

PAGES = ("/", "/status", "/metrics", "/livez", "/startupz", "/readyz")


class Orders:
    """An API that takes whatever token it sees first for revoked where `/revoked` is asked for."""

    def __init__(self) -> None:
        self._first = ""

    def __call__(self, call: Call) -> bytes:
        self._first = self._first or call.credential
        refused = call.path.endswith("/revoked") and call.credential == self._first
        return message("401 Unauthorized") if refused else message("200 OK", "Hello World!")


class Stage:
    """The sidecar, who is around it, and everything that it told."""

    def __init__(self, sidecar: Sidecar, session: aiohttp.ClientSession) -> None:
        self.sidecar = sidecar
        self.session = session
        self.told: dict[str, str] = {}

    async def ask(self, upstream: str, path: str = "/", **options: Any) -> str:
        """One request: what came back, head and body. It counts as told where the sidecar answered itself."""
        options.setdefault("headers", {"X-Sidecar-Key": CALLER_KEY})
        url = self.sidecar.url(upstream) + path
        try:
            async with self.session.get(url, allow_redirects=False, **options) as answer:
                head = f"{answer.status} {answer.reason} {dict(answer.headers)}"
                text = f"{head} {(await answer.read()).decode(errors='replace')}"
                if "X-Sidecar-Error" in answer.headers:
                    self.told[f"{upstream}{path}"] = text
        except aiohttp.ClientError as error:
            return f"{error!r}"
        return text

    async def look(self, when: str) -> None:
        """Keep what the pages tell now."""
        for path in PAGES:
            async with self.session.get(self.sidecar.admin + path) as page:
                self.told[f"{path} {when}"] = await page.text()

    async def reload(self, text: str) -> None:
        """A broken configuration, as it is told on a page and in the log."""
        so_far = self.sidecar.output.count("reload_failed")
        self.sidecar.config_file.write_text(text)
        self.sidecar.send(signal.SIGHUP)
        await self.sidecar.printed("reload_failed", times=so_far + 1)


@cache
def one_key() -> SigningKey:
    """Of all emulators here: making one takes a while."""
    return generate()


def auth(token_url: str, secret: str = SECRET) -> dict[str, Any]:
    return {
        "token_url": f"{token_url}?key={ADDRESS_KEY}",
        "client_id": "orders",
        "client_secret": secret,
        "extra_params": {"aws_client_metadata": EXTRA},
        "request_timeout": "2s",
        "wait": "100ms",
    }


@asynccontextmanager
async def stage(start: StartSidecar, folder: Path, log_format: str) -> AsyncIterator[tuple[Stage, Hostile]]:
    """The sidecar with everybody around it, and the upstream, which is always the same one."""
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(Emulator(make_key=one_key))
        endpoint = await stack.enter_async_context(hostile(ENDPOINT))
        upstream = await stack.enter_async_context(
            hostile({**UPSTREAM, **{f"echo-{name}": say for name, say in ECHOES.items()}, "orders": Orders()})
        )
        proxy = await stack.enter_async_context(connect_proxy())
        refusing = await stack.enter_async_context(connect_proxy())
        refusing.answer = f"HTTP/1.1 407 {AUTHORIZATION}\r\nX-Echo: {AUTHORIZATION}\r\n\r\n{AUTHORIZATION}".encode()
        secure = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=Authority(folder).server_context("127.0.0.1")
        )
        await stack.enter_async_context(secure)
        untrusted = f"https://127.0.0.1:{secure.sockets[0].getsockname()[1]}"

        from_emulator = {
            **auth(good.token_url, good.settings.client_secrets[0]),
            "client_id": good.settings.client_id,
            "scopes": list(good.settings.scopes),
        }
        known = {"url": f"{upstream.url}/orders", "auth": {**from_emulator, "wait": "5s"}}
        upstreams: dict[str, Any] = {
            "good": known,
            "direct": {**known, "url": upstream.url},
            "proxied": {**known, "egress_proxy": {"env": "EGRESS"}},
            "refused": {**known, "egress_proxy": {"env": "REFUSING"}},
            "untrusted": {**known, "url": untrusted},
            "no-tls": {**known, "url": upstream.url.replace("http:", "https:")},
            "nobody": {**known, "url": f"http://127.0.0.1:{free_port()}"},
            "endpoint-refused": {"auth": auth(good.base_url), "egress_proxy": {"env": "REFUSING"}, "required": False},
            "endpoint-untrusted": {"auth": auth(untrusted), "required": False},
            "endpoint-no-tls": {"auth": auth(endpoint.url.replace("http:", "https:")), "required": False},
        }
        for name in ENDPOINT:
            secret = WORD if name.startswith("code") else SECRET
            upstreams[f"endpoint-{name}"] = {"auth": auth(f"{endpoint.url}/{name}", secret), "required": False}
        for name, fault in FAULTS.items():
            emulator = await stack.enter_async_context(Emulator(make_key=one_key))
            emulator.set_faults({"token": [{**fault, "count": "all"}]})
            upstreams[f"fault-{name}"] = {"auth": {**from_emulator, **auth(emulator.token_url)}, "required": False}
        listen = f"127.0.0.1:{free_port()}"
        for name, settings in upstreams.items():
            settings.setdefault("url", f"{upstream.url}/orders")
            settings |= {"listen": listen, "prefix": f"/{name}", "headers": {"set": {"X-Configured": CONFIGURED}}}
        config = {
            "upstreams": upstreams,
            "require_header": {"name": "X-Sidecar-Key", "value": CALLER_KEY},
            "log": {"level": "debug", "format": log_format, "access": True},
        }
        env = {"EGRESS": proxy.url, "REFUSING": refusing.url}
        session = await stack.enter_async_context(aiohttp.ClientSession())
        sidecar = await stack.enter_async_context(start(config, env))
        yield Stage(sidecar, session), upstream


def broken(text: str, secret: str) -> Iterator[str]:
    """Configurations that have `secret` where it is no good, or next to what is no good."""
    line = f"client_secret: {secret}"
    assert line in text
    yield text + f"no_such_key: {secret}\n"
    yield text + f"{secret.replace(':', '')}: 1\n"
    yield text.replace(line, f"client_secret:{secret}", 1)
    yield text.replace(line, f'client_secret: "{secret}', 1)
    yield text.replace(line, f"{line}\n      {line}", 1)
    yield text.replace(line, f"client_secret: [{secret}, {secret}, {secret}]", 1)
    yield text.replace(line, f"client_secret: {{env: X, value: {secret}}}", 1)
    yield text.replace(line, f'client_secret: "{secret}\\n{secret}"', 1)
    yield text.replace(line, f"{line}\n      method: {secret}", 1)
    yield text.replace(line, f"{line}\n      header: '{secret} {secret}'", 1)
    yield text.replace(line, f"{line}\n      refresh_at: {secret}", 1)
    yield text.replace("value: ", f"value: [{secret}] #", 1)
    yield text.replace("X-Configured: ", f'X-Configured: "{secret}\\n" #', 1)
    yield text.replace("X-Configured: ", f"{secret}: ", 1)
    yield text.replace("url: http://", f"url: http://user:{secret.replace('/', '')}@", 1)
    yield text.replace("listen: ", f"listen: {secret} #", 1)
    yield text.replace("env: EGRESS", f"env: '{secret}'", 1)


def command_line(pid: int) -> str:
    """What every user of the machine can read of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_no_secret_is_told_to_anybody(log_format: str, sidecar_process: StartSidecar, tmp_path: Path) -> None:
    async with stage(sidecar_process, tmp_path, log_format) as (s, upstream):

        async def all_have_tried() -> bool:
            async with s.session.get(s.sidecar.admin + "/status") as page:
                shown = (await page.json())["upstreams"].values()
            return all(one["last_error"] is not None or one["token_number"] for one in shown)

        # Success, and a token that is revoked.
        assert "Hello World!" in await s.ask("good")
        assert "Hello World!" in await s.ask("proxied")
        assert "Hello World!" in await s.ask("good", "/revoked")
        assert len({call.credential for call in upstream.calls}) == 2
        # Callers without the key, or with another.
        for headers in ({}, {"X-Sidecar-Key": "a guess"}, {"X-Sidecar-Key": CALLER_KEY, "Origin": "http://a.example"}):
            assert "caller_denied" in await s.ask("good", headers=headers)
        # Every token endpoint, and who cannot be reached.
        await until(all_have_tried)
        for name in (*(f"fault-{fault}" for fault in FAULTS), *(f"endpoint-{way}" for way in UNREACHABLE)):
            assert "token_unavailable" in await s.ask(name), name
        gave = [name for name in ENDPOINT if "Hello World!" in await s.ask(f"endpoint-{name}")]
        assert gave == ["scope-secret", "scope-basic", "scope-token", "life", "more", "cookie"]
        for name in (*UNREACHABLE, "nobody"):
            assert "upstream_unreachable" in await s.ask(name), name
        # An upstream's worst.
        for name in UPSTREAM:
            assert "upstream_protocol" in await s.ask("direct", f"/{name}"), name
        for name in ECHOES:
            echo = await s.ask("direct", f"/echo-{name}")
            assert name in ("early-hint", "cut-chunk") or upstream.calls[-1].credential in echo, name
        await s.look("after the failures")
        # Broken configurations, of which one after the other is told.
        text = s.sidecar.config_file.read_text()
        for number, one in enumerate(broken(text, SECRET)):
            await s.reload(one)
            await s.look(f"after broken configuration {number}")
            if number % 6 == 0:  # It finds what a reload finds, and takes a new process each time.
                checked = await run_command("check", "--config", str(s.sidecar.config_file))
                assert checked.code == 2
                s.told[f"check of broken configuration {number}"] = (checked.stdout + checked.stderr).decode()
        s.told["the command line"] = command_line(s.sidecar.pid)
    s.told["what it printed"] = s.sidecar.output

    assert all(s.told.values())
    assert "/revoked" in s.told["what it printed"]
    tokens = {call.credential for call in upstream.calls}
    assert leaks(CANARIES | {f"token {number}": token for number, token in enumerate(tokens)}, s.told) == []
