"""The token cache, step by step, on a real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.clock import SystemClock
from proxy.config.model import Duration, TokenCache, Value
from proxy.config.walk import BROKEN, Unusable
from proxy.doctor import Finding, Mark, examine_cache
from proxy.explanations import CACHE
from tests.certificates import Authority
from tests.processes import free_port
from tests.tokens.shared.engines import redis_with_tls, tls_url, valkey


async def _found(url: str, **changes: Any) -> dict[str, Finding]:
    settings = TokenCache(url=Value(url), **{"timeout": Duration(5), **changes})
    found = {finding.step: finding async for finding in examine_cache(settings, SystemClock())}
    assert "a-wrong-one" not in repr(found)
    return found


async def test_all_is_well_and_nothing_is_left(tmp_path: Path) -> None:
    async with valkey(tmp_path, "--unixsocket", str(tmp_path / "socket")) as server:
        found = await _found(server.url)
        assert [*found] == ["token cache: connection", "token cache: entry"]
        assert {finding.mark for finding in found.values()} == {Mark.OK}
        assert found["token cache: entry"].detail.startswith("stored, read and removed in ")
        by_socket = await _found(f"unix://{tmp_path}/socket")
        assert [finding.mark for finding in by_socket.values()] == [Mark.OK]
        assert await server.keys() == []


@pytest.mark.parametrize("key", ["url", "password"])
async def test_a_value_that_cannot_be_read(tmp_path: Path, key: str) -> None:
    lack = Unusable(key, "file /none cannot be read: no such file or directory", "file_unreadable")
    async with valkey(tmp_path) as server:
        settings = TokenCache(**{"url": Value(server.url), key: BROKEN})
        found = {finding.step: finding async for finding in examine_cache(settings, SystemClock(), [lack])}
    first, *others = [(finding.step, finding.mark, finding.name) for finding in found.values()]
    assert first == ("address" if key == "url" else "credentials", Mark.FAIL, "file_unreadable")
    way = [("token cache: connection", Mark.OK, "")] if key == "password" else []
    assert others == [*way, ("token cache: entry", Mark.SKIP, "")]


async def test_nobody_listens() -> None:
    found = await _found(f"redis://127.0.0.1:{free_port()}")
    assert found["token cache: connection"].name == "no_connection"
    assert found["token cache: entry"].mark is Mark.SKIP


@pytest.mark.parametrize(
    ("options", "changes", "trouble"),
    [
        (("--requirepass", "right"), {"password": Value("a-wrong-one")}, "denied"),
        (("--maxmemory", "1", "--maxmemory-policy", "noeviction"), {}, "full"),
        (("--min-replicas-to-write", "1"), {}, "error"),
    ],
)
async def test_what_it_does_not_do(
    tmp_path: Path, options: tuple[str, ...], changes: dict[str, Any], trouble: str
) -> None:
    async with valkey(tmp_path, *options) as server:
        entry = (await _found(server.url, **changes))["token cache: entry"]
    assert (entry.mark, entry.name, entry.explanation) == (Mark.FAIL, f"cache:{trouble}", CACHE[trouble])


async def test_it_is_frozen(tmp_path: Path) -> None:
    async with valkey(tmp_path) as server:
        server.freeze()
        entry = (await _found(server.url, timeout=Duration(0.2)))["token cache: entry"]
        assert (entry.name, entry.detail) == ("cache:timeout", "timeout within 0.2 s")


async def test_by_tls(tmp_path: Path) -> None:
    async with redis_with_tls(tmp_path) as (server, authority):
        good = await _found(tls_url(server), ca_file=authority.ca_file)
        assert [*good] == ["token cache: connection", "token cache: TLS", "token cache: entry"]
        assert {finding.mark for finding in good.values()} == {Mark.OK}
        other = tmp_path / "other"
        other.mkdir()
        bad = await _found(tls_url(server), ca_file=Authority(other).ca_file)
        assert bad["token cache: TLS"].mark is Mark.FAIL
        gone = await _found(tls_url(server), ca_file=str(tmp_path / "gone.pem"))
        assert gone["token cache: TLS"].name == "tls_failed"
