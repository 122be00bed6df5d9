"""docs/threat-model.md says nothing that is not tried: each line that says "stopped" names tests, and they exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Final, NamedTuple

import pytest

from tests.documents import ROOT

PAGE: Final = ROOT / "docs" / "threat-model.md"
OUTCOMES: Final = {"**stopped**", "limited", "**not stopped**"}
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


class Line(NamedTuple):
    """One row of one of the tables."""

    attacker: str
    attempt: str
    outcome: str
    how: str
    tests: str


def lines(text: str) -> list[Line]:
    """The rows of all tables, each with the heading that it is under."""
    found, attacker = [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            attacker = line.removeprefix("## ")
        elif line.startswith("|") and not line.startswith(("| attempt |", "|---")):
            attempt, outcome, how, tests = (cell.strip() for cell in line.strip("|").split("|"))
            found.append(Line(attacker, attempt, outcome, how, tests))
    return found


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    if not (ROOT / path).is_file():
        return frozenset()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def faults(found: list[Line]) -> list[str]:
    """What is wrong with rows."""
    wrong = []
    for line in found:
        named = _TEST.findall(line.tests)
        if line.outcome not in OUTCOMES:
            wrong.append(f"{line.attempt}: {line.outcome} is no outcome")
        if line.outcome == "**stopped**" and not named:
            wrong.append(f"{line.attempt}: it is stopped, but no test says so")
        if not line.how:
            wrong.append(f"{line.attempt}: by what?")
        if _TEST.sub("", line.tests).strip():
            wrong.append(f"{line.attempt}: {line.tests} are no tests")
        wrong += [f"{line.attempt}: there is no {path}::{name}" for path, name in named if name not in names_in(path)]
    return wrong


def test_what_is_stopped_is_tried() -> None:
    assert faults(lines(PAGE.read_text(encoding="utf-8"))) == []


def test_each_attacker_has_what_stops_it_and_what_does_not() -> None:
    outcomes: dict[str, set[str]] = {}
    for line in lines(PAGE.read_text(encoding="utf-8")):
        outcomes.setdefault(line.attacker, set()).add(line.outcome)
    assert len(outcomes) == 9
    assert {attacker for attacker, seen in outcomes.items() if not seen >= {"**stopped**", "**not stopped**"}} == set()


THIS = "`tests/test_threat_model.py::test_a_fault_is_found`"


@pytest.mark.parametrize(
    ("outcome", "how", "tests", "fault"),
    [
        ("**stopped**", "a rule", THIS, ""),
        ("**not stopped**", "nothing", "", ""),
        ("**stopped**", "a rule", "", "no test says so"),
        ("**stopped**", "", THIS, "by what?"),
        ("stopped", "a rule", THIS, "stopped is no outcome"),
        (
            "limited",
            "a rule",
            THIS.replace("a_fault", "no_fault"),
            "there is no tests/test_threat_model.py::test_no_fault",
        ),
        ("limited", "a rule", "`tests/nowhere.py::test_it`", "there is no tests/nowhere.py::test_it"),
        ("limited", "a rule", f"{THIS} and others", "are no tests"),
    ],
)
def test_a_fault_is_found(outcome: str, how: str, tests: str, fault: str) -> None:
    head = "## Somebody\n\n| attempt | outcome | by what | test |\n|---|---|---|---|\n"
    wrong = faults(lines(f"{head}| try | {outcome} | {how} | {tests} |\n"))
    assert bool(wrong) == bool(fault)
    assert fault in "".join(wrong)
