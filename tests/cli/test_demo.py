"""`demo`: the story as it is printed, a step that goes wrong, and staying up."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import urllib.request

import pytest

from proxy.cli.demo import usual_or_free
from proxy.cli.story import Got, Story, get
from proxy.errors import SidecarError
from tests import processes
from tests.cli.conftest import Run


async def test_the_story_as_a_user_sees_it() -> None:
    code, out, err = await processes.run_command("demo")
    text = out.decode()
    assert (code, err) == (0, b"")
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == list("1234567")
    assert '-> 401 {"message":"Unauthorized"}' in text
    assert text.count('-> 200 {"message": "Hello World!"}') == 4
    assert "the cache saved 2 calls" in text
    assert 'cognito_sidecar_unauthorized_total{outcome="replayed",upstream="hello"} 1.0' in text
    assert "demo --serve" in text
    assert "\x1b" not in text
    assert "emulator_secret" not in text
    assert "eyJ" not in text


def post(url: str) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=processes.PATIENCE) as response:
        status: int = response.status
    return status


async def test_serve_stays_up_with_addresses_that_work() -> None:
    program = await processes.Program.start(sys.executable, "-m", "proxy", "demo", "--serve")
    try:
        await program.printed("for your browser")
        urls = re.findall(r"^  (?:curl .*?)?(http://\S+)", program.output, re.MULTILINE)
        local, api, rotate, calls, ready, page = urls
        assert get(local) == Got(200, '{"message": "Hello World!"}')
        assert get(api).status == 401
        assert await asyncio.to_thread(post, rotate) == 200
        assert get(local).status == 200
        assert json.loads(get(calls).body)["token"]["total"] == 3
        assert get(ready).status == 200
        assert get(page).status == 200
        program.send(signal.SIGINT)
        assert await program.ended() == 0
    finally:
        await program.stop()


async def test_a_step_that_does_not_go_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cli.story.get", lambda url: Got(200, "who are you?"))
    async with Story() as story:
        with pytest.raises(SidecarError, match=r"^demo, step 2: expected 401, got 200 who are you\?$"):
            await story.tell()


async def test_a_call_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(url: str) -> Got:
        raise ConnectionResetError("reset")

    monkeypatch.setattr("proxy.cli.story.get", fails)
    async with Story() as story:
        with pytest.raises(SidecarError, match=r"^demo, step 2: GET http://127\.0\.0\.1:[0-9]+/rest/: reset$"):
            await story.tell()


async def test_nothing_to_tell_before_the_sidecar_runs() -> None:
    async with Story() as story:
        await story._cognito_and_gateway()
        with pytest.raises(SidecarError, match="the demo's sidecar has not been started"):
            story.what_to_try()


def test_a_broken_step_is_exit_code_1(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cli.story.get", lambda url: Got(500, ""))
    outcome = command("demo")
    assert outcome.code == 1
    assert outcome.err == "cognito-sidecar: demo, step 2: expected 401, got 500\n"


def test_colours_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Story()._paint("x", fg="red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Story()._paint("x", fg="red") == "x"


def test_usual_ports_unless_somebody_has_them(taken_port: int, free_port: int) -> None:
    assert usual_or_free(taken_port) == 0
    assert usual_or_free(free_port) == free_port
