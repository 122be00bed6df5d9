"""Parameters: given, inherited, by default, and refused where CloudFormation would refuse them."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.emulator.template.parameters import problems, values

DECLARED: dict[str, Any] = {
    "Name": {"Type": "String", "Default": "usual"},
    "Bare": {"Type": "String"},
    "Zones": {"Type": "List<AWS::EC2::Subnet::Id>", "Default": "a, b"},
    "Words": {"Type": "CommaDelimitedList"},
    "Minutes": {"Type": "Number", "Default": 60, "MinValue": 5, "MaxValue": 90},
    "Stage": {"Type": "String", "Default": "dev", "AllowedValues": ["dev", "live"]},
    "Prefix": {"Type": "String", "Default": "a", "AllowedPattern": "[a-z]+"},
    "Told": {"Type": "String", "Default": "a", "AllowedPattern": "[a-z]+", "ConstraintDescription": "letters only"},
}


@pytest.mark.parametrize(
    ("given", "inherited", "found"),
    [
        ({}, {}, {"Name": "usual", "Minutes": "60", "Zones": ["a", "b"]}),
        ({"Name": "mine", "Words": "x,y"}, {}, {"Name": "mine", "Words": ["x", "y"]}),
        ({}, {"Bare": "from before", "Name": "from before"}, {"Bare": "from before", "Name": "usual"}),
        ({"Bare": ""}, {"Bare": "from before"}, {"Bare": ""}),
    ],
)
def test_where_a_value_comes_from(given: dict[str, str], inherited: dict[str, str], found: dict[str, Any]) -> None:
    all_of_them = values(DECLARED, given, inherited)
    assert {name: all_of_them[name] for name in found} == found
    assert problems(DECLARED, all_of_them) == []


def test_one_without_a_value_is_no_problem_until_it_is_needed() -> None:
    assert "Bare" not in values(DECLARED, {}, {})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("Minutes", "many", "'many' is not a number"),
        ("Minutes", "4", "4 is not between 5 and 90"),
        ("Minutes", "90.5", "90.5 is not between 5 and 90"),
        ("Stage", "test", "'test' is none of dev, live"),
        ("Prefix", "A", "'A': does not match [a-z]+"),
        ("Told", "A", "'A': letters only"),
    ],
)
def test_what_cloudformation_would_not_take(name: str, value: str, problem: str) -> None:
    assert problems(DECLARED, values(DECLARED, {name: value}, {})) == [f"Parameters.{name}: {problem}"]


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        ({"Type": "String", "AllowedPattern": "("}, "AllowedPattern: expected a regular expression"),
        ({"Type": "Number", "MinValue": "a few"}, "MinValue, MaxValue: expected numbers"),
        ("String", "expected a mapping"),
    ],
)
def test_what_is_no_parameter(parameter: Any, problem: str) -> None:
    declared = {"Mine": parameter}
    assert problems(declared, values(declared, {"Mine": "1"}, {})) == [f"Parameters.Mine: {problem}"]
