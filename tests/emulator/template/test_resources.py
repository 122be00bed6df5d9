"""What AWS would call things."""

from __future__ import annotations

import re

import pytest

from proxy.emulator.template.functions import Unclear
from proxy.emulator.template.resources import made_up
from tests.emulator.template.stacks import POOL, template

MORE = (
    POOL
    + """
  Rest: {Type: AWS::ApiGateway::RestApi}
  Http: {Type: AWS::ApiGatewayV2::Api}
  Stage: {Type: AWS::ApiGateway::Stage, Properties: {StageName: !Sub "${AWS::StackName}-dev"}}
  Secret: {Type: AWS::SecretsManager::Secret}
  Function: {Type: AWS::Lambda::Function}
  Balancer: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer}
  Thing: {Type: AWS::Other::Thing}
  Odd: {Type: Custom::Thing}
"""
)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Pool", r"eu-central-1_[a-z0-9]{9}"),
        ("Domain", "mine"),
        ("Server", "orders"),
        ("Client", r"[a-z0-9]{26}"),
        ("Rest", r"[a-z0-9]{10}"),
        ("Stage", "stack-dev"),
        ("Secret", r"arn:aws:secretsmanager:eu-central-1:123456789012:secret:stack-Secret-[a-z0-9]{12}"),
        ("Function", r"stack-Function-[a-z0-9]{12}"),
        ("AWS::Region", "eu-central-1"),
    ],
)
def test_ref(name: str, shape: str) -> None:
    assert re.fullmatch(shape, template(MORE).ref(name, "here"))


@pytest.mark.parametrize(
    ("name", "attribute", "shape"),
    [
        ("Pool", "Arn", r"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_[a-z0-9]{9}"),
        ("Pool", "ProviderURL", r"https://cognito-idp\.eu-central-1\.amazonaws\.com/eu-central-1_[a-z0-9]{9}"),
        ("Pool", "ProviderName", r"cognito-idp\.eu-central-1\.amazonaws\.com/eu-central-1_[a-z0-9]{9}"),
        ("Client", "ClientId", r"[a-z0-9]{26}"),
        ("Client", "ClientSecret", r"secret of [a-z0-9]{26}"),
        ("Rest", "RootResourceId", r"[a-z0-9]{10}"),
        ("Http", "ApiEndpoint", r"https://[a-z0-9]{10}\.execute-api\.eu-central-1\.amazonaws\.com"),
        ("Balancer", "DNSName", r"[a-z0-9]{10}\.eu-central-1\.elb\.amazonaws\.com"),
        ("Function", "Arn", r"arn:aws:lambda:eu-central-1:123456789012:function:stack-Function-[a-z0-9]{12}"),
    ],
)
def test_attributes(name: str, attribute: str, shape: str) -> None:
    assert re.fullmatch(shape, template(MORE).attribute(name, attribute, "here"))


@pytest.mark.parametrize(
    ("name", "attribute", "problem"),
    [
        ("Thing", "Size", "here: Size of Thing (AWS::Other::Thing) is not known here"),
        ("Odd", "Arn", "here: Arn of Odd (Custom::Thing) is not known here"),
        ("Client", "Name", "here: Name of Client (AWS::Cognito::UserPoolClient) is not known here"),
        ("Nobody", "Arn", "here: Nobody is no parameter and no resource of this template"),
    ],
)
def test_attributes_that_nobody_knows(name: str, attribute: str, problem: str) -> None:
    with pytest.raises(Unclear) as caught:
        template(MORE).attribute(name, attribute, "here")
    assert str(caught.value) == problem


def test_names_are_the_same_tomorrow_and_others_in_another_stack() -> None:
    one, again = template(MORE), template(MORE)
    other = template(MORE.replace("${AWS::StackName}", "x"), name="other")
    for name in ("Pool", "Client", "Rest", "Http", "Secret"):
        assert one.ref(name, "") == again.ref(name, "") != other.ref(name, "")
    assert made_up(9, "ab", "c") != made_up(9, "a", "bc")
