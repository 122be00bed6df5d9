"""docs/runbook.md: a section for each alert, short, and in the words of the table of explanations."""

from __future__ import annotations

import re

import pytest

from proxy.errors import REASONS
from proxy.explanations import TOKEN
from proxy.tokens.backoff import MENDING
from tests.documents import leads_somewhere
from tests.oncall.rig import ALERTS, RUNBOOK, names, rules

PAGE = RUNBOOK.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (CognitoSidecar\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def _reasons(section: str) -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", SECTIONS[section], re.MULTILINE)
    return {reason: (meaning, remedy) for reason, meaning, remedy in rows}


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    assert list(SECTIONS) == names()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_each_alert_leads_to_its_section(rule: dict[str, dict[str, str]]) -> None:
    url = rule["annotations"]["runbook_url"]
    assert url == f"docs/runbook.md#{str(rule['alert']).lower()}"
    assert leads_somewhere(url, ALERTS.parents[3] / "README.md")


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_a_section_says_what_it_means_what_to_look_at_and_what_to_do(section: str) -> None:
    heads = re.findall(r"\*\*([^*:]+?):?\*\*", section)
    assert heads in (["It means", "Look at", "Do"], ["It means", "Look at and do"])
    # For somebody who was asleep a minute ago.
    prose = re.sub(r"(?m)^\|.*$|```.*?```", "", section, flags=re.DOTALL)
    assert len(prose.split()) < 170


def test_reasons_are_explained_in_the_same_words_as_everywhere() -> None:
    mending, passing = _reasons("CognitoSidecarCredentialsRejected"), _reasons("CognitoSidecarRenewalFailing")
    assert mending.keys() == MENDING
    assert passing.keys() == {*REASONS} - MENDING
    assert mending | passing == {reason: tuple(TOKEN[reason]) for reason in REASONS}


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", PAGE))
def test_each_link_leads_somewhere(link: str) -> None:
    assert leads_somewhere(link, RUNBOOK)
