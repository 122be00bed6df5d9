"""A template's parameters: what was given, else what an earlier stack has as an output, else their defaults.

They are checked as CloudFormation checks them. Those without a value are a problem only where one is needed: the
emulator reads a part of a template, and has no use for a subnet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from proxy.emulator.template.functions import text

Given = Mapping[str, str]

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def values(declared: Mapping[str, Any], given: Given, inherited: Given) -> dict[str, Any]:
    """The value of each parameter that has one; of a list, a list. Raises Unclear."""
    found: dict[str, Any] = {}
    for name, parameter in declared.items():
        where = f"Parameters.{name}"
        properties = parameter if isinstance(parameter, Mapping) else {}
        value = given.get(name)
        if value is None and "Default" in properties:
            value = text(properties["Default"], f"{where}.Default")
        elif value is None:
            value = inherited.get(name)
        if value is not None:
            found[name] = _typed(value, properties)
    return found


def problems(declared: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Why CloudFormation would not take these values, or these parameters."""
    return [
        f"Parameters.{name}: {problem}"
        for name, value in found.items()
        for one in (value if isinstance(value, list) else [value])
        if (problem := _problem(one, declared[name]))
    ]


def _typed(value: str, parameter: Mapping[str, Any]) -> Any:
    kind = str(parameter.get("Type", "String"))
    return [part.strip() for part in value.split(",")] if "List" in kind else value


def _problem(value: str, parameter: Any) -> str | None:
    if not isinstance(parameter, Mapping):
        return "expected a mapping"
    allowed = parameter.get("AllowedValues")
    if isinstance(allowed, list) and value not in {str(one) for one in allowed}:
        return f"{value!r} is none of {', '.join(str(one) for one in allowed)}"
    pattern = parameter.get("AllowedPattern")
    try:
        if isinstance(pattern, str) and not re.fullmatch(pattern, value):
            return f"{value!r}: {parameter.get('ConstraintDescription', f'does not match {pattern}')}"
    except re.error:
        return "AllowedPattern: expected a regular expression"
    return _out_of_bounds(value, parameter) if parameter.get("Type") == "Number" else None


def _out_of_bounds(value: str, parameter: Mapping[str, Any]) -> str | None:
    if not _NUMBER.fullmatch(value):
        return f"{value!r} is not a number"
    least, most = parameter.get("MinValue", float("-inf")), parameter.get("MaxValue", float("inf"))
    try:
        fits = float(least) <= float(value) <= float(most)
    except (TypeError, ValueError):
        return "MinValue, MaxValue: expected numbers"
    return None if fits else f"{value} is not between {least} and {most}"
