"""`/status`: its shape, which is public, and its values."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from proxy.admin.process import Usage
from proxy.admin.status import render, status
from proxy.explanations import cache_remedy, remedy, secret_remedy
from proxy.stats import CacheStats
from tests.admin.fakes import NOW, Error, FakeView, Secret, Token, empty, failing, upstream

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def _orders(view: FakeView) -> dict[str, Any]:
    shown = status(view, NOW)["upstreams"]["orders"]
    assert isinstance(shown, dict)
    return shown


def test_the_keys_that_programs_count_on() -> None:
    shown = json.loads(render(FakeView([upstream(token=failing(Token()))]), NOW))
    assert shown["version"] == "1.2.3"
    assert shown["uptime_seconds"] == 90.5
    assert shown["config_hash"] == "0123456789ab"
    orders = shown["upstreams"]["orders"]
    assert orders["state"] == "FRESH"
    assert orders["expires_at"] == "2026-10-26T08:21:20Z"
    assert orders["renew_at"] == "2026-10-26T08:06:20Z"
    assert orders["scopes"] == ["mydomain.com/API_ACCESS"]
    assert orders["token_id"] == "1f2e3d4c"
    assert orders["last_error"] == {
        "reason": "invalid_client",
        "detail": "the token endpoint does not accept this client id and secret",
        "to_do": remedy("invalid_client"),
        "at": "2026-10-26T07:32:38Z",
    }


def test_every_time_is_iso_8601_or_null() -> None:
    for token in (failing(Token()), empty()):
        orders = _orders(FakeView([upstream(token=token)]))
        for key, value in orders.items():
            if key.endswith("_at"):
                assert value is None or TIME.fullmatch(value), key


def test_before_the_first_token_there_is_null_and_no_invention() -> None:
    orders = _orders(FakeView([upstream(token=empty())]))
    assert orders["state"] == "EMPTY"
    assert [orders[key] for key in ("expires_at", "renew_at", "token_id", "last_error")] == [None] * 4
    assert orders["ready"] is False


def test_traffic_and_what_the_sidecar_answered_itself() -> None:
    shown = upstream(connections_idle=2, connections_busy=1)
    shown.stats.requests.update({("GET", 200): 3, ("POST", 200): 2, ("GET", 503): 1})
    shown.stats.errors["token_unavailable"] = 1
    shown.stats.unauthorized["replayed"] = 1
    shown.stats.in_flight = 4
    shown.token_stats.successes = 5
    shown.token_stats.failures["timeout"] = 2
    orders = _orders(FakeView([shown]))
    assert orders["requests"] == {"total": 6, "in_flight": 4, "by_code": {"200": 5, "503": 1}}
    assert orders["errors"] == {"token_unavailable": 1}
    assert orders["unauthorized"] == {"replayed": 1}
    assert orders["connections"] == {"idle": 2, "busy": 1}
    assert orders["token_calls"] == {"success": 5, "failure": 2}


def test_the_whole_sidecar() -> None:
    view = FakeView(reloads=Counter(success=2, failure=1), last_reload_error="upstreams: missing", draining=True)
    view.unrouted.errors["no_route"] = 7
    shown = status(view, NOW)
    assert shown["config_reloads"] == {"success": 2, "failure": 1, "last_error": "upstreams: missing"}
    assert shown["draining"] is True
    assert shown["ready"] is False
    assert shown["unrouted"]["errors"] == {"no_route": 7}
    assert shown["started_at"] == "2026-10-26T07:31:49Z"


def test_the_clients_secrets_and_which_of_them_is_used() -> None:
    orders = _orders(FakeView([upstream()]))
    assert orders["secret"] == "1 of 2"
    assert orders["secrets"] == [
        {
            "origin": "file /run/secrets/new",
            "in_use": True,
            "in_use_since": "2026-10-25T07:33:20Z",
            "accepted_at": "2026-10-26T07:21:20Z",
            "refused_at": None,
        },
        {
            "origin": "file /run/secrets/old",
            "in_use": False,
            "in_use_since": None,
            "accepted_at": "2026-10-25T06:33:20Z",
            "refused_at": None,
        },
    ]


def test_secrets_in_secrets_manager() -> None:
    assert status(FakeView(), NOW)["secrets"] == []
    failed = Secret(region="", failing=True, last_error=Error("timeout", "no answer\n"))
    first, second = status(FakeView(held=[Secret(), failed]), NOW)["secrets"]
    assert first == {
        "secrets_manager": "prod/orders",
        "region": "eu-central-1",
        "version": "8a4b0c1e-5f7d-4a7e-9f7e-3d2c1b0a9f8e",
        "has_previous": True,
        "read_at": "2026-10-26T07:32:20Z",
        "changed_at": "2026-10-26T07:27:20Z",
        "next_read_at": "2026-10-26T07:37:20Z",
        "failing": False,
        "last_error": None,
    }
    assert (second["region"], second["failing"]) == (None, True)
    assert second["last_error"] == {
        "reason": "timeout",
        "detail": "no answer",
        "to_do": secret_remedy("timeout"),
        "at": "2026-10-26T07:32:38Z",
    }


def test_what_the_process_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.admin.status.usage", lambda: Usage(open_fds=31, resident_bytes=50_000_000))
    assert status(FakeView(tasks=9, caller_connections=4), NOW)["process"] == {
        "tasks": 9,
        "caller_connections": 4,
        "open_fds": 31,
        "resident_bytes": 50_000_000,
    }


def test_text_that_is_not_utf_8_does_not_stop_it() -> None:
    detail = 'a "quoted" \udcff <b>ü</b>'
    shown = json.loads(render(FakeView([upstream(token=failing(Token(), error=Error("tls", detail)))]), NOW))
    assert shown["upstreams"]["orders"]["last_error"]["detail"].startswith('a "quoted" ')


def test_the_shared_token_cache() -> None:
    assert status(FakeView(), NOW)["token_cache"] is None
    cache = CacheStats()
    view = FakeView(token_cache=cache)
    cache.count("get", "hit", 0.1)
    assert status(view, NOW)["token_cache"] == {
        "consecutive_failures": 0,
        "left_alone": False,
        "trouble": None,
        "to_do": None,
        "operations": {"get": {"hit": 1}},
    }
    cache.consecutive_failures, cache.trouble, cache.left_alone = 3, "timeout", True
    told = status(view, NOW)["token_cache"]
    assert (told["consecutive_failures"], told["left_alone"], told["trouble"]) == (3, True, "timeout")
    assert told["to_do"] == cache_remedy("timeout")
