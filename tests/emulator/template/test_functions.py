"""Intrinsic functions, in their short and their long form."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.yamlfile import parse
from proxy.emulator.template.functions import NO_VALUE, Unclear, long_form, resolve


class Known:
    """A, B and a list L; the attributes of A are known."""

    def ref(self, name: str, where: str) -> Any:
        values = {"A": "a", "B": "b", "L": ["x", "y"], "AWS::NoValue": NO_VALUE, "AWS::Region": "here"}
        if name not in values:
            raise Unclear(where, f"{name}?")
        return values[name]

    def attribute(self, name: str, attribute: str, where: str) -> str:
        return f"{name}'s {attribute}"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("plain", "plain"),
        ("12", 12),
        ("!Ref A", "a"),
        ("{Ref: A}", "a"),
        ("!GetAtt A.Arn", "A's Arn"),
        ("!GetAtt [A, Arn]", "A's Arn"),
        ("{Fn::GetAtt: [A, Arn]}", "A's Arn"),
        ("{Fn::GetAtt: A.Endpoint.Port}", "A's Endpoint.Port"),
        ("!Sub '${A}-${AWS::Region}'", "a-here"),
        ("!Sub '${A.Arn}/${!Literal}/$A'", "A's Arn/${Literal}/$A"),
        ("!Sub ['${A}-${Own}', {Own: !Ref B}]", "a-b"),
        ("{Fn::Sub: ['${A}', {A: 1}]}", "1"),
        ('!Sub \'{"id": "${A}"}\'', '{"id": "a"}'),
        ("!Join ['-', [!Ref A, true, 3, !Sub '${B}']]", "a-true-3-b"),
        ("!Join ['', !Ref L]", "xy"),
        ("{one: !Ref A, two: [!Ref B, !Ref AWS::NoValue], three: !Ref AWS::NoValue}", {"one": "a", "two": ["b"]}),
        ("{Ref: A, Besides: it}", {"Ref": "A", "Besides": "it"}),
    ],
)
def test_what_a_function_gives(written: str, value: Any) -> None:
    assert resolve(parse(written.encode(), tag=long_form), Known(), "here") == value


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("!Ref C", "here: C?"),
        ("{a: [1, !Sub '${C}']}", "here.a[1]: C?"),
        (
            "!FindInMap [a, b, c]",
            "here: Fn::FindInMap is not understood here; Ref, Fn::Sub, Fn::GetAtt and Fn::Join are",
        ),
        ("!If [a, b, c]", "here: Fn::If is not understood here; "),
        ("!Ref [A]", "here: Ref takes a name"),
        ("!GetAtt A", "here: Fn::GetAtt takes the name of a resource and an attribute"),
        ("!GetAtt [A, b, c]", "here: Fn::GetAtt takes the name of a resource and an attribute"),
        ("!Join ['-']", "here: Fn::Join takes a delimiter and a list"),
        ("!Join ['-', !Ref A]", "here: Fn::Join takes a delimiter and a list"),
        ("!Join ['-', [[1]]]", "here: expected a text"),
        ("!Sub [a]", "here: Fn::Sub takes a text, or a text and a mapping"),
        ("!Sub ['${A}', 1]", "here: Fn::Sub takes a text, or a text and a mapping"),
        ("!Sub '${L}'", "here: expected a text"),
    ],
)
def test_what_is_not_understood_is_said_with_its_place(written: str, problem: str) -> None:
    with pytest.raises(Unclear) as caught:
        resolve(parse(written.encode(), tag=long_form), Known(), "here")
    assert str(caught.value).startswith(problem)
