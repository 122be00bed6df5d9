"""The alerts: promtool's own judgement, what they do sample by sample (rules/), and what each has to have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from proxy.tokens.backoff import MENDING
from tests.oncall.rig import ALERTS, LABELS, METRIC, ROOT, SAMPLES, TARGET_LABELS, names, promtool, rules

RULES = pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")


class Expectation(NamedTuple):
    """That an alert fires, or that none of its name does."""

    alert: str
    severity: str
    """ "": it does not fire."""


@cache
def _tests(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["tests"])


def _expectations() -> Iterator[Expectation]:
    for path in SAMPLES:
        for test in _tests(path):
            for asked in test.get("alert_rule_test", ()):
                found = asked.get("exp_alerts") or [{"exp_labels": {"severity": ""}}]
                yield from (Expectation(asked["alertname"], one["exp_labels"]["severity"]) for one in found)


# --------------------------------------------------------------------------------------------- promtool's judgement


async def test_the_rules_are_rules() -> None:
    code, stdout, stderr = await promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))
    assert code == 0, stderr.decode()
    assert f"{len(rules())} rules found" in stdout.decode()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
async def test_sample_by_sample(path: Path) -> None:
    code, stdout, stderr = await promtool("test", "rules", str(path))
    assert code == 0, (stdout + stderr).decode()


async def test_what_passes_by_itself_would_be_seen(tmp_path: Path) -> None:
    """The stories in which nothing fires are stories in which something is wrong: without the patience, it would."""
    (calm,) = (path for path in SAMPLES if path.stem == "calm")
    hasty = re.sub(r"(?m)^( +for:) .*$", r"\1 0s", ALERTS.read_text(encoding="utf-8"))
    (tmp_path / "alerts.yaml").write_text(hasty, encoding="utf-8")
    fired = {}
    for number, test in enumerate(_tests(calm)):
        story = {"rule_files": ["alerts.yaml"], "evaluation_interval": "30s", "tests": [test]}
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(story), encoding="utf-8")
        fired[test["name"]] = (await promtool("test", "rules", str(tmp_path / f"{number}.yaml"))).code != 0
    quiet = [name for name, fires in fired.items() if not fires]
    assert quiet == ["a client secret is rotated as docs/rotation.md says"]
    assert len(fired) > 5


# ----------------------------------------------------------------------------------------------- what each has to have


@RULES
def test_each_says_what_it_is_about(rule: dict[str, Any]) -> None:
    told = rule["annotations"]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert told.keys() == {"summary", "description", "runbook_url"}
    assert len(told["summary"]) < 120
    # Which pod and which upstream, where it is about one of them; and what was measured.
    labels = set[str].union(*(LABELS[metric] for metric in METRIC.findall(rule["expr"])))
    assert ("$labels.upstream" in told["summary"]) == ("upstream" in labels)
    assert ("$labels.upstream" in told["description"]) == ("upstream" in labels)
    assert ("or $labels.pod $labels.instance" in told["summary"]) == ("sum by" not in rule["expr"])
    assert "$value" in told["description"] or "$labels.hash" in told["description"]


@RULES
def test_only_what_is_required_wakes_somebody(rule: dict[str, Any]) -> None:
    assert (rule["labels"]["severity"] == "critical") == ("cognito_sidecar_upstream_required == 1" in rule["expr"])


@RULES
def test_what_happened_once_is_over_before_it_fires(rule: dict[str, Any]) -> None:
    # Credentials are the exception: what is asked besides is whether they are refused now.
    ranges = [int(minutes) for minutes in re.findall(r"\[(\d+)m\]", rule["expr"])]
    if rule["alert"] != "CognitoSidecarCredentialsRejected":
        assert all(int(rule["for"].removesuffix("m")) > minutes for minutes in ranges)


@RULES
def test_each_is_seen_to_fire_and_to_keep_quiet(rule: dict[str, Any]) -> None:
    seen = set(_expectations())
    assert Expectation(rule["alert"], rule["labels"]["severity"]) in seen
    assert Expectation(rule["alert"], "") in seen


def test_samples_are_of_alerts_that_there_are() -> None:
    # promtool takes any name, and finds that it does not fire.
    assert {expectation.alert for expectation in _expectations()} == {*names()}


def test_the_reasons_that_a_person_must_mend_are_those_of_the_back_off() -> None:
    told = {
        frozenset(re.findall(r'reason=~"([^"]+)"', rule["expr"])[0].split("|"))
        for rule in rules()
        if rule["alert"] == "CognitoSidecarCredentialsRejected"
    }
    assert told == {MENDING}


def test_every_sample_is_of_a_series_that_there_can_be() -> None:
    for path in SAMPLES:
        for test in _tests(path):
            for series in test["input_series"]:
                metric = METRIC.match(series["series"])
                assert metric, series
                labels = set(re.findall(r'(\w+)="', series["series"])) - TARGET_LABELS
                assert labels == LABELS[metric[0]], series


def test_the_documents_name_them() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| `(CognitoSidecar\w+)` \|", page) == names()


@pytest.mark.parametrize("name", names())
def test_the_documents_say_when_they_fire(name: str) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    [(severities, when)] = re.findall(rf"(?m)^\| `{name}` \| ([^|]+) \| ([^|]+) \|$", page)
    of_this = [rule for rule in rules() if rule["alert"] == name]
    # Of an upstream that is not required all are warnings, as the page says of all of them.
    told = [rule for rule in of_this if "cognito_sidecar_upstream_required == 0" not in rule["expr"]]
    assert severities == ", ".join(rule["labels"]["severity"] for rule in told)
    words = set(re.findall(r"\w+", when))
    for rule in told:
        minutes = rule["for"].removesuffix("m")
        assert ({"a", "minute"} if minutes == "1" else {minutes}) <= words
        failures = re.search(r"_consecutive_failures >= (\d+)", rule["expr"])
        assert failures is None or {"1": "once", "2": "two", "3": "three"}[failures[1]] in words


def test_alerts_ask_for_metrics_that_there_are() -> None:
    asked = {metric for rule in rules() for metric in METRIC.findall(rule["expr"])}
    assert asked <= LABELS.keys()
