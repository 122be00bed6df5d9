"""Outputs of stacks: as `aws` prints them, and as CloudFormation gives them."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from proxy.cli.stacks import Stacks, fetch, parse
from proxy.errors import ConfigError, SidecarError


def stack(name: str, **outputs: str) -> dict[str, Any]:
    listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {"StackName": name, "Outputs": listed}


def test_one_stack() -> None:
    assert parse(json.dumps({"Stacks": [stack("hello", ClientId="me", Other="x")]})) == Stacks(
        ("hello",), {"ClientId": "me", "Other": "x"}
    )


def test_stacks_that_belong_together_in_one_document_or_in_two() -> None:
    one, two = stack("hello", ClientId="me"), stack("alb", AlbUrl="https://b")
    expected = Stacks(("hello", "alb"), {"ClientId": "me", "AlbUrl": "https://b"})
    assert parse(json.dumps({"Stacks": [one, two]})) == expected
    assert parse(f"{json.dumps({'Stacks': [one]}, indent=2)}\n{json.dumps({'Stacks': [two]})}\n") == expected


def test_a_stack_without_outputs() -> None:
    assert parse('{"Stacks": [{"StackName": "empty"}, {"StackName": "odd", "Outputs": [1, {}]}]}') == Stacks(
        ("empty", "odd"), {}
    )


def test_two_stacks_must_agree_on_what_is_used() -> None:
    assert parse(json.dumps({"Stacks": [stack("a", Any="1", Scope="s"), stack("b", Any="2", Scope="s")]})).outputs
    with pytest.raises(ConfigError, match=r"^ClientId: the stacks a and b both have this output; ask for one of them$"):
        parse(json.dumps({"Stacks": [stack("a", ClientId="1"), stack("b", ClientId="2")]}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "stacks:\n- a",
            "standard input: not JSON (Expecting value: line 1 column 1 (char 0)); aws prints it with --output",
        ),
        ("{}", "standard input: expected what `aws cloudformation describe-stacks` prints"),
        ("[1]", "standard input: expected what"),
        ('{"Stacks": [1]}', "standard input: expected what"),
        ('{"Stacks": [{"Outputs": 5}]}', "standard input: expected what"),
        pytest.param("[" * 100_000, "standard input: expected what", id="deep"),
    ],
)
def test_what_is_no_stack(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith(problem)
    assert caught.value.exit_code == 2


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SidecarError, match=r"--stack takes boto3. Install .* 'cognito-sidecar\[aws\]'"):
        fetch(["hello"], None)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "You must specify a region"),
        ({"AWS_REGION": "not a region"}, "CloudFormation cannot be asked"),
        # Nobody listens on port 1.
        ({"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "Could not connect to the endpoint"),
    ],
)
def test_what_keeps_it_from_asking(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], problem: str, no_aws: None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SidecarError, match=problem) as caught:
        fetch(["hello"], None)
    assert "\n" not in str(caught.value)
