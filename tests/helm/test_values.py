"""What values.schema.json refuses, and that it knows exactly the values there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm import values_schema
from proxy.config import json_schema
from tests.helm.rig import APPLICATION, CASES, HELMS, LIBRARY, Helm, refusal

CHARTS = pytest.mark.parametrize("chart", [LIBRARY, APPLICATION], ids=lambda chart: chart.name)


def _schema(chart: Path) -> dict[str, Any]:
    return dict(json.loads((chart / "values.schema.json").read_text(encoding="utf-8")))


def _values(chart: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8")))


def test_the_schemas_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert values_schema.main(["--check"]) == 0, capsys.readouterr().out


def test_a_schema_that_is_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "values.schema.json"
    monkeypatch.setattr(values_schema, "HERE", tmp_path / "helm")
    monkeypatch.setattr(values_schema, "FILES", {written: values_schema.library})
    assert values_schema.main(["--check"]) == 1
    assert capsys.readouterr().out == "values.schema.json is not up to date: make docs\n"
    assert values_schema.main(["--write"]) == 0
    assert values_schema.main(["--check"]) == 0


@CHARTS
def test_it_takes_the_sidecar_s_own_schema(chart: Path) -> None:
    ours = json.loads(json.dumps(json_schema()).replace("#/$defs/", "#/definitions/"))
    schema = _schema(chart)
    assert schema["definitions"] == ours["$defs"]
    # An empty table of upstreams is what values begin with; that there has to be one is said in words.
    del ours["properties"]["upstreams"]["minProperties"]
    assert schema["properties"]["config"]["properties"] == ours["properties"]


@CHARTS
def test_every_value_has_its_default_and_a_place_in_the_schema(chart: Path) -> None:
    def compare(values: dict[str, Any], schema: dict[str, Any], path: str) -> None:
        assert values.keys() == schema["properties"].keys() - {"global"}, path
        for key, value in values.items():
            inner = schema["properties"][key]
            if "properties" in inner and key not in ("config", *_OF_KUBERNETES, "serviceMonitor"):
                compare(value, inner, f"{path}.{key}")

    compare(_values(chart), _schema(chart), chart.name)


_OF_KUBERNETES = ("startup", "liveness", "readiness", "resources", "securityContext", "podSecurityContext", "strategy")
"""Which have more keys than need a default."""


@CHARTS
def test_every_mapping_is_closed(chart: Path) -> None:
    def open_ones(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [found for item in schema for found in open_ones(item, path)]
        if not isinstance(schema, dict):
            return []
        here = [path] if "properties" in schema and "items" not in path and schema.get("type") == "object" else []
        here = here if schema.get("additionalProperties") is not False else []
        return here + [found for key, value in schema.items() for found in open_ones(value, f"{path}.{key}")]

    assert open_ones(_schema(chart), "") == []


def test_both_charts_have_the_same_defaults() -> None:
    # One container, two charts. Where they differ, it is meant.
    library, application = _values(LIBRARY), _values(APPLICATION)
    different = {key for key in library.keys() & application.keys() if library[key] != application[key]}
    assert different == {
        "config",  # for other pods: off loopback, and accepting for a little longer
        "probes",  # a Service needs readiness
        "resources",  # the requests of many callers
    }
    assert {**library["probes"], "readiness": application["probes"]["readiness"]} == application["probes"]


# ------------------------------------------------------------------------------------------------ what is refused

MISTAKES = [
    # case, value, JSON, where Helm 3 says it is, what it says
    ("smallest", "image__tagg", '"1"', "image", "tagg"),
    ("smallest", "replica", "3", "(root)", "replica"),
    ("smallest", "replicas", '"3"', "replicas", "string"),
    ("smallest", "image__digest", '"latest"', "image.digest", "pattern"),
    ("smallest", "image__pullPolicy", '"Sometimes"', "image.pullPolicy", "one of"),
    ("smallest", "existingSecret", '"Orders_Cognito"', "existingSecret", "pattern"),
    ("smallest", "networkPolicy__from", "[]", "networkPolicy.from", "1"),
    ("smallest", "networkPolicy__egressPorts", "[70000]", "networkPolicy.egressPorts.0", "535"),
    ("smallest", "autoscaling__targetCPUUtilizationPercentage", "80", "autoscaling", "targetCPU"),
    ("smallest", "podDisruptionBudget__maxUnavailable", '"half"', "podDisruptionBudget.maxUnavailable", "pattern"),
    ("smallest", "podDisruptionBudget__minAvailable", '"200%"', "podDisruptionBudget.minAvailable", "pattern"),
    ("smallest", "networkPolicy__from", "[{}]", "networkPolicy.from.0", "1"),
    ("smallest", "networkPolicy__metricsFrom", '[{"podSelectors": {}}]', "networkPolicy.metricsFrom.0", "podSelectors"),
    ("smallest", "resources__request", '{"cpu": "1"}', "resources", "request"),
    ("smallest", "resources__limits__memory", '"256 MB"', "resources.limits.memory", "pattern"),
    ("smallest", "strategy__type", '"Rolling"', "strategy.type", "one of"),
    ("smallest", "strategy__rollingUpdate__maxSurges", "1", "strategy.rollingUpdate", "maxSurges"),
    ("smallest", "securityContext__runAsUser", '"app"', "securityContext.runAsUser", "string"),
    ("smallest", "podSecurityContext__readOnlyRootFilesystem", "true", "podSecurityContext", "readOnly"),
    ("legacy-app", "cognitoSidecar__securityContext__readOnlyRootFileSystem", "true", "securityContext", "readOnly"),
    ("legacy-app", "cognitoSidecar__resources__limits__memory", "-1", "resources.limits.memory", "0"),
    ("smallest", "extraEnv", '[{"name": "A", "value": 5}]', "extraEnv.0.value", "string"),
    ("smallest", "extraEnv", '[{"name": "A", "valeu": "5"}]', "extraEnv.0", "valeu"),
    ("smallest", "probes__liveness__successThreshold", "2", "probes.liveness.successThreshold", "1"),
    ("smallest", "autoscaling__cpu", '"0m"', "autoscaling.cpu", "pattern"),
    ("smallest", "serviceMonitor__interval", "30", "serviceMonitor.interval", "string"),
    ("smallest", "podLabels", '{"a": 1}', "podLabels.a", "string"),
    ("smallest", "fullnameOverride", '"Orders.API"', "fullnameOverride", "pattern"),
    ("smallest", "native", "false", "(root)", "native"),
    ("smallest", "caBundles", '{"a": {"configMap": "x", "secret": "y"}}', "caBundles.a", "1"),
    ("smallest", "caBundles", '{"a": {}}', "caBundles.a", "1"),
    ("smallest", "extraEnv", '[{"value": "x"}]', "extraEnv.0", "name"),
    ("smallest", "config__upstreams__orders__lisen", '"127.0.0.1:1"', "config.upstreams.orders", "lisen"),
    ("smallest", "config__upstreams__orders__url", '"ftp://orders"', "config.upstreams.orders.url", "oneOf"),
    ("smallest", "config__upstreams__orders__auth__scopes", '"a"', "config.upstreams.orders.auth.scopes", "array"),
    ("smallest", "config__upstreams__orders__timeouts", '{"connect": "0s"}', "timeouts.connect", "anyOf"),
    ("smallest", "config__upstreams__billing", "{}", "config.upstreams.billing", "auth"),
    ("smallest", "config__log__level", '"loud"', "config.log.level", "one of"),
    ("legacy-app", "cognitoSidecar__enabled", "true", "(root)", "enabled"),
    ("legacy-app", "cognitoSidecar__native", '"yes"', "native", "string"),
    ("legacy-app", "cognitoSidecar__probes__startup__period", "3", "probes.startup", "period"),
    ("legacy-app", "cognitoSidecar__config__upstream", "{}", "config", "upstream"),
]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("case", "value", "json_text", "where", "what"), MISTAKES)
async def test_a_mistake_is_refused_by_its_path(
    helm: Helm, case: str, value: str, json_text: str, where: str, what: str
) -> None:
    said = await refusal(CASES[case].having(**{value: json_text}), helm=helm)
    place = f"- {where}: " if helm == "helm3" else f"at '{'' if where == '(root)' else '/' + where.replace('.', '/')}'"
    if where == "timeouts.connect":  # too long a path for a line of this table
        place = f"config.upstreams.orders.{where}" if helm == "helm3" else "/config/upstreams/orders/timeouts/connect"
    told = [line for line in said.splitlines() if place in line]
    assert told, said
    assert any(what.lower() in line.lower() for line in told), told


@pytest.mark.parametrize("helm", HELMS)
async def test_names_are_held_to_their_pattern_too(helm: Helm) -> None:
    # Helm 4 names another place for these, so it is the name that tells.
    case = CASES["smallest"].having(config__upstreams='{"a/b": {}}', caBundles='{"A_B": {}}')
    said = await refusal(case, helm=helm)
    assert "a/b" in said
    assert "A_B" in said
