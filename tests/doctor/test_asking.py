"""One request to an upstream that answers badly, or not at all; what good ones say is in test_examination.py."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.config.model import Address, Auth, Duration, Egress, Timeouts, Tls, Upstream, Url, Value
from proxy.doctor.asking import Asked, ask
from proxy.doctor.finding import Finding, Mark
from tests.certificates import Authority
from tests.processes import free_port
from tests.proxies import connect_proxy
from tests.tokens.servers import http, serving

Answers = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _upstream(port: int, scheme: str = "http", **changes: object) -> Upstream:
    auth = Auth(Url("http", "127.0.0.1", 1, "/t"), Value("id"), (Value("secret_of_ours"),))
    url = Url(scheme, "127.0.0.1", port, "/base")  # type: ignore[arg-type]
    return Upstream(listen=Address("127.0.0.1", 0), url=url, auth=auth, **changes)  # type: ignore[arg-type]


async def _asked(answer: Answers, timeouts: Timeouts = Timeouts()) -> Finding:  # noqa: B008  (it cannot change)
    async with serving(answer) as server:
        return await ask(_upstream(server.port, timeouts=timeouts), Egress(), Asked(), None)


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (b"nonsense\r\n\r\n", "not_http"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf", "not_http"),
        (b"", "no_answer"),
        (_silent, "too_slow"),
    ],
)
async def test_no_answer(answer: Answers, name: str) -> None:
    finding = await _asked(answer, timeouts=Timeouts(response=Duration(0.1 if answer is _silent else 10)))
    assert (finding.step, finding.mark, finding.name) == ("upstream: without a token", Mark.FAIL, name)


async def test_nobody_listens_any_more() -> None:
    finding = await ask(_upstream(free_port()), Egress(), Asked(), None)
    assert finding.name == "no_answer"


async def test_a_proxy_that_refuses() -> None:
    async with connect_proxy() as proxy:
        proxy.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        finding = await ask(_upstream(1), Egress(upstream=proxy.as_proxy()), Asked(), None)
    assert (finding.name, "403" in finding.detail) == ("proxy_failed", True)


async def test_an_upstream_that_wants_a_client_certificate(tmp_path: Path) -> None:
    """With TLS 1.3 the handshake is over before the server has looked for one."""
    authority = Authority(tmp_path)
    context = authority.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    async with serving(http(200), tls=context) as server:
        upstream = _upstream(server.port, "https", tls=Tls(ca_file=authority.ca_file))
        finding = await ask(upstream, Egress(), Asked(), None)
    assert finding.name == "no_answer"
    assert finding.explanation is not None
    assert "tls.cert_file" in finding.explanation.remedy


async def test_what_the_sidecar_would_pass_on_is_read() -> None:
    fields = [f"X-{number}: {'y' * 200}" for number in range(200)]
    assert (await _asked(http(401, b"", *fields, f"X: {'y' * 20_000}"))).mark is Mark.OK


async def test_an_answer_without_an_end() -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        await reader.read()

    assert (await _asked(stream)).name == "open_to_all"


async def test_the_path_is_below_the_base_path() -> None:
    async with serving(http(401)) as server:
        await ask(_upstream(server.port), Egress(), Asked("PUT", "/orders?page=2"), None)
    assert server.requests[0].startswith(b"PUT /base/orders?page=2 HTTP/1.1\r\n")
