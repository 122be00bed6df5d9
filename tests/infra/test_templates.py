"""The templates in infra/: clean to cfn-lint, and right where it does not look."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from tests.infra.cloud import client
from tests.infra.conftest import INFRA
from tests.processes import run_program

SCOPE = {"Fn::Sub": "${ResourceServer}/${ScopeName}"}


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def the_one(template: dict[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    [(name, resource)] = of_type(template, kind).items()
    return name, resource["Properties"]


def depends_on(template: dict[str, Any], name: str) -> set[str]:
    named = template["Resources"][name].get("DependsOn", [])
    return {named} if isinstance(named, str) else set(named)


def mentions(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every attribute that is read anywhere, with the place where it is read."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Fn::GetAtt":
                yield path, ".".join(inner)
            elif key == "Fn::Sub":
                yield path, inner if isinstance(inner, str) else inner[0]
            yield from mentions(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from mentions(inner, path)


async def test_cfn_lint_has_nothing_to_say() -> None:
    templates = sorted(str(path) for path in INFRA.glob("*.yaml"))
    assert len(templates) == 2
    linter = str(Path(sys.executable).with_name("cfn-lint"))
    linted = await run_program(linter, "--regions", "eu-central-1", "us-east-1", "--template", *templates)
    assert (linted.code, linted.stdout.decode()) == (0, "")


# ------------------------------------------------------------------------------------------ what cfn-lint does not see


def test_the_client_is_a_machine_with_a_secret(template: dict[str, Any]) -> None:
    name, machine = the_one(template, "AWS::Cognito::UserPoolClient")
    assert machine["GenerateSecret"] is True
    assert machine["AllowedOAuthFlowsUserPoolClient"] is True
    assert machine["AllowedOAuthFlows"] == ["client_credentials"]
    assert machine["AllowedOAuthScopes"] == [SCOPE]
    server, properties = the_one(template, "AWS::Cognito::UserPoolResourceServer")
    assert properties["Identifier"] == {"Ref": "ResourceServer"}
    assert [scope["ScopeName"] for scope in properties["Scopes"]] == [{"Ref": "ScopeName"}]
    assert server in depends_on(template, name), "Cognito refuses a scope that does not exist yet"


def test_the_life_of_a_token_is_a_parameter_within_cognitos_bounds(template: dict[str, Any]) -> None:
    _, machine = the_one(template, "AWS::Cognito::UserPoolClient")
    assert machine["TokenValidityUnits"] == {"AccessToken": "minutes"}
    minutes = template["Parameters"][machine["AccessTokenValidity"]["Ref"]]
    assert (minutes["Type"], minutes["Default"], minutes["MinValue"], minutes["MaxValue"]) == ("Number", 60, 5, 1440)


def test_the_defaults_are_those_of_the_story(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    assert (parameters["ResourceServer"]["Default"], parameters["ScopeName"]["Default"]) == (
        "mydomain.com",
        "API_ACCESS",
    )
    assert all("Default" in one for one in parameters.values()), "one command without a parameter is enough"


def test_the_rest_method_asks_for_an_access_token(template: dict[str, Any]) -> None:
    authorizer, properties = the_one(template, "AWS::ApiGateway::Authorizer")
    pool, _ = the_one(template, "AWS::Cognito::UserPool")
    assert properties["Type"] == "COGNITO_USER_POOLS"
    assert properties["ProviderARNs"] == [{"Fn::GetAtt": [pool, "Arn"]}]
    for method in of_type(template, "AWS::ApiGateway::Method").values():
        assert method["Properties"]["AuthorizationType"] == "COGNITO_USER_POOLS"
        assert method["Properties"]["AuthorizerId"] == {"Ref": authorizer}
        assert method["Properties"]["AuthorizationScopes"] == [SCOPE], "without scopes only ID tokens pass"


def test_a_deployment_waits_for_every_method(template: dict[str, Any]) -> None:
    [deployment] = of_type(template, "AWS::ApiGateway::Deployment")
    methods = of_type(template, "AWS::ApiGateway::Method")
    assert methods
    assert methods.keys() <= depends_on(template, deployment)


def test_every_route_of_the_http_api_asks_for_the_scope_of_this_client(template: dict[str, Any]) -> None:
    authorizer, properties = the_one(template, "AWS::ApiGatewayV2::Authorizer")
    machine, _ = the_one(template, "AWS::Cognito::UserPoolClient")
    pool, _ = the_one(template, "AWS::Cognito::UserPool")
    assert properties["AuthorizerType"] == "JWT"
    assert properties["JwtConfiguration"] == {
        "Issuer": {"Fn::GetAtt": [pool, "ProviderURL"]},
        "Audience": [{"Ref": machine}],
    }
    routes = of_type(template, "AWS::ApiGatewayV2::Route")
    assert routes
    for route in routes.values():
        assert route["Properties"]["AuthorizationType"] == "JWT"
        assert route["Properties"]["AuthorizerId"] == {"Ref": authorizer}
        assert route["Properties"]["AuthorizationScopes"] == [SCOPE]


def test_the_secret_goes_to_secrets_manager_and_nowhere_else(template: dict[str, Any]) -> None:
    machine, _ = the_one(template, "AWS::Cognito::UserPoolClient")
    secret, properties = the_one(template, "AWS::SecretsManager::Secret")
    readers = [path for path, what in mentions(template) if f"{machine}.ClientSecret" in what]
    assert readers == [f".Resources.{secret}.Properties.SecretString.Fn::Sub.Secret"]
    text, values = properties["SecretString"]["Fn::Sub"]
    filled = text.replace("${Id}", "an-id").replace("${Secret}", "a-secret")
    assert json.loads(filled) == {"client_id": "an-id", "client_secret": "a-secret"}
    assert values == {"Id": {"Ref": machine}, "Secret": {"Fn::GetAtt": [machine, "ClientSecret"]}}


def test_the_policy_reads_just_that_secret(template: dict[str, Any]) -> None:
    secret, _ = the_one(template, "AWS::SecretsManager::Secret")
    _, policy = the_one(template, "AWS::IAM::ManagedPolicy")
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": {"Ref": secret}}


def test_the_function_may_write_its_own_log_and_do_nothing_else(template: dict[str, Any]) -> None:
    log, properties = the_one(template, "AWS::Logs::LogGroup")
    function, _ = the_one(template, "AWS::Lambda::Function")
    role, granted = the_one(template, "AWS::IAM::Role")
    assert properties["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/${{{function}}}"}
    assert granted.keys() == {"AssumeRolePolicyDocument"}, "AWS's own policies would let it into every log"
    _, policy = the_one(template, "AWS::IAM::Policy")
    assert policy["Roles"] == [{"Ref": role}]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::GetAtt": [log, "Arn"]},
    }


def test_what_a_rotation_needs_to_know_is_an_output(template: dict[str, Any]) -> None:
    for output, kind in (("UserPoolId", "AWS::Cognito::UserPool"), ("ClientId", "AWS::Cognito::UserPoolClient")):
        name, _ = the_one(template, kind)
        assert template["Outputs"][output]["Value"] == {"Ref": name}


def test_nothing_is_left_of_the_function_when_the_stack_is_gone(template: dict[str, Any]) -> None:
    function, _ = the_one(template, "AWS::Lambda::Function")
    _, log = the_one(template, "AWS::Logs::LogGroup")
    assert log["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/${{{function}}}"}
    assert log["RetentionInDays"] <= 30


# ------------------------------------------------------------------------------------------------ the load balancer


def test_the_listener_checks_issuer_and_scope_before_it_forwards(alb: dict[str, Any]) -> None:
    _, listener = the_one(alb, "AWS::ElasticLoadBalancingV2::Listener")
    check, forward = sorted(listener["DefaultActions"], key=lambda action: int(action["Order"]))
    assert (check["Type"], forward["Type"], listener["Protocol"]) == ("jwt-validation", "forward", "HTTPS")
    assert check["JwtValidationConfig"] == {
        "Issuer": {"Ref": "Issuer"},
        "JwksEndpoint": {"Fn::Sub": "${Issuer}/.well-known/jwks.json"},
        "AdditionalClaims": [{"Name": "scope", "Format": "space-separated-values", "Values": [{"Ref": "Scope"}]}],
    }


def test_the_listener_is_what_the_service_takes(alb: dict[str, Any]) -> None:
    # moto has no jwt-validation yet: the service's own model stands in for it.
    _, listener = the_one(alb, "AWS::ElasticLoadBalancingV2::Listener")
    plain = json.loads(json.dumps(listener), object_hook=lambda one: "text" if len(one) == 1 and _is_call(one) else one)
    model = client("elbv2", "http://127.0.0.1").meta.service_model
    report = ParamValidator().validate(plain, model.operation_model("CreateListener").input_shape)
    assert report.generate_report() == ""


def _is_call(one: dict[str, Any]) -> bool:
    return next(iter(one)) == "Ref" or next(iter(one)).startswith("Fn::")


@pytest.mark.parametrize("name", ["Issuer", "Scope", "HelloArn"])
def test_what_the_load_balancer_asks_for_is_an_output_of_the_first_stack(
    template: dict[str, Any], alb: dict[str, Any], name: str
) -> None:
    assert name in template["Outputs"]
    assert "Default" not in alb["Parameters"][name]
