"""From one configuration to the next: who keeps a token, connections and counts, and who has to begin anew."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from proxy import descriptors, log
from proxy.config.model import Loaded
from proxy.errors import StartError
from proxy.tokens import TokenSource
from tests.forward.rig import until
from tests.processes import free_port
from tests.serving import World, ask, refuses, serving, world


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    yield
    log.configure()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[TokenSource]:
    """The token sources that have been closed."""
    found: list[TokenSource] = []
    close = TokenSource.close

    async def noted(self: TokenSource) -> None:
        found.append(self)
        await close(self)

    monkeypatch.setattr(TokenSource, "close", noted)
    return found


def _source(w: World, name: str) -> TokenSource:
    return w.service._assembly._sources[name]


def _two(w: World, **second: object) -> None:
    """A second upstream, below a prefix, with `second` in its settings."""
    w.config["upstreams"]["more"] = w.upstream(**{"prefix": "/more", **second})


@pytest.mark.uvloop
async def test_an_unchanged_upstream_keeps_token_connections_and_counts(
    tmp_path: Path, closed: list[TokenSource]
) -> None:
    async with serving(tmp_path) as w:
        await w.get()
        source, before = _source(w, "orders"), w.views["orders"]
        _two(w, auth={"client_id": "another"})
        assert await w.reload()
        await w.has_tokens()
        await w.get()
        after = w.views["orders"]

        assert _source(w, "orders") is source
        assert after.stats is before.stats
        assert after.stats.requests == {("GET", 200): 2}
        assert after.token.number == before.token.number == 1
        assert (w.gateway.connections, after.connections_idle) == (1, 1)
        assert w.endpoint.asked == ["s1", "s1"], "one for each client"
        assert closed == []


@pytest.mark.uvloop
async def test_upstreams_on_one_socket_differ_in_whom_they_let_in_and_a_reload_changes_it(tmp_path: Path) -> None:
    listen = {"unix": str(tmp_path / "s")}
    me, somebody = {"uids": [os.geteuid()]}, {"uids": [os.geteuid() + 1]}

    def prepare(w: World) -> None:
        w.config["allow_peers"] = somebody
        w.config["upstreams"]["orders"] = w.upstream(listen=listen)
        _two(w, listen=listen, allow_peers=me)

    async with serving(tmp_path, prepare) as w:
        url = w.url()
        assert [(await ask(url, path)).status for path in ("/", "/more/", "/more")] == [403, 200, 200]
        assert w.views["orders"].stats.errors == {"caller_denied": 1}
        assert "X-Sidecar-Error: caller_denied" in (await ask(url)).head

        w.config["allow_peers"], w.config["upstreams"]["more"]["allow_peers"] = me, somebody
        assert await w.reload()
        assert [(await ask(url, path)).status for path in ("/", "/more/")] == [200, 403]


@pytest.mark.parametrize(
    ("change", "connections"),
    [
        ({"allow": [{"methods": ["GET"]}]}, 1),
        ({"timeouts": {"response": "1s"}}, 1),
        ({"prefix": "/new"}, 1),
        ({"auth": {"scheme": ""}}, 1),
        ({"pool": {"max_connections": 7}}, 2),
        ({"timeouts": {"connect": "1s"}}, 2),
    ],
)
async def test_connections_stay_unless_they_were_made_otherwise(
    change: dict[str, object], connections: int, tmp_path: Path
) -> None:
    async with serving(tmp_path) as w:
        await w.get()
        w.config["upstreams"]["orders"] = w.upstream(**change)
        assert await w.reload()

        assert (await w.get()).status == 200
        assert w.gateway.connections == connections
        assert w.views["orders"].connections_idle == 1
        assert w.views["orders"].stats.requests == {("GET", 200): 2}
        assert w.endpoint.asked == ["s1"]


async def test_a_changed_secret_keeps_the_token_and_is_what_is_asked_with_next(
    tmp_path: Path, closed: list[TokenSource]
) -> None:
    async with serving(tmp_path) as w:
        source = _source(w, "orders")
        w.endpoint.good.add("s2")
        w.secret.write_text("s2\n")
        await w.look()

        assert _source(w, "orders") is source
        assert (await w.get()).body == "/ tok.1"
        await w.clock.turn(3000.0)  # Past the renewal time.
        await until(lambda: w.views["orders"].token.number == 2)
        assert w.endpoint.asked == ["s1", "s2"]
        assert closed == []


async def test_a_mended_secret_is_tried_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, lambda w: w.secret.write_text("wrong")) as w:
        await w.service.start()
        await until(lambda: w.views["orders"].token.last_error)
        assert not w.views["orders"].token.usable

        w.secret.write_text("s1")
        await w.look()
        await w.has_tokens()
        assert w.endpoint.asked == ["wrong", "s1"], "although the next attempt was not due for half a minute"
        assert (await w.get()).status == 200


@pytest.mark.uvloop
async def test_another_client_begins_anew(tmp_path: Path, closed: list[TokenSource]) -> None:
    async with serving(tmp_path) as w:
        source = _source(w, "orders")
        w.config["upstreams"]["orders"]["auth"]["client_id"] = "another"
        assert await w.reload()
        await until(lambda: closed)
        await w.has_tokens()

        assert closed == [source]
        assert (await w.get()).body == "/ tok.2"
        assert w.views["orders"].token_stats.successes == 1


async def test_upstreams_with_one_client_share_its_token_and_its_counts(
    tmp_path: Path, closed: list[TokenSource]
) -> None:
    async with serving(tmp_path, _two) as w:
        orders, more = w.views["orders"], w.views["more"]
        assert orders.token_stats is more.token_stats
        assert orders.stats is not more.stats
        assert w.endpoint.asked == ["s1"]
        assert [(await w.get(name)).body for name in ("orders", "more")] == ["/ tok.1"] * 2
        assert w.views["more"].stats.requests == {("GET", 200): 1}

        # One leaves for a client of its own: the other one's token is none the worse for it.
        w.config["upstreams"]["more"]["auth"]["client_id"] = "another"
        assert await w.reload()
        await w.has_tokens()
        assert [(await w.get(name)).body for name in ("orders", "more")] == ["/ tok.1", "/ tok.2"]
        assert w.views["orders"].token_stats is not w.views["more"].token_stats
        assert closed == []

        # And comes back.
        w.config["upstreams"]["more"]["auth"]["client_id"] = "id"
        assert await w.reload()
        await until(lambda: len(closed) == 1)
        assert [(await w.get(name)).body for name in ("orders", "more")] == ["/ tok.1"] * 2

        # The last of them goes for good.
        del w.config["upstreams"]["orders"]
        assert await w.reload()
        assert (await w.get("more")).body == "/ tok.1"
        assert len(closed) == 1


async def test_one_of_two_gets_another_secret(tmp_path: Path, closed: list[TokenSource]) -> None:
    async with serving(tmp_path, _two) as w:
        source = _source(w, "orders")
        w.config["upstreams"]["more"]["auth"]["client_secret"] = "other"
        assert await w.reload()
        await w.has_tokens()

        assert _source(w, "orders") is source
        assert w.endpoint.asked == ["s1", "other"]
        assert closed == []


async def test_two_that_differ_in_their_secrets_alone_keep_each_its_own_token(
    tmp_path: Path, closed: list[TokenSource]
) -> None:
    def both(w: World) -> None:
        (tmp_path / "second").write_text("wrong")
        _two(w, auth={"client_secret": [{"file": str(w.secret)}, {"file": str(tmp_path / "second")}]})

    async with serving(tmp_path, both) as w:
        sources = [_source(w, name) for name in ("orders", "more")]
        w.endpoint.good.add("s2")
        w.secret.write_text("s2\n")
        await w.look()

        assert [_source(w, name) for name in ("orders", "more")] == sources
        assert w.endpoint.asked == ["s1", "s1"], "no token was lost"
        assert closed == []


async def test_a_name_keeps_its_counts_for_when_it_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path, _two) as w:
        await w.get("more")
        saved = w.config["upstreams"].pop("more")
        assert await w.reload()
        w.config["upstreams"]["more"] = saved
        assert await w.reload()
        await w.get("more")

        assert w.views["more"].stats.requests == {("GET", 200): 2}, "counters never go back"


async def test_the_order_is_the_configurations(tmp_path: Path) -> None:
    async with serving(tmp_path, _two) as w:
        assert [*w.views] == ["orders", "more"]
        w.config["upstreams"] = dict(reversed(w.config["upstreams"].items()))
        assert await w.reload()
        assert [*w.views] == ["more", "orders"]


@pytest.mark.uvloop
async def test_a_request_under_way_ends_on_the_connection_it_began_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        half = await w.half()
        w.config["upstreams"]["orders"]["pool"] = {"max_connections": 3}
        assert await w.reload()
        assert (await w.get()).status == 200
        w.gateway.rest.set()

        assert await half.rest() == b"later"
        assert w.views["orders"].connections_idle == 1, "and its connection is not kept"


async def test_what_cannot_be_opened_leaves_nothing_behind(tmp_path: Path, closed: list[TokenSource]) -> None:
    async with serving(tmp_path) as w:
        assembly, sources = w.service._assembly, {**w.service._assembly._sources}
        free = [free_port() for _ in range(3)]
        for number, port in enumerate(free):
            w.config["upstreams"][f"new{number}"] = w.upstream(listen=f"127.0.0.1:{port}", auth={"client_id": "new"})
        w.config["upstreams"]["bad"] = w.upstream(listen=f"unix:{tmp_path}/no/such/folder")
        w.write()
        loaded: Loaded = w._load({})
        before = asyncio.all_tasks()
        with pytest.raises(StartError, match="no such file or directory"):
            await assembly.change_to(loaded.config).__aenter__()

        assert [await refuses(f"http://127.0.0.1:{port}") for port in free] == [True] * 3
        assert assembly._sources == sources
        assert [*w.views] == ["orders"]
        assert asyncio.all_tasks() - before == set()
        assert w.endpoint.asked == ["s1"]
        assert closed == []
        assert (await w.get()).status == 200


async def test_the_status_page_tells_of_each(tmp_path: Path) -> None:
    def prepare(w: World) -> None:
        _two(w, required=False, auth={"client_id": "another", "client_secret": "wrong"})

    async with world(tmp_path, prepare) as w:
        await w.service.start()
        await until(lambda: w.views["orders"].token.usable and w.views["more"].token.last_error)
        told = json.loads((await w.page("/status")).body)["upstreams"]

        assert (told["orders"]["state"], told["more"]["state"]) == ("FRESH", "EMPTY")
        assert told["more"]["last_error"]["reason"] == "invalid_client"
        assert (await w.page("/readyz")).status == 200, "the one without a token is not required"


async def test_limits_hold_for_listeners_and_upstreams_and_change_by_a_reload(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        w.config["limits"] = {"waiting": 3, "body_time": 0, "keepalive": "20s", "head_time": "2s", "connections": 5}
        assert await w.reload()
        [listener] = w.service._assembly.listeners
        upstream = w.service._assembly._upstreams["orders"]
        assert (listener.idle_seconds, listener.head_seconds) == (20, 2)
        assert (upstream.most_waiting, upstream.body_seconds) == (3, inf)


async def test_callers_get_no_descriptors_that_the_sidecar_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(descriptors, "make_room", lambda wanted: 1024)
    async with serving(tmp_path) as w:
        [listener] = w.service._assembly.listeners
        assert listener._most == 819
        assert await w.reload()
        assert capfd.readouterr().err.count("few_file_descriptors") == 1, (
            "a reload that changes nothing of it is silent"
        )
        monkeypatch.setattr(descriptors, "make_room", lambda wanted: 512)
        assert await w.reload()
        assert capfd.readouterr().err.count("few_file_descriptors") == 1
