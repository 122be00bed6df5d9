"""What the faults do to files: configurations that may be used, those that must not, and a log that is not read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy import config as configuration
from proxy.config.model import Loaded
from proxy.errors import ConfigError
from tests.forward.rig import until
from tests.processes import free_port
from trials.chaos.faults import LogPipe, bad, good
from trials.chaos.script import BAD_CONFIGS, GOOD_CONFIGS

IN_THE_TEXT = [variant for variant in BAD_CONFIGS if variant not in ("gone", "no secret", "port in use")]


@pytest.fixture
def base(tmp_path: Path) -> dict[str, Any]:
    """As `trials.chaos.play` writes it, in what matters here."""
    (tmp_path / "secret").write_text("s\n")
    auth = {
        "token_url": "http://127.0.0.1:1/oauth2/token",
        "client_id": "id",
        "client_secret": {"file": str(tmp_path / "secret")},
        "scopes": ["a"],
    }
    common = {"url": "http://127.0.0.1:2", "auth": auth, "pool": {"keepalive": "2s"}, "timeouts": {"idle": "4s"}}
    return {
        "upstreams": {
            "orders": {**common, "listen": f"127.0.0.1:{free_port()}"},
            "local": {**common, "listen": f"unix:{tmp_path}/local.sock"},
        },
        "log": {"level": "debug"},
    }


def _load(folder: Path, text: str) -> Loaded:
    (folder / "config.yaml").write_text(text)
    return configuration.load(str(folder / "config.yaml"), environ={})


@pytest.mark.parametrize("variant", GOOD_CONFIGS)
def test_a_good_configuration_may_be_used_and_is_another_one(
    variant: str, base: dict[str, Any], tmp_path: Path
) -> None:
    before = _load(tmp_path, yaml.safe_dump(base))
    after = _load(tmp_path, yaml.safe_dump(good(base, variant)))
    assert after.hash != before.hash
    assert after.config.upstreams["orders"].listen == before.config.upstreams["orders"].listen


@pytest.mark.parametrize("variant", IN_THE_TEXT)
def test_a_bad_configuration_is_refused(variant: str, base: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        _load(tmp_path, bad(base, variant, yaml.safe_dump(base), 1))


def test_a_port_in_use_is_what_only_the_start_can_see(base: dict[str, Any], tmp_path: Path) -> None:
    loaded = _load(tmp_path, bad(base, "port in use", yaml.safe_dump(base), 4711))
    assert loaded.config.upstreams["orders"].listen.port == 4711


def _fits(descriptor: int, data: bytes) -> bool:
    """Write it, unless nobody has taken what was written before."""
    try:
        return os.write(descriptor, data) == len(data)
    except BlockingIOError:
        return False


async def test_a_log_that_is_not_read_is_read_later(tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "log"
    log = LogPipe(pipe, file)
    writing = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        log.stall()
        while _fits(writing, b"x" * 1_000):
            pass
        log.flow()
        await until(lambda: _fits(writing, b"y" * 1_000))
    finally:
        os.close(writing)
        log.close()
    assert file.read_bytes().endswith(b"y" * 1_000)
