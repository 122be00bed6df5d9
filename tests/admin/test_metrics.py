"""The metrics, read back by Prometheus' own parsers and held against a table, whose names docs/metrics.md has."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Final, get_args

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from proxy.admin.metrics import CACHE_RESULTS, PREFIX, render, slices
from proxy.errors import KINDS, REASONS
from proxy.stats import CacheOperation, CacheStats
from tests.admin.fakes import NOW, FakeView, Secret, Token, empty, expired, failing, stale, upstream

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
TABLE = [
    ("token_refreshes_total", "counter", {"upstream", "result"}),
    ("token_refresh_failures_total", "counter", {"upstream", "reason"}),
    ("token_refresh_duration_seconds", "histogram", {"upstream"}),
    ("token_expiry_timestamp_seconds", "gauge", {"upstream"}),
    ("token_last_success_timestamp_seconds", "gauge", {"upstream"}),
    ("token_lifetime_seconds", "gauge", {"upstream"}),
    ("token_usable", "gauge", {"upstream"}),
    ("token_at_rest", "gauge", {"upstream"}),
    ("upstream_required", "gauge", {"upstream"}),
    ("token_consecutive_failures", "gauge", {"upstream"}),
    ("token_waiters", "gauge", {"upstream"}),
    ("requests_total", "counter", {"upstream", "method", "code"}),
    ("request_duration_seconds", "histogram", {"upstream"}),
    ("requests_in_flight", "gauge", {"upstream"}),
    ("errors_total", "counter", {"upstream", "error"}),
    ("unauthorized_total", "counter", {"upstream", "outcome"}),
    ("upstream_connections", "gauge", {"upstream", "state"}),
    ("upstream_connects_total", "counter", {"upstream", "result"}),
    ("client_secret_in_use", "gauge", {"upstream", "secret"}),
    ("secret_reads_total", "counter", {"result"}),
    ("secret_reads_failing", "gauge", set()),
    ("config_reloads_total", "counter", {"result"}),
    ("config_last_reload_successful", "gauge", set()),
    ("config_info", "gauge", {"hash"}),
    ("build_info", "gauge", {"version", "python"}),
    ("token_cache_operations_total", "counter", {"operation", "result"}),
    ("token_cache_duration_seconds", "histogram", {"operation"}),
    ("token_cache_consecutive_failures", "gauge", set()),
    ("log_lines_dropped_total", "counter", set()),
]


def busy() -> FakeView:
    """A sidecar in which every counter has moved."""
    shown = upstream(connections_idle=2, connections_busy=1)
    shown.token_stats.successes = 4
    shown.token_stats.failures.update(timeout=2, throttled=1)
    shown.token_stats.duration.observe(0.2)
    shown.token_stats.consecutive_failures = 1
    shown.token_stats.last_success_at = NOW.wall - 720
    shown.token_stats.waiters = 6
    shown.stats.requests.update({("GET", 200): 10, ("OTHER", 502): 1})
    for seconds in (0.001, 0.002, 0.3, 100.0):
        shown.stats.duration.observe(seconds)
    shown.stats.in_flight = 3
    shown.stats.errors["upstream_timeout"] = 1
    shown.stats.unauthorized["replayed"] = 2
    shown.stats.connects["failure"] = 5
    view = FakeView([shown, upstream("reports", empty())], reloads=Counter(failure=1), log_lines_dropped=7)
    view.unrouted.errors["no_route"] = 8
    view.unrouted.requests["GET", 404] = 8
    view.token_cache = CacheStats()
    view.token_cache.count("get", "hit", 0.002)
    return view


def families(view: FakeView) -> dict[str, Metric]:
    """By the name that stands in the text: the parser takes `_total` off a counter's."""
    parsed = parse_text(render(view).decode())
    return {family.name + ("_total" if family.type == "counter" else ""): family for family in parsed}


