"""The dashboard's file: up to date, whole, and of metrics that there are. test_live.py sees that it has data."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from helm import dashboard
from tests.helm.rig import CASES, HELMS, Helm, rendered
from tests.oncall.rig import LABELS, METRIC

PAGE: dict[str, Any] = dashboard.page()
PANELS = PAGE["panels"]
SHOWING = [panel for panel in PANELS if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
CHOICES = {"namespace", "job", "instance", "upstream"}


def test_the_file_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert dashboard.main(["--check"]) == 0, capsys.readouterr().out
    (file,) = dashboard.FILES
    assert json.loads(file.read_text(encoding="utf-8")) == PAGE


def test_there_is_a_panel_for_whatever_a_person_would_look_at() -> None:
    shown = {metric.removeprefix("cognito_sidecar_") for query in QUERIES for metric in METRIC.findall(query)}
    assert shown >= {
        *("token_expiry_timestamp_seconds", "token_lifetime_seconds", "token_refreshes_total"),
        *("token_refresh_failures_total", "requests_total", "request_duration_seconds_bucket", "errors_total"),
        *("upstream_connections", "upstream_connects_total", "unauthorized_total", "log_lines_dropped_total"),
        *("build_info", "config_info", "config_last_reload_successful", "client_secret_in_use"),
    }


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_of_what_there_is_and_of_what_is_chosen(query: str) -> None:
    assert {*METRIC.findall(query)} <= LABELS.keys()
    for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", query):
        named = set(re.findall(r'(\w+)=~"\$\1"', matchers))
        wanted = CHOICES if "upstream" in LABELS.get(metric, ()) else CHOICES - {"upstream"}
        assert named == wanted, f"{metric} is shown whatever is chosen"
    # A metric without its matchers would be shown whatever is chosen as well.
    assert re.findall(r"cognito_sidecar_\w+(?![\w{])", query) == []


def test_no_two_panels_lie_on_each_other() -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        return {(x, y) for x in across for y in down}

    assert [(a["title"], b["title"]) for a, b in combinations(PANELS, 2) if cells(a) & cells(b)] == []
    assert {x for panel in PANELS for x, _ in cells(panel)} == set(range(24))
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize(
    "panel", [panel for panel in PANELS if panel["type"] != "row"], ids=lambda panel: panel["title"]
)
def test_each_panel_says_what_it_is_for(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert "unit" in panel["fieldConfig"]["defaults"] or panel["type"] == "table"


def test_variables_come_after_those_they_ask_for() -> None:
    known: set[str] = set()
    for variable in PAGE["templating"]["list"]:
        assert set(re.findall(r"\$(\w+)", str(variable.get("definition", "")))) <= known
        known.add(variable["name"])
    assert known == {"datasource", *CHOICES}


@pytest.mark.parametrize("helm", HELMS)
async def test_the_chart_puts_it_where_grafana_finds_it(helm: Helm) -> None:
    case = CASES["monitoring"].having(dashboard__enabled="true")
    (config,) = (document for document in await rendered(case, helm=helm) if document["kind"] == "ConfigMap")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["cognito-sidecar.json"]) == PAGE
    # Well below what etcd takes.
    assert len(config["data"]["cognito-sidecar.json"]) < 200_000
