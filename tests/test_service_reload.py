"""Reload: load, validate, swap. What fails changes nothing, and is said once."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import log
from tests.forward.rig import until
from tests.processes import free_port
from tests.serving import World, ask, events, refuses, serving


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    yield
    log.configure()


@pytest.mark.uvloop
async def test_a_reload_swaps_is_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path) as w:
        before = w.service.config_hash
        w.config["upstreams"]["orders"]["prefix"] = "/api"

        assert await w.reload()

        assert (await w.get()).body == "/ tok.1"
        assert w.url().endswith("/api")
        assert w.service.config_hash != before
        assert dict(w.service.reloads) == {"success": 1}
        [line] = events(capsys.readouterr().err, "reloaded")
        assert (line["cause"], line["config_hash"]) == ("SIGHUP", w.service.config_hash)


async def test_a_broken_file_keeps_everything_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path) as w:
        before, url = w.service.config_hash, w.url()
        w.file.write_text("upstreams: {orders: {listn: 1}}\n")
        for _ in range(4):
            await w.look()

        assert (await w.get()).body == "/ tok.1"
        assert (w.service.config_hash, w.url()) == (before, url)
        assert dict(w.service.reloads) == {"failure": 1}
        [line] = events(capsys.readouterr().err, "reload_failed")
        assert line["kept"] == before
        assert any("listn" in problem for problem in line["problems"])
        assert "listn" in (w.service.last_reload_error or "")

        # Who asks gets an answer, each time.
        assert not await w.service.reload("SIGHUP")
        assert len(events(capsys.readouterr().err, "reload_failed")) == 1
        assert dict(w.service.reloads) == {"failure": 2}

        # Another mistake is another line.
        w.file.write_text("upstreams: {}\n")
        await w.look()
        assert dict(w.service.reloads) == {"failure": 3}

        # Mended: noticed, and forgotten.
        w.write()
        await w.look()
        assert dict(w.service.reloads) == {"failure": 3, "success": 1}
        assert w.service.last_reload_error is None
        assert (await w.get()).body == "/ tok.1"
        assert len(w.endpoint.asked) == 1


async def test_files_are_compared_by_content_every_three_seconds(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        w.write()  # The same again.
        w.secret.write_text("s1\n")
        await w.clock.turn(10.0)
        assert dict(w.service.reloads) == {}

        w.config["upstreams"]["orders"]["prefix"] = "/api"
        w.write()
        await w.clock.turn(3.0)
        assert dict(w.service.reloads) == {"success": 1}
        await w.clock.turn(10.0)
        assert dict(w.service.reloads) == {"success": 1}


async def test_a_secret_swapped_as_kubernetes_does_it_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(w: World) -> None:
        for version, secret in (("v1", "s1"), ("v2", "s2")):
            (tmp_path / version).mkdir()
            (tmp_path / version / "key").write_text(secret)
        (tmp_path / "..data").symlink_to("v1")
        (tmp_path / "key").symlink_to("..data/key")
        w.config["upstreams"]["orders"]["auth"]["client_secret"] = {"file": str(tmp_path / "key")}

    async with serving(tmp_path, prepare) as w:
        (tmp_path / "..new").symlink_to("v2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await w.look()

        assert dict(w.service.reloads) == {"success": 1}
        [line] = events(capsys.readouterr().err, "reloaded")
        assert line["cause"] == f"changed: {tmp_path / 'key'}"
        assert (await w.get()).body == "/ tok.1", "the token stays"


@pytest.mark.uvloop
async def test_who_may_connect_is_changed_and_who_is_connected_stays(tmp_path: Path) -> None:
    data, admin = tmp_path / "data", tmp_path / "admin"

    def listen(w: World, data_mode: str, admin_mode: str) -> None:
        w.config["upstreams"]["orders"]["listen"] = {"unix": str(data), "mode": data_mode}
        w.config["admin"]["listen"] = {"unix": str(admin), "mode": admin_mode}

    def modes() -> list[str]:
        return [f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in (data, admin)]

    async with serving(tmp_path, lambda w: listen(w, "0660", "0666")) as w:
        assert modes() == ["0660", "0666"]
        sockets = [path.stat().st_ino for path in (data, admin)]
        reader, writer = await asyncio.open_unix_connection(data)

        listen(w, "0600", "0660")
        assert await w.reload()

        assert modes() == ["0600", "0660"]
        assert [path.stat().st_ino for path in (data, admin)] == sockets
        writer.write(b"GET / HTTP/1.1\r\nHost: any\r\n\r\n")
        assert (await reader.readuntil(b"tok.1")).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        assert (await w.get()).body == "/ tok.1"

        # A part that cannot be changed leaves all of it as it was.
        data.unlink()
        listen(w, "0620", "0600")
        assert not await w.reload()
        assert f"upstreams.orders.listen: cannot set owner and mode of unix:{data}: no such" in (
            w.service.last_reload_error or ""
        )
        assert f"{stat.S_IMODE(admin.stat().st_mode):04o}" == "0660"


async def test_a_listener_keeps_its_mode_where_another_ones_cannot_be_changed(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]

    def listen(w: World, mode: str) -> None:
        for name, path in zip(("orders", "more"), paths, strict=True):
            w.config["upstreams"][name] = w.upstream(listen={"unix": str(path), "mode": mode})

    async with serving(tmp_path, lambda w: listen(w, "0660")) as w:
        paths[1].unlink()
        listen(w, "0600")
        assert not await w.reload()
        assert stat.S_IMODE(paths[0].stat().st_mode) == 0o660


async def test_a_secret_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        w.secret.unlink()
        await w.look()
        assert dict(w.service.reloads) == {"failure": 1}
        assert (await w.get()).body == "/ tok.1"

        w.secret.write_text("s1")
        await w.look()
        assert dict(w.service.reloads) == {"failure": 1, "success": 1}


async def test_a_file_that_a_new_configuration_lacks_is_waited_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        missing = tmp_path / "another"
        w.config["upstreams"]["orders"]["auth"]["client_secret"] = {"file": str(missing)}
        assert not await w.reload()

        missing.write_text("s1")
        await w.look()

        assert dict(w.service.reloads) == {"failure": 1, "success": 1}
        assert w.service.last_reload_error is None


async def test_a_storm_of_reloads_comes_to_two(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        # Each opens a listener, so that there is something to wait for.
        w.config["upstreams"]["orders"]["listen"] = f"127.0.0.1:{free_port()}"
        w.write()
        results = await asyncio.gather(*(w.service.reload("SIGHUP") for _ in range(50)))

        assert 1 <= sum(results) <= 2
        assert w.service.reloads["success"] == sum(results)
        assert (await w.get()).status == 200


@pytest.mark.uvloop
@pytest.mark.parametrize("which", ["listen", "admin"])
async def test_a_taken_port_keeps_the_old_configuration_until_it_is_free(which: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        url, admin = w.url(), w.service.admin_address
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            moved = f"127.0.0.1:{free_port()}"
            w.config["admin"]["listen"] = moved if which == "listen" else taken
            w.config["upstreams"]["orders"]["listen"] = taken if which == "listen" else moved
            assert not await w.reload()

            assert (w.url(), w.service.admin_address) == (url, admin)
            assert (await w.get()).status == 200
            assert (await w.page("/readyz")).status == 200
            assert await refuses(f"http://{moved}"), "what was opened in vain is closed again"
            assert f"{taken}: address already in use" in (w.service.last_reload_error or "")
        await w.look()
        await until(lambda: w.service.reloads["success"])

        assert sorted([w.service.admin_address, w.url().removeprefix("http://").rstrip("/")]) == sorted([taken, moved])
        assert (await w.get()).status == 200
        assert (await w.page("/readyz")).status == 200
        assert dict(w.service.reloads) == {"failure": 1, "success": 1}


async def test_a_taken_port_leaves_the_admin_pages_where_they_are(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        with socket.create_server(("127.0.0.1", 0)) as other:
            w.config["upstreams"]["orders"]["listen"] = f"127.0.0.1:{other.getsockname()[1]}"
            assert not await w.reload()

        assert (await w.page("/readyz")).status == 200


@pytest.mark.uvloop
async def test_the_admin_pages_move(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        old = w.service.admin_address
        w.config["admin"]["listen"] = f"127.0.0.1:{free_port()}"
        assert await w.reload()

        assert w.service.admin_address == w.config["admin"]["listen"]
        assert (await w.page("/readyz")).status == 200
        assert await refuses(f"http://{old}")


@pytest.mark.uvloop
async def test_an_address_that_is_taken_away_finishes_what_is_under_way(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        old = w.url()
        half = await w.half()
        w.config["upstreams"]["orders"]["listen"] = f"127.0.0.1:{free_port()}"
        assert await w.reload()

        assert (await w.get()).status == 200
        assert await refuses(old)
        w.gateway.rest.set()
        assert await half.end() == b"later", "it is whole, and then the connection ends"


async def test_listeners_come_and_go(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        w.config["upstreams"]["more"] = w.upstream(listen=f"unix:{tmp_path}/s", prefix="/more")
        assert await w.reload()
        more = await ask(f"unix:{tmp_path}/s", "/more/x")
        assert (more.status, more.body) == (200, "/x tok.1")

        del w.config["upstreams"]["more"]
        assert await w.reload()
        await until(lambda: not (tmp_path / "s").exists())
        assert [*w.views] == ["orders"]
        assert (await w.get()).status == 200


async def test_rules_for_callers_change_between_two_requests(tmp_path: Path) -> None:
    async with serving(tmp_path) as w:
        w.config["require_header"] = {"name": "X-Key", "value": "k"}
        assert await w.reload()
        assert "X-Sidecar-Error: caller_denied" in (await w.get()).head

        del w.config["require_header"]
        assert await w.reload()
        assert (await w.get()).status == 200


async def test_the_log_changes_with_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path) as w:
        w.config["log"] = {"format": "text", "level": "info"}
        await w.reload()
        said = capsys.readouterr().err.splitlines()[-1]
        assert "reloaded" in said
        assert not said.startswith("{")

        w.config["log"] = {"format": "json", "level": "error"}
        await w.reload()
        assert capsys.readouterr().err == ""
        w.file.write_text("nonsense")
        assert not await w.service.reload("SIGHUP")
        assert len(events(capsys.readouterr().err, "reload_failed")) == 1
