"""What AWS would call the resources of a stack: ids, ARNs and addresses, made up, and the same on each start.

A name is made of the resource's own name and the stack's, so that what was written down yesterday is right today.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from proxy.emulator.template.functions import Unclear

POOL: Final = "AWS::Cognito::UserPool"
DOMAIN: Final = "AWS::Cognito::UserPoolDomain"
RESOURCE_SERVER: Final = "AWS::Cognito::UserPoolResourceServer"
CLIENT: Final = "AWS::Cognito::UserPoolClient"
SECRET: Final = "AWS::SecretsManager::Secret"  # noqa: S105  a type of resource
REST_API: Final = "AWS::ApiGateway::RestApi"
REST_RESOURCE: Final = "AWS::ApiGateway::Resource"
REST_METHOD: Final = "AWS::ApiGateway::Method"
REST_AUTHORIZER: Final = "AWS::ApiGateway::Authorizer"
REST_DEPLOYMENT: Final = "AWS::ApiGateway::Deployment"
REST_STAGE: Final = "AWS::ApiGateway::Stage"
HTTP_API: Final = "AWS::ApiGatewayV2::Api"
HTTP_ROUTE: Final = "AWS::ApiGatewayV2::Route"
HTTP_AUTHORIZER: Final = "AWS::ApiGatewayV2::Authorizer"
HTTP_STAGE: Final = "AWS::ApiGatewayV2::Stage"
MANAGED_POLICY: Final = "AWS::IAM::ManagedPolicy"
LOAD_BALANCER: Final = "AWS::ElasticLoadBalancingV2::LoadBalancer"
LISTENER: Final = "AWS::ElasticLoadBalancingV2::Listener"
LISTENER_RULE: Final = "AWS::ElasticLoadBalancingV2::ListenerRule"

PSEUDO: Final = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::URLSuffix": "amazonaws.com",
}
"""Pseudo parameters, where nothing else is given. AWS::StackName is the file's name."""

_ALPHABET: Final = string.ascii_lowercase + string.digits


class Known(Protocol):
    """A template, as far as names are made of it."""

    pseudo: Mapping[str, str]

    def type(self, name: str) -> str: ...

    def text(self, name: str, key: str) -> str: ...


def made_up(length: int, *seed: str) -> str:
    """Lowercase letters and digits, always the same for the same seed."""
    number = int.from_bytes(hashlib.sha512("\0".join(seed).encode()).digest())
    characters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[rest])
    return "".join(characters)


def physical(template: Known, name: str) -> str:
    """What `Ref` gives of a resource."""
    stack, region = template.pseudo["AWS::StackName"], template.pseudo["AWS::Region"]
    kind = template.type(name)
    if key := _NAMED_BY.get(kind):
        return template.text(name, key)
    if kind == POOL:
        return f"{region}_{made_up(9, stack, name)}"
    if kind in _LENGTHS:
        return made_up(_LENGTHS[kind], stack, name)
    unique = f"{stack}-{name}-{made_up(12, stack, name)}"
    return _arn(template, name, unique) if kind in _BY_ARN else unique


_NAMED_BY: Final = {
    DOMAIN: "Domain",
    RESOURCE_SERVER: "Identifier",
    REST_STAGE: "StageName",
    HTTP_STAGE: "StageName",
}
"""Resources whose `Ref` is one of their properties."""

_LENGTHS: Final = {
    CLIENT: 26,
    **dict.fromkeys((REST_API, HTTP_API), 10),
    **dict.fromkeys((REST_RESOURCE, REST_AUTHORIZER, REST_DEPLOYMENT, HTTP_AUTHORIZER), 6),
}
"""Characters of the ids that are nothing but letters and digits."""

_BY_ARN: Final = {SECRET, LOAD_BALANCER, LISTENER, LISTENER_RULE, MANAGED_POLICY}
"""Resources whose `Ref` is their ARN."""


def _arn(template: Known, name: str, unique: str) -> str:
    _, service, kind = template.type(name).split("::")
    pseudo = template.pseudo
    if template.type(name) == MANAGED_POLICY:  # IAM has no regions
        return f"arn:{pseudo['AWS::Partition']}:iam::{pseudo['AWS::AccountId']}:policy/{unique}"
    account = f"{pseudo['AWS::Region']}:{pseudo['AWS::AccountId']}"
    return f"arn:{pseudo['AWS::Partition']}:{service.lower()}:{account}:{kind.lower()}:{unique}"


def _provider(template: Known, name: str) -> str:
    return f"cognito-idp.{template.pseudo['AWS::Region']}.amazonaws.com/{physical(template, name)}"


def execute_api(template: Known, name: str) -> str:
    """The address of an API, without a stage."""
    pseudo = template.pseudo
    return f"https://{physical(template, name)}.execute-api.{pseudo['AWS::Region']}.{pseudo['AWS::URLSuffix']}"


def load_balancer(template: Known, name: str) -> str:
    """The DNS name of a load balancer."""
    return f"{made_up(10, physical(template, name))}.{template.pseudo['AWS::Region']}.elb.amazonaws.com"


_ATTRIBUTES: Final[dict[tuple[str, str], Callable[[Known, str], str]]] = {
    (POOL, "Arn"): lambda t, n: (
        f"arn:{t.pseudo['AWS::Partition']}:cognito-idp:{t.pseudo['AWS::Region']}:{t.pseudo['AWS::AccountId']}"
        f":userpool/{physical(t, n)}"
    ),
    (POOL, "ProviderName"): _provider,
    (POOL, "ProviderURL"): lambda t, n: f"https://{_provider(t, n)}",
    (POOL, "UserPoolId"): physical,
    (CLIENT, "ClientId"): physical,
    (SECRET, "Id"): physical,
    (REST_API, "RestApiId"): physical,
    (REST_API, "RootResourceId"): lambda t, n: made_up(10, physical(t, n), "/"),
    (REST_RESOURCE, "ResourceId"): physical,
    (REST_AUTHORIZER, "AuthorizerId"): physical,
    (REST_DEPLOYMENT, "DeploymentId"): physical,
    (HTTP_API, "ApiId"): physical,
    (HTTP_API, "ApiEndpoint"): execute_api,
    (HTTP_AUTHORIZER, "AuthorizerId"): physical,
    (LOAD_BALANCER, "DNSName"): load_balancer,
    (LOAD_BALANCER, "LoadBalancerArn"): physical,
}


def attribute(template: Known, name: str, wanted: str, where: str) -> str:
    """What `Fn::GetAtt` gives of a resource. Raises Unclear."""
    kind = template.type(name)
    if known := _ATTRIBUTES.get((kind, wanted)):
        return known(template, name)
    if wanted == "Arn" and kind.count("::") == 2:
        return _arn(template, name, physical(template, name))
    raise Unclear(where, f"{wanted} of {name} ({kind}) is not known here")
