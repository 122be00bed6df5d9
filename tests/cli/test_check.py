"""`check`: every problem, and for a good file where everything leads, without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.aws.reader import Reader
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, Unread
from tests import processes
from tests.cli.conftest import Run

SECRET = "a-secret-that-must-not-show"


def upstream(**changes: Any) -> dict[str, Any]:
    auth = {"token_url": "https://id.example.com/oauth2/token", "client_id": "me", "client_secret": SECRET}
    return {"listen": "127.0.0.1:8080", "url": "https://api.example.com/dev", "auth": auth, **changes}


def write(tmp_path: Path, config: Any) -> str:
    file = tmp_path / "sidecar.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(file)


def test_a_good_file(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    monkeypatch.setenv("BILLING_ID", "not-shown-either")
    billing = upstream(prefix="/billing")
    billing["auth"] |= {"client_id": {"env": "BILLING_ID"}, "client_secret": [{"file": str(secret)}, SECRET]}
    outcome = command("check", "--config", write(tmp_path, {"upstreams": {"orders": upstream(), "billing": billing}}))
    assert (outcome.code, outcome.err) == (0, "")
    orders, other = outcome.out.splitlines()
    assert orders == (
        "orders: 127.0.0.1:8080/ -> https://api.example.com/dev "
        "(token from https://id.example.com, client_id: literal, client_secret: literal)"
    )
    assert other.startswith("billing: 127.0.0.1:8080/billing -> https://api.example.com/dev (")
    assert other.endswith(f"client_id: env BILLING_ID, client_secret: file {secret} and literal)")
    assert SECRET not in outcome.out
    assert "not-shown-either" not in outcome.out


def test_a_unix_socket_is_shown_as_written(command: Run, tmp_path: Path) -> None:
    file = write(tmp_path, {"upstreams": {"orders": upstream(listen="unix:/run/orders.sock")}})
    assert command("check", "--config", file).out.startswith("orders: unix:/run/orders.sock -> ")


def test_the_variable_names_the_file(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNITO_SIDECAR_CONFIG", write(tmp_path, {"upstreams": {"orders": upstream()}}))
    assert command("check").code == 0


async def test_ten_faults_are_ten_lines_and_no_traceback(tmp_path: Path) -> None:
    faulty = upstream(listen="0.0.0.0:8080", url="http://api.example.com", prefix="no-slash", requird=True)
    faulty["auth"] |= {"scopes": "one", "refresh_at": 7, "client_id": {"env": "NOT_SET"}, "wait": "soon"}
    config = {"upstreams": {"orders": faulty}, "log": {"level": "loud"}, "shutdwon": {}}
    ended = await processes.run_command("check", "--config", write(tmp_path, config))
    lines = ended.stderr.decode().splitlines()
    assert (ended.code, ended.stdout) == (2, b"")
    assert len(lines) == 10
    for key in (
        "upstreams.orders.listen: ",
        "upstreams.orders.url: ",
        "upstreams.orders.prefix: ",
        "upstreams.orders.requird: ",
        "upstreams.orders.auth.scopes: expected a list of strings, got a string",
        "upstreams.orders.auth.refresh_at: ",
        "upstreams.orders.auth.client_id: ",
        "upstreams.orders.auth.wait: ",
        "log.level: ",
        "shutdwon: unknown key",
    ):
        assert [line for line in lines if line.startswith(key)], key


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("", "empty"),
        ("just text", "expected a mapping"),
        ("upstreams: {", ""),
        ("upstreams: {}", "upstreams: "),
    ],
)
async def test_a_file_that_is_no_configuration(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "sidecar.yaml"
    if content is not None:
        file.write_text(content)
    ended = await processes.run_command("check", "--config", str(file))
    text = ended.stderr.decode()
    assert (ended.code, ended.stdout, text.count("\n")) == (2, b"", 1)
    assert says in text
    assert "sidecar.yaml" in text or "upstreams" in text


def _managed() -> dict[str, Any]:
    managed = upstream(listen="127.0.0.1:8081")
    managed["auth"]["client_secret"] = {"secrets_manager": "prod/orders", "region": "eu-central-1"}
    return managed


def test_offline_leaves_out_secrets_manager(command: Run, tmp_path: Path) -> None:
    file = write(tmp_path, {"upstreams": {"orders": upstream(), "managed": _managed()}})
    outcome = command("check", "--offline", "--config", file)
    assert outcome == (0, "", "note: secret prod/orders in eu-central-1 was not read\n")
    # Where there is none, it is as without the option.
    file = write(tmp_path, {"upstreams": {"orders": upstream()}})
    assert command("check", "--offline", "--config", file) == command("check", "--config", file)


def test_offline_finds_every_other_problem(command: Run, tmp_path: Path) -> None:
    outcome = command("check", "--offline", "--config", write(tmp_path, {"upstreams": {"o": _managed()}, "lgo": {}}))
    assert (outcome.code, outcome.err) == (2, "lgo: unknown key; did you mean log?\n")


def test_where_a_secret_comes_from(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Reader, asked: Mapping[SecretRef, Held | None]) -> dict[SecretRef, Held | Unread]:
        return dict.fromkeys(asked, Held(Value(SECRET), Value("before"), "v2"))

    monkeypatch.setattr(Reader, "read", read)
    outcome = command("check", "--config", write(tmp_path, {"upstreams": {"o": _managed()}}))
    assert (outcome.code, outcome.err) == (0, "")
    assert "client_secret: secrets_manager prod/orders and secrets_manager prod/orders AWSPREVIOUS)" in outcome.out
    assert SECRET not in outcome.out
