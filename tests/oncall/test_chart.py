"""What the chart makes of the alerts: the same file, with the runbook where its readers have it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.helm.rig import CASES, HELMS, Helm, refusal, rendered
from tests.oncall.rig import ALERTS

ELSEWHERE = "https://wiki.example.com/sidecar"


async def _spec(helm: Helm, url: str) -> dict[str, Any]:
    case = CASES["monitoring"].having(prometheusRule__runbookUrl=f'"{url}"')
    (rule,) = (document for document in await rendered(case, helm=helm) if document["kind"] == "PrometheusRule")
    return dict(rule["spec"])


@pytest.mark.parametrize("helm", HELMS)
async def test_the_rule_is_the_file(helm: Helm) -> None:
    text = ALERTS.read_text(encoding="utf-8")
    assert await _spec(helm, "") == yaml.safe_load(text)
    there = yaml.safe_load(text.replace("docs/runbook.md", ELSEWHERE))
    assert await _spec(helm, ELSEWHERE) == there
    (group,) = there["groups"]
    assert all(rule["annotations"]["runbook_url"].startswith(f"{ELSEWHERE}#cognito") for rule in group["rules"])


async def test_an_address_with_a_section_of_its_own_is_none() -> None:
    case = CASES["monitoring"].having(prometheusRule__runbookUrl=f'"{ELSEWHERE}#alerts"')
    assert "runbookUrl" in await refusal(case)
