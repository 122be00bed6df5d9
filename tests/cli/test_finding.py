"""Which file, and which running sidecar, a command means."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from proxy.cli import finding
from proxy.cli.finding import admin_target, config_path, target
from proxy.config.model import Admin
from proxy.errors import ConfigError


def test_the_default_is_the_configurations_own() -> None:
    assert str(Admin().listen) == finding.DEFAULT_ADMIN


def test_config_path() -> None:
    assert config_path("mine.yaml") == "mine.yaml"
    assert config_path(None) == "/etc/cognito-sidecar/config.yaml"


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("127.0.0.1:9090", "127.0.0.1:9090"),
        ("localhost:1", "localhost:1"),
        ("0.0.0.0:9090", "127.0.0.1:9090"),
        (":9090", "127.0.0.1:9090"),
        ("[::]:9090", "[::1]:9090"),
        ("[::1]:9090", "[::1]:9090"),
        ("10.0.0.7:80", "10.0.0.7:80"),
        ("unix:/run/admin.sock", "unix:/run/admin.sock"),
    ],
)
def test_target_is_an_address_to_call(listen: str, found: str) -> None:
    assert str(target(listen)) == found


@pytest.mark.parametrize("listen", ["", "9090", "host", "host:", "host:http", "host:65536", "unix:", "host:\uff10"])
def test_what_is_no_address(listen: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        target(listen)


def test_port_0_cannot_be_called() -> None:
    with pytest.raises(ValueError, match="port 0"):
        target("127.0.0.1:0")


def test_the_option_goes_before_the_file() -> None:
    assert str(admin_target("127.0.0.1:1", "/does/not/exist")) == "127.0.0.1:1"


def test_a_wrong_option_is_wrong_usage() -> None:
    with pytest.raises(click.BadParameter, match="expected HOST:PORT"):
        admin_target("nonsense", None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("admin: {listen: 127.0.0.1:1234}", "127.0.0.1:1234"),
        ("admin: {listen: '0.0.0.0:1234'}", "127.0.0.1:1234"),
        ("admin: {listen: 'unix:/run/a.sock'}", "unix:/run/a.sock"),
        ("admin: {listen: {unix: /run/a.sock, mode: '0660', group: none-such}}", "unix:/run/a.sock"),
        ("admin: {}", "127.0.0.1:9090"),
        ("admin:", "127.0.0.1:9090"),
        ("upstreams: {orders: {auth: {client_secret: {file: /not/here}}}}", "127.0.0.1:9090"),
    ],
)
def test_only_one_key_of_the_file_counts(tmp_path: Path, text: str, found: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    assert str(admin_target(None, str(file))) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("admin: {listen: 9090}", "admin.listen: expected HOST:PORT or unix:/path, got 9090"),
        ("admin: {listen: {mode: '0660'}}", "admin.listen: expected HOST:PORT or unix:/path, got {'mode': '0660'}"),
        ("admin: {listen: nowhere}", "admin.listen: expected HOST:PORT or unix:/path, got 'nowhere'"),
        ("admin: {listen: '127.0.0.1:0'}", "admin.listen: port 0 asks for any free port"),
        ("admin: [1]", "expected a mapping that holds `listen`"),
        ("just text", "expected a mapping that holds `admin`"),
        ("", "expected a mapping that holds `admin`"),
        ("a: [\n", "not valid YAML (line 2)"),
        ("a: \x01", "not valid YAML"),
    ],
)
def test_a_file_that_does_not_say_where(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        admin_target(None, str(file))
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        admin_target(None, str(tmp_path / "none.yaml"))
    assert caught.value.problems == (f"{tmp_path}/none.yaml: No such file or directory",)


def test_the_usual_file_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "DEFAULT_CONFIG", str(tmp_path / "none.yaml"))
    assert str(admin_target(None, None)) == "127.0.0.1:9090"


def test_the_usual_file_must_be_readable_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "DEFAULT_CONFIG", str(tmp_path))
    with pytest.raises(ConfigError, match="Is a directory"):
        admin_target(None, None)
