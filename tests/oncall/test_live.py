"""Alerts and dashboard on a real Prometheus that scrapes real sidecars, while everything goes wrong (live.py)."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.oncall.live import CALM, COME_AND_GO, Seen, expressions, live
from tests.oncall.prometheus import Alert, hurried
from tests.oncall.rig import ALERTS, names, promtool, rules
from tests.processes import require_program

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What all tests here look at: it takes the better part of a minute, once."""
    require_program("prometheus")
    return asyncio.run(live(tmp_path_factory.mktemp("live")))


@pytest.mark.parametrize("alert", COME_AND_GO, ids="-".join)
def test_it_comes_and_goes(seen: Seen, alert: Alert) -> None:
    assert alert in seen.fired
    told = seen.fired[alert]
    # Its words are whole: a template that fails says so in them.
    for words in told["annotations"].values():
        assert "<error" not in words
        assert "no value" not in words
        assert "  " not in words
    assert alert.whose in told["annotations"]["summary"]
    assert alert in seen.gone


def test_every_rule_is_among_them() -> None:
    there = {(rule["alert"].removeprefix("CognitoSidecar"), rule["labels"]["severity"]) for rule in rules()}
    assert {(alert.name, alert.severity) for alert in COME_AND_GO} == there
    assert len(there) == len(rules()) > len(names())


def test_none_fires_in_rotations_and_a_restart(seen: Seen) -> None:
    assert seen.rotated
    assert seen.calm_codes == {200}
    assert seen.pods & CALM == set()
    assert "troubled" in seen.pods


@pytest.mark.parametrize("expr", expressions())
def test_the_dashboard_has_data(seen: Seen, expr: str) -> None:
    assert any(value != 0 for value in seen.panels[expr])


async def test_promtool_has_nothing_to_say_about_the_metrics(seen: Seen) -> None:
    assert 'cognito_sidecar_requests_total{code="502"' in seen.exposition
    code, stdout, stderr = await promtool("check", "metrics", stdin=seen.exposition.encode())
    assert (code, stdout + stderr) == (0, b"")


def test_minutes_are_seconds_and_nothing_else_is_changed() -> None:
    assert (
        hurried("  expr: increase(m[15m]) > 0 # 5m\n  for: 10m\n") == "  expr: increase(m[15s]) > 0 # 5m\n  for: 10s\n"
    )
    times = r"\[\d+[ms]\]|for: \d+[ms]"
    text = ALERTS.read_text(encoding="utf-8")
    assert re.split(times, hurried(text)) == re.split(times, text)
    assert not re.findall(r"\[\d+m\]|for: \d+m", hurried(text))
