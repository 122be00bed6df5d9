"""The first template as a stack, in an account that is not there: what its services then say about themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.cloud import ACCOUNT, REGION
from tests.infra.conftest import Account

SCOPE = "mydomain.com/API_ACCESS"


@pytest.fixture
def pool(account: Account) -> str:
    return str(account.resources["UserPool"]["PhysicalResourceId"])


def test_all_of_it_is_made(account: Account, template: dict[str, Any]) -> None:
    assert account.stacks["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    made = {name: one["ResourceStatus"] for name, one in account.resources.items()}
    assert made == dict.fromkeys(template["Resources"], "CREATE_COMPLETE")


def test_the_pool_has_a_domain_and_nobody_signs_up(account: Account, pool: str) -> None:
    cognito = account.service("cognito-idp")
    domain = cognito.describe_user_pool_domain(Domain=f"mydomain-{ACCOUNT}")["DomainDescription"]
    assert (domain["UserPoolId"], domain["Status"]) == (pool, "ACTIVE")
    described = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]
    assert described["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True


def test_the_resource_server_has_the_scope(account: Account, pool: str) -> None:
    server = account.service("cognito-idp").describe_resource_server(UserPoolId=pool, Identifier="mydomain.com")
    assert [scope["ScopeName"] for scope in server["ResourceServer"]["Scopes"]] == ["API_ACCESS"]


def test_the_client_may_do_that_and_no_more(account: Account, pool: str) -> None:
    client_id = account.outputs["ClientId"]
    client = account.service("cognito-idp").describe_user_pool_client(UserPoolId=pool, ClientId=client_id)
    described = client["UserPoolClient"]
    assert described["AllowedOAuthFlows"] == ["client_credentials"]
    assert described["AllowedOAuthFlowsUserPoolClient"] is True
    assert described["AllowedOAuthScopes"] == [SCOPE]
    assert (described["AccessTokenValidity"], described["TokenValidityUnits"]) == (90, {"AccessToken": "minutes"})


def test_secrets_manager_holds_the_clients_id_and_secret(account: Account, pool: str) -> None:
    client_id = account.outputs["ClientId"]
    client = account.service("cognito-idp").describe_user_pool_client(UserPoolId=pool, ClientId=client_id)
    held = account.service("secretsmanager").get_secret_value(SecretId=account.outputs["ClientSecretArn"])
    assert json.loads(held["SecretString"]) == {
        "client_id": client_id,
        "client_secret": client["UserPoolClient"]["ClientSecret"],
    }
    assert client["UserPoolClient"]["ClientSecret"] not in json.dumps(account.stacks, default=str)


def test_the_policy_lets_a_role_read_that_secret(account: Account) -> None:
    iam = account.service("iam")
    arn = account.outputs["ReadClientSecretArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    [statement] = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]["Statement"]
    assert statement["Resource"] == account.outputs["ClientSecretArn"]


def test_the_rest_api_has_the_pools_authorizer(account: Account, pool: str) -> None:
    gateway = account.service("apigateway")
    api = account.resources["RestApi"]["PhysicalResourceId"]
    [root] = gateway.get_resources(restApiId=api)["items"]
    method = gateway.get_method(restApiId=api, resourceId=root["id"], httpMethod="GET")
    [authorizer] = gateway.get_authorizers(restApiId=api)["items"]
    # moto keeps neither the authorizer nor the scopes of a method: tests/infra/test_templates.py has those.
    assert (root["path"], method["authorizationType"]) == ("/", "COGNITO_USER_POOLS")
    assert authorizer["providerARNs"] == [f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{pool}"]
    assert account.outputs["RestApiUrl"] == f"https://{api}.execute-api.{REGION}.amazonaws.com/dev"
    assert gateway.get_stage(restApiId=api, stageName="dev")["deploymentId"]


def test_the_http_api_asks_for_the_scope_of_this_client(account: Account) -> None:
    gateway = account.service("apigatewayv2")
    api = account.resources["HttpApi"]["PhysicalResourceId"]
    [route] = gateway.get_routes(ApiId=api)["Items"]
    authorizer = gateway.get_authorizer(ApiId=api, AuthorizerId=route["AuthorizerId"])
    assert (route["RouteKey"], route["AuthorizationType"], route["AuthorizationScopes"]) == ("GET /", "JWT", [SCOPE])
    assert authorizer["JwtConfiguration"] == {
        "Issuer": account.outputs["Issuer"],
        "Audience": [account.outputs["ClientId"]],
    }
    assert [stage["StageName"] for stage in gateway.get_stages(ApiId=api)["Items"]] == ["$default"]


@pytest.mark.parametrize("name", ["RestMayCallHello", "HttpMayCallHello"])
def test_the_gateways_may_call_the_function(account: Account, template: dict[str, Any], name: str) -> None:
    function = account.resources["Hello"]["PhysicalResourceId"]
    policy = json.loads(account.service("lambda").get_policy(FunctionName=function)["Policy"])
    api = account.resources[name.replace("MayCallHello", "Api")]["PhysicalResourceId"]
    callers = [one["Condition"]["ArnLike"]["AWS:SourceArn"] for one in policy["Statement"]]
    assert [arn for arn in callers if f":{api}/*/" in arn]


def test_the_function_says_hello_world(template: dict[str, Any]) -> None:
    # What the function's text does is tried here: moto would need a container for it.
    names: dict[str, Any] = {}
    exec(template["Resources"]["Hello"]["Properties"]["Code"]["ZipFile"], names)
    answer = names["handler"]({}, None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"message": "Hello World!"})


def test_the_outputs_are_where_everything_is(account: Account, pool: str) -> None:
    outputs = account.outputs
    assert outputs["TokenUrl"] == f"https://mydomain-{ACCOUNT}.auth.{REGION}.amazoncognito.com/oauth2/token"
    assert outputs["Issuer"] == f"https://cognito-idp.{REGION}.amazonaws.com/{pool}"
    assert outputs["Scope"] == SCOPE