def values(view: FakeView, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Samples of exactly this name, by their labels."""
    found = {}
    for family in families(view).values():
        for sample in family.samples:
            if sample.name == PREFIX + name:
                found[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(view: FakeView, name: str, **labels: str) -> float:
    return values(view, name)[tuple(sorted(labels.items()))]


@pytest.mark.parametrize(("name", "kind", "labels"), TABLE)
def test_names_types_and_labels_are_those_of_the_table(name: str, kind: str, labels: set[str]) -> None:
    family = families(busy())[PREFIX + name]
    assert family.type == kind
    assert len(family.documentation) > 20
    assert family.samples
    for sample in family.samples:
        assert set(sample.labels) - {"le"} == labels


def test_there_is_nothing_that_the_table_does_not_name() -> None:
    ours = {name for name in families(busy()) if name.startswith(PREFIX)}
    assert ours == {PREFIX + name for name, _, _ in TABLE}


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("token_refreshes_total", {"result": "success"}, 4),
        ("token_refreshes_total", {"result": "failure"}, 3),
        ("token_refresh_failures_total", {"reason": "timeout"}, 2),
        ("token_refresh_duration_seconds_count", {}, 1),
        ("token_refresh_duration_seconds_sum", {}, 0.2),
        ("token_expiry_timestamp_seconds", {}, NOW.wall + 2_880),
        ("token_last_success_timestamp_seconds", {}, NOW.wall - 720),
        ("token_lifetime_seconds", {}, 3_600),
        ("token_consecutive_failures", {}, 1),
        ("token_waiters", {}, 6),
        ("requests_total", {"method": "GET", "code": "200"}, 10),
        ("requests_total", {"method": "OTHER", "code": "502"}, 1),
        ("requests_in_flight", {}, 3),
        ("errors_total", {"error": "upstream_timeout"}, 1),
        ("unauthorized_total", {"outcome": "replayed"}, 2),
        ("upstream_connections", {"state": "idle"}, 2),
        ("upstream_connections", {"state": "busy"}, 1),
        ("upstream_connects_total", {"result": "failure"}, 5),
    ],
)
def test_values(name: str, labels: dict[str, str], expected: float) -> None:
    assert value(busy(), name, upstream="orders", **labels) == expected


def test_the_program_itself() -> None:
    view = busy()
    assert value(view, "config_reloads_total", result="success") == 0
    assert value(view, "config_reloads_total", result="failure") == 1
    assert value(view, "config_last_reload_successful") == 1
    assert value(view, "config_info", hash="0123456789ab") == 1
    assert value(view, "build_info", version="1.2.3", python="3.11.7") == 1
    assert value(view, "log_lines_dropped_total") == 7
    assert value(FakeView(last_reload_error="url: missing"), "config_last_reload_successful") == 0


def test_secrets_in_secrets_manager() -> None:
    assert values(FakeView(), "secret_reads_total") == {(("result", "success"),): 0, (("result", "failure"),): 0}
    view = FakeView(held=[Secret(), Secret(failing=True)], secret_reads=Counter(success=4, failure=2))
    assert value(view, "secret_reads_total", result="success") == 4
    assert value(view, "secret_reads_total", result="failure") == 2
    assert value(view, "secret_reads_failing") == 1


def test_which_client_secret_is_in_use() -> None:
    assert value(busy(), "client_secret_in_use", upstream="orders", secret="1") == 1
    assert value(busy(), "client_secret_in_use", upstream="orders", secret="2") == 0


def test_buckets_are_cumulative_and_end_in_all() -> None:
    buckets = values(busy(), "request_duration_seconds_bucket")
    counts = {dict(labels)["le"]: count for labels, count in buckets.items() if ("upstream", "orders") in labels}
    assert (counts["0.001"], counts["0.0025"], counts["0.25"], counts["0.5"]) == (1, 2, 2, 3)
    assert (counts["60.0"], counts["+Inf"]) == (3, 4)
    assert list(counts.values()) == sorted(counts.values())
    assert math.isclose(value(busy(), "request_duration_seconds_sum", upstream="orders"), 100.303)
    assert value(busy(), "request_duration_seconds_count", upstream="orders") == 4


@pytest.mark.parametrize(
    ("name", "label", "known"),
    [
        ("token_refreshes_total", "result", {"success", "failure"}),
        ("token_refresh_failures_total", "reason", set(REASONS)),
        ("errors_total", "error", set(KINDS)),
        ("unauthorized_total", "outcome", {"replayed", "passed_on", "cooling_down"}),
        ("upstream_connections", "state", {"idle", "busy"}),
        ("upstream_connects_total", "result", {"success", "failure"}),
    ],
)
def test_every_series_that_can_be_known_is_there_from_the_start(name: str, label: str, known: set[str]) -> None:
    found = values(FakeView(), name)
    assert {dict(labels)[label] for labels in found if ("upstream", "orders") in labels} == known
    assert set(found.values()) == {0.0}


def test_times_are_absent_until_there_is_one() -> None:
    view = FakeView([upstream(token=empty())])
    assert values(view, "token_expiry_timestamp_seconds") == {}
    assert values(view, "token_last_success_timestamp_seconds") == {}
    assert values(view, "token_lifetime_seconds") == {}
    assert values(view, "requests_total") == {}


@pytest.mark.parametrize(
    ("token", "usable", "at_rest"),
    [
        (Token(), 1, 0),
        (stale(), 1, 0),
        (empty(), 0, 0),
        (expired(), 0, 0),
        (failing(stale()), 1, 0),
        (stale(at_rest=True), 1, 1),
        (expired(at_rest=True), 0, 1),
    ],
)
def test_a_token_that_ran_out_at_rest_is_told_from_one_that_is_missing(
    token: Token, usable: float, at_rest: float
) -> None:
    view = FakeView([upstream(token=token)])
    assert value(view, "token_usable", upstream="orders") == usable
    assert value(view, "token_at_rest", upstream="orders") == at_rest


def test_whether_an_upstream_is_required() -> None:
    view = FakeView([upstream(), upstream("reports", required=False)])
    assert value(view, "upstream_required", upstream="orders") == 1
    assert value(view, "upstream_required", upstream="reports") == 0


def test_upstreams_that_share_a_token_each_report_it() -> None:
    first = upstream("orders")
    first.token_stats.successes = 4
    second = first._replace(name="invoices")
    view = FakeView([first, second])
    for name in ("orders", "invoices"):
        assert value(view, "token_refreshes_total", upstream=name, result="success") == 4
        assert value(view, "token_expiry_timestamp_seconds", upstream=name) == NOW.wall + 2_880


def test_what_no_upstream_was_chosen_for_is_counted_under_no_name() -> None:
    assert value(busy(), "errors_total", upstream="", error="no_route") == 8
    assert value(busy(), "requests_total", upstream="", method="GET", code="404") == 8


def test_strange_names_are_escaped() -> None:
    name = 'or"de\\rs\n} 1'
    assert value(FakeView([upstream(name)]), "token_waiters", upstream=name) == 0


def test_a_name_counted_beyond_the_known_ones_is_not_lost() -> None:
    shown = upstream()
    shown.stats.unauthorized["later"] = 1
    assert value(FakeView([shown]), "unauthorized_total", upstream="orders", outcome="later") == 1


def test_openmetrics_says_the_same() -> None:
    text = render(busy(), openmetrics=True).decode()
    assert text.endswith("# EOF\n")
    parsed = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    for name, kind, _ in TABLE:
        assert parsed[PREFIX + name.removesuffix("_total")].type == kind
    assert parsed[PREFIX + "request_duration_seconds"].unit == "seconds"


@pytest.mark.skipif(sys.platform != "linux", reason="prometheus_client reads them from /proc")
def test_the_process_is_told_too() -> None:
    found = families(FakeView())
    assert found["process_resident_memory_bytes"].samples[0].value > 1_000_000
    assert {"process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds"} <= found.keys()


@pytest.mark.parametrize("openmetrics", [False, True])
def test_slices_are_of_one_moment(openmetrics: bool) -> None:
    view = busy()
    parts = slices(view, openmetrics=openmetrics)
    text = next(parts)
    view.shown[0].stats.requests["GET", 200] += 1
    text += b"".join(parts)
    assert b'code="200",method="GET",upstream="orders"} 10.0' in text
    assert text.count(b"# EOF") == openmetrics


def test_each_view_has_its_own_metrics() -> None:
    """Nothing is registered globally, so that two sidecars in one process do not mix."""
    other = FakeView([upstream("other", Token())])
    assert "orders" not in render(other).decode()


def test_the_reference_names_every_metric_reason_and_no_other() -> None:
    reference = REFERENCE.read_text("utf-8")
    rows = re.findall(rf"^\| `({PREFIX}\w+)` \| (\w+)(?:: )?([^|]*?) *\|", reference, re.MULTILINE)
    documented = [
        (name, kind, {label.strip() for label in re.sub(r"\(.*?\)", "", labels).split(",")} - {""})
        for name, kind, labels in rows
    ]
    assert documented == [(PREFIX + name, kind, labels) for name, kind, labels in TABLE]
    for reason in REASONS:
        assert f"`{reason}`" in reference
    known = {PREFIX + name for name, _, _ in TABLE} | {PREFIX + "request_duration_seconds_bucket"}
    assert set(re.findall(rf"{PREFIX}\w+", reference)) == known


def test_a_shared_token_cache_is_told_of_where_there_is_one() -> None:
    view = FakeView()
    assert b"token_cache" not in render(view)
    view.token_cache = CacheStats()
    view.token_cache.count("get", "hit", 0.002)
    view.token_cache.count("lock", "timeout", 0.25)
    text = render(view).decode()
    for line in (
        'cognito_sidecar_token_cache_operations_total{operation="get",result="hit"} 1.0',
        'cognito_sidecar_token_cache_operations_total{operation="lock",result="timeout"} 1.0',
        'cognito_sidecar_token_cache_operations_total{operation="put",result="success"} 0.0',
        'cognito_sidecar_token_cache_duration_seconds_count{operation="get"} 1.0',
        'cognito_sidecar_token_cache_duration_seconds_bucket{le="0.25",operation="lock"} 1.0',
        "cognito_sidecar_token_cache_consecutive_failures 0.0",
    ):
        assert line in text


@pytest.mark.parametrize("operation", get_args(CacheOperation))
def test_every_operation_of_the_token_cache_is_counted(operation: CacheOperation) -> None:
    view = FakeView()
    view.token_cache = CacheStats()
    for result in CACHE_RESULTS[operation]:
        view.token_cache.count(operation, result, 0.002)
    text = render(view).decode()
    for result in CACHE_RESULTS[operation]:
        assert f'token_cache_operations_total{{operation="{operation}",result="{result}"}} 1.0' in text
    assert f"operation (`{'`, `'.join(sorted(get_args(CacheOperation)))}`)" in REFERENCE.read_text("utf-8")
