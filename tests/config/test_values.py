"""Where values come from, and what is said when they do not come."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.config import load
from proxy.config.values import A_VALUE
from tests.config.files import SECRET, load_data, problems, upstream, upstream_problems, write


def config(secret: object) -> dict[str, object]:
    return {"upstreams": {"orders": upstream(auth__client_secret=secret)}}


def secrets_of(folder: Path, secret: object) -> list[str]:
    loaded = load_data(folder, config(secret))
    return [value.reveal() for value in loaded.config.upstreams["orders"].auth.client_secret]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b" abc ", " abc "),
        ("ü:/+ %&\n".encode(), "ü:/+ %&"),
        (b"\xef\xbb\xbfabc\n", "abc"),
    ],
)
def test_one_trailing_newline_of_a_file_is_taken_off(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert secrets_of(tmp_path, {"file": str(tmp_path / "secret")}) == [text]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"abc\n\n", "contains a line break"),
        (b"abc\r", "contains a line break"),
        (b"a\nb\n", "contains a line break"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"x" * (1 << 20) + b"x", "it is larger than 1 MiB"),
    ],
)
def test_files_that_cannot_be_a_secret(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    [problem] = upstream_problems(tmp_path, auth__client_secret={"file": "secret"})
    assert problem.startswith("auth.client_secret: file ")
    assert str(tmp_path / "secret") in problem
    assert why in problem


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert upstream_problems(
        tmp_path,
        auth__client_id={"file": "/nowhere/id"},
        auth__client_secret={"file": "\0"},
        url={"file": str(tmp_path)},
    ) == [
        f"url: file {tmp_path} cannot be read: is a directory",
        "auth.client_id: file /nowhere/id cannot be read: no such file or directory",
        "auth.client_secret: expected the path of a file, without control characters",
    ]


def test_relative_paths_are_relative_to_the_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "secret").write_text(SECRET)
    write(tmp_path / "conf", config({"file": "secret"}))
    monkeypatch.chdir(tmp_path)
    loaded = load("conf/config.yaml", environ={"CLIENT_ID": "x"})
    assert loaded.files == (str(tmp_path / "conf" / "config.yaml"), str(tmp_path / "conf" / "secret"))


def test_a_pipe_can_be_read_once(tmp_path: Path) -> None:
    # As in `--config <(helm template …)`; one that nobody writes to must not stop the program.
    read_end, write_end = os.pipe()
    os.write(write_end, b"from-a-pipe\n")
    os.close(write_end)
    try:
        assert secrets_of(tmp_path, {"file": f"/dev/fd/{read_end}"}) == ["from-a-pipe"]
    finally:
        os.close(read_end)
    os.mkfifo(tmp_path / "fifo")
    assert "is empty" in upstream_problems(tmp_path, auth__client_secret={"file": "fifo"})[0]


def test_one_secret_or_two(tmp_path: Path) -> None:
    assert secrets_of(tmp_path, "plain") == ["plain"]
    assert secrets_of(tmp_path, ["one"]) == ["one"]
    assert secrets_of(tmp_path, [{"env": "CLIENT_SECRET"}, "two"]) == [SECRET, "two"]


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ([], ": expected 1 to 2, got 0"),
        (["a", "b", "c"], ": expected 1 to 2, got 3"),
        (["a", ""], "[1]: is empty"),
        (None, f": expected {A_VALUE}, got nothing"),
        (12345, f": expected {A_VALUE}, got a number: put it in quotes"),
        (True, "way too): put it in quotes"),
        ("", ": is empty"),
        ({}, ": expected one of the keys env, file, secrets_manager, got none"),
        ({"env": "A", "file": "b"}, ": expected one of the keys env, file, secrets_manager, got several"),
        ({"evn": "A"}, ": unknown key; did you mean env?; a value has env or file or secrets_manager"),
        ({SECRET: None}, "auth.client_secret: unknown key; a value has env or file or secrets_manager"),
        ({"secrets_manager": "a", SECRET: None}, "secret: unknown key; with secrets_manager go key and region"),
        ({"env": ""}, ": env: expected the name of an environment variable"),
        ({"env": 5}, ": env: expected the name of an environment variable"),
        ({"file": None}, ": file: expected the name of a file"),
        ({"file": "a\nb"}, ": expected the path of a file, without control characters"),
        ({"env": "${CLIENT_SECRET}"}, ": env: expected the plain name of an environment variable, such as CLIENT_ID"),
        ({"env": "NOT_SET"}, ": environment variable NOT_SET is not set"),
    ],
)
def test_what_is_no_value(tmp_path: Path, secret: object, why: str) -> None:
    [problem] = upstream_problems(tmp_path, auth__client_secret=secret)
    assert problem.startswith("auth.client_secret")
    assert problem.endswith(why)


def test_values_of_the_environment_are_named_in_problems(tmp_path: Path) -> None:
    environ = {"CLIENT_ID": "", "CLIENT_SECRET": f"{SECRET}\n", "URL": f"ftp://{SECRET}", "KEY": f" {SECRET}"}
    data = {
        "upstreams": {"orders": upstream(url={"env": "URL"}, headers__set={"X-Key": {"env": "KEY"}})},
        "require_header": {"name": "X-Key", "value": {"env": "CLIENT_ID"}},
    }
    assert dict(problem.split(": ", 1) for problem in problems(tmp_path, data, environ)) == {
        "require_header.value": "environment variable CLIENT_ID: is empty",
        "upstreams.orders.auth.client_id": "environment variable CLIENT_ID: is empty",
        "upstreams.orders.auth.client_secret": (
            "environment variable CLIENT_SECRET: contains a line break or another control character"
        ),
        "upstreams.orders.headers.set.X-Key": (
            "environment variable KEY: begins or ends with a space, which HTTP would take off"
        ),
        "upstreams.orders.url": "environment variable URL: expected a URL that begins with https:// or http://",
    }


def test_every_key_that_may_come_from_elsewhere_does(tmp_path: Path) -> None:
    environ = {"URL": "https://a.example", "TOKEN": "https://b.example/t", "ID": "i", "S": SECRET, "H": "h", "K": "k"}
    data = {
        "upstreams": {
            "orders": upstream(
                url={"env": "URL"},
                auth={"token_url": {"env": "TOKEN"}, "client_id": {"env": "ID"}, "client_secret": {"env": "S"}},
                headers__set={"X-H": {"env": "H"}},
            )
        },
        "require_header": {"name": "X-K", "value": {"env": "K"}},
    }
    config = load_data(tmp_path, data, environ).config
    orders = config.upstreams["orders"]
    assert (str(orders.url), str(orders.auth.token_url)) == ("https://a.example", "https://b.example/t")
    assert orders.auth.client_id.reveal() == "i"
    assert orders.auth.client_id.origin == "env ID"
    assert orders.headers.set["X-H"].reveal() == "h"
    assert config.require_header is not None
    assert config.require_header.value.reveal() == "k"


def test_a_value_shows_where_it_is_from_and_never_what_it_is(tmp_path: Path) -> None:
    loaded = load_data(tmp_path, config([{"env": "CLIENT_SECRET"}, SECRET + "2"]))
    for text in (repr(loaded), str(loaded), f"{loaded.config.upstreams['orders'].auth.client_secret[0]}"):
        assert SECRET not in text
    assert "<value from env CLIENT_SECRET>" in repr(loaded)


def test_the_same_text_is_the_same_value_wherever_it_is_from(tmp_path: Path) -> None:
    one = load_data(tmp_path, config({"env": "CLIENT_SECRET"})).config
    other = load_data(tmp_path, config(SECRET)).config
    assert one == other
    assert hash(one.upstreams["orders"].auth.client_secret) == hash(other.upstreams["orders"].auth.client_secret)
    assert one.upstreams["orders"].auth.client_id != other.upstreams["orders"].auth.client_secret[0]
