"""The resource types that moto's CloudFormation lacks: Cognito, Secrets Manager, HTTP APIs, and parts of REST APIs.

They do here what they do at AWS: a resource's properties become one call of the service's own API, over HTTP, by boto3,
which refuses names and types that this API does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from moto.core.common_models import CloudFormationModel

from tests.infra.cloud import REGION

Answer = Mapping[str, Any]


class Kind(NamedTuple):
    """How a resource of one type is made, and what `Ref` and `Fn::GetAtt` give of it."""

    service: str
    operation: str
    ref: Callable[[Answer, Answer], str]
    """From what was asked for and what the service answered."""
    attributes: Mapping[str, Callable[[Answer], str]] = {}
    renamed: Mapping[str, str] = {}
    """Properties that the API has under another name."""


def _provider(made: Answer) -> str:
    return f"https://cognito-idp.{REGION}.amazonaws.com/{made['UserPool']['Id']}"


def _asked(name: str) -> Callable[[Answer, Answer], str]:
    return lambda asked, _: str(asked[name])


def _made(*path: str) -> Callable[[Answer, Answer], str]:
    def find(_: Answer, made: Any) -> str:
        for name in path:
            made = made[name]
        return str(made)

    return find


KINDS: Final[dict[str, Kind]] = {
    "AWS::Cognito::UserPool": Kind(
        *("cognito-idp", "create_user_pool", _made("UserPool", "Id")),
        {"Arn": lambda made: str(made["UserPool"]["Arn"]), "ProviderURL": _provider},
        {"UserPoolName": "PoolName"},
    ),
    "AWS::Cognito::UserPoolDomain": Kind("cognito-idp", "create_user_pool_domain", _asked("Domain")),
    "AWS::Cognito::UserPoolResourceServer": Kind("cognito-idp", "create_resource_server", _asked("Identifier")),
    "AWS::Cognito::UserPoolClient": Kind(
        *("cognito-idp", "create_user_pool_client", _made("UserPoolClient", "ClientId")),
        {"ClientSecret": lambda made: str(made["UserPoolClient"]["ClientSecret"])},
    ),
    "AWS::SecretsManager::Secret": Kind("secretsmanager", "create_secret", _made("ARN")),
    "AWS::ApiGateway::Authorizer": Kind("apigateway", "create_authorizer", _made("id")),
    "AWS::ApiGateway::Stage": Kind("apigateway", "create_stage", _asked("stageName")),
    "AWS::ApiGatewayV2::Api": Kind(
        *("apigatewayv2", "create_api", _made("ApiId")), {"ApiEndpoint": lambda made: str(made["ApiEndpoint"])}
    ),
    "AWS::ApiGatewayV2::Authorizer": Kind("apigatewayv2", "create_authorizer", _made("AuthorizerId")),
    "AWS::ApiGatewayV2::Integration": Kind("apigatewayv2", "create_integration", _made("IntegrationId")),
    "AWS::ApiGatewayV2::Route": Kind("apigatewayv2", "create_route", _made("RouteId")),
    "AWS::ApiGatewayV2::Stage": Kind("apigatewayv2", "create_stage", _asked("StageName")),
}


def _parameters(api: Any, kind: Kind, properties: Answer, name: str) -> dict[str, Any]:
    """A resource's properties as the parameters of the API's operation."""
    shape = api.meta.service_model.operation_model(api.meta.method_to_api_mapping[kind.operation]).input_shape
    asked: dict[str, Any] = {}
    for key, value in properties.items():
        key = kind.renamed.get(key, key)  # noqa: PLW2901
        # API Gateway's first API begins every name in lower case.
        key = key if key in shape.members else key[0].lower() + key[1:]  # noqa: PLW2901
        number = key in shape.members and shape.members[key].type_name == "integer"
        # moto hands over a deployment itself, where AWS gives its id.
        asked[key] = int(value) if number else getattr(value, "id", value)
    # CloudFormation makes up a name where one is required and none is given.
    return {"Name": name, **asked} if "Name" in shape.required_members else asked


def resource_type(type_name: str, kind: Kind, account: Callable[[str], Any]) -> type[CloudFormationModel]:
    """A class by which moto's CloudFormation makes resources of that type: it finds them among the subclasses."""

    class Resource(CloudFormationModel):
        def __init__(self, asked: Answer, made: Answer) -> None:
            self.physical_resource_id = kind.ref(asked, made)
            self._made = made

        @staticmethod
        def cloudformation_name_type() -> str:
            return ""

        @staticmethod
        def cloudformation_type() -> str:
            return type_name

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return attr in kind.attributes

        @classmethod
        def create_from_cloudformation_json(
            cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
        ) -> Any:
            api = account(kind.service)
            asked = _parameters(api, kind, cloudformation_json["Properties"], resource_name)
            return cls(asked, getattr(api, kind.operation)(**asked))

        def get_cfn_attribute(self, name: str) -> str:
            return kind.attributes[name](self._made)

        def is_created(self) -> bool:
            return True

    return Resource
