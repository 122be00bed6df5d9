"""One template: what is read of it, and only that."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.emulator.template.functions import Unclear
from proxy.emulator.template.template import Template
from tests.emulator.template.stacks import template

THING = """
  Thing:
    Type: AWS::Other::Thing
    Properties:
      Name: !Sub "${Given}-${AWS::StackName}"
      Count: 3
      List: [!Ref Given, b]
      Map: {a: !Ref Given}
      Gone: !Ref AWS::NoValue
      Needs: !Ref Bare
      Strange: !Select [0, [a]]
  Loop: {Type: AWS::ApiGateway::Stage, Properties: {StageName: !Ref Loop}}
  Sometimes: {Type: AWS::Other::Thing, Condition: Rarely, Properties: {Name: a}}
  Empty: {Type: AWS::Other::Thing}
  Wrong: {Type: AWS::Other::Thing, Properties: [a]}
  Nothing: 3
"""
REST = """
Parameters: {Given: {Type: String, Default: given}, Bare: {Type: String}}
Outputs:
  Name: {Value: !Sub "${Given}!", Description: A name}
  Plain: {Value: 3}
  Needs: {Value: !Ref Bare}
  Strange: {Value: !Select [0, [a]]}
  Sometimes: {Value: a, Condition: Rarely}
"""


def test_properties_as_they_come_out() -> None:
    read = template(THING, REST)
    assert read.named("AWS::Other::Thing") == ["Thing", "Sometimes", "Empty", "Wrong"]
    assert read.text("Thing", "Name") == "given-stack"
    assert read.text("Thing", "Count") == "3"
    assert read.texts("Thing", "List") == ("given", "b")
    assert read.mapping("Thing", "Map") == {"a": "given"}
    assert (read.get("Thing", "Gone", "default"), read.get("Empty", "Name", "default")) == ("default", "default")
    assert (read.texts("Empty", "List"), read.mapping("Empty", "Map")) == ((), {})


@pytest.mark.parametrize(
    ("name", "key", "problem"),
    [
        (
            "Thing",
            "Needs",
            "Resources.Thing.Properties.Needs: the parameter Bare has no value; give it by --parameter Bare",
        ),
        ("Thing", "Strange", "Resources.Thing.Properties.Strange: Fn::Select is not understood here"),
        ("Thing", "Missing", "Resources.Thing: Missing is missing"),
        ("Thing", "List", "Resources.Thing.Properties.List: expected a text"),
        ("Loop", "StageName", "Resources.Loop.Properties.StageName: Loop depends on itself"),
        ("Sometimes", "Name", "Resources.Sometimes: a resource with a Condition is not understood here"),
        ("Wrong", "Name", "Resources.Wrong: Properties: expected a mapping"),
    ],
)
def test_what_cannot_be_read_is_a_problem_when_it_is_asked_for(name: str, key: str, problem: str) -> None:
    with pytest.raises(Unclear) as caught:
        template(THING, REST).text(name, key)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("read", ["texts", "mapping"])
def test_a_list_and_a_mapping_must_be_one(read: str) -> None:
    with pytest.raises(Unclear, match=r"Resources.Thing.Properties.Name: expected a"):
        getattr(template(THING, REST), read)("Thing", "Name")


def test_outputs_that_are_understood_are_told_and_the_others_left_out() -> None:
    assert template(THING, REST).outputs() == {"Name": ("A name", "given!"), "Plain": ("", "3")}
    assert template(THING, REST, Bare="x").outputs()["Needs"] == ("", "x")
    assert template(THING, REST, inherited={"Bare": "y"}).outputs()["Needs"] == ("", "y")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "Resources: expected a CloudFormation template"),
        ([], "Resources: expected a CloudFormation template"),
        ({"Resources": []}, "Resources: expected a CloudFormation template"),
        ({"Resources": {}, "Transform": "AWS::Serverless-2016-10-31"}, "Transform: macros and AWS::Serverless are not"),
        ({"Resources": {}, "Parameters": [1]}, "Parameters: expected a mapping"),
    ],
)
def test_what_is_no_template(data: Any, problem: str) -> None:
    with pytest.raises(Unclear) as caught:
        Template("stack", data, given={}, inherited={}, secrets=str)
    assert str(caught.value).startswith(problem)
