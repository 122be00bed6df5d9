"""Gateways of a template as routes."""

from __future__ import annotations

import pytest

from proxy.emulator.routes import Route
from tests.emulator.template.stacks import POOL, problems, settings

REST = """
  Api: {Type: AWS::ApiGateway::RestApi}
  Guard:
    Type: AWS::ApiGateway::Authorizer
    Properties: {RestApiId: !Ref Api, Type: COGNITO_USER_POOLS, ProviderARNs: [!GetAtt Pool.Arn]}
  One: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref Api, ParentId: !Ref Orders, PathPart: "{id}"}}
  Orders:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Api, ParentId: !GetAtt Api.RootResourceId, PathPart: orders}
  Read:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !Ref One
      HttpMethod: GET
      AuthorizationType: COGNITO_USER_POOLS
      AuthorizerId: !Ref Guard
      AuthorizationScopes: [orders/read]
  Open:
    Type: AWS::ApiGateway::Method
    Properties: {RestApiId: !Ref Api, ResourceId: !GetAtt Api.RootResourceId, HttpMethod: ANY, AuthorizationType: NONE}
  Stage: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, StageName: live, DeploymentId: !Ref Made}}
  Made: {Type: AWS::ApiGateway::Deployment, Properties: {RestApiId: !Ref Api}}
"""

HTTP = """
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP, Name: a}}
  Guard:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref Api
      AuthorizerType: JWT
      JwtConfiguration: {Issuer: !GetAtt Pool.ProviderURL, Audience: [!Ref Client, another]}
  Read:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Api
      RouteKey: GET /orders/{id}
      AuthorizationType: JWT
      AuthorizerId: !Ref Guard
      AuthorizationScopes: [orders/read]
  Rest: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: $default}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: live}}
"""

ALB = """
  Balancer: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer}
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      DefaultActions:
        - {Type: jwt-validation, Order: 1, JwtValidationConfig: {Issuer: !GetAtt Pool.ProviderURL, JwksEndpoint: x}}
        - {Type: forward, Order: 2}
  Later:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: 20
      Conditions: [{Field: path-pattern, Values: [/orders/*, /lines/*]}]
      Actions:
        - Type: jwt-validation
          JwtValidationConfig:
            Issuer: !GetAtt Pool.ProviderURL
            AdditionalClaims:
              - {Name: scope, Format: space-separated-values, Values: [orders/write]}
              - {Name: client_id, Format: single-string, Values: [!Ref Client]}
        - {Type: forward}
  First:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: "3"
      Conditions: [{Field: path-pattern, PathPatternConfig: {Values: [/health]}}]
      Actions: [{Type: forward}]
"""


def address(kind: str, text: str) -> str:
    return next(url for url, place in settings(POOL + text).stack.addresses if place == kind)


def test_a_rest_api_by_its_resources_and_methods() -> None:
    assert settings(POOL + REST).apis == {
        "rest": (
            Route("GET", "/orders/{id}", ("orders/read",)),
            Route("ANY", "/", guarded=False),
        )
    }
    assert address("rest", REST).endswith(".execute-api.eu-central-1.amazonaws.com/live")


def test_a_deployment_may_name_the_stage() -> None:
    old = REST.replace("  Stage:", "  # Stage:").replace(
        "{RestApiId: !Ref Api}}", "{RestApiId: !Ref Api, StageName: v1}}"
    )
    assert address("rest", old).endswith("/v1")


def test_an_http_api_by_its_routes() -> None:
    made = settings(POOL + HTTP)
    assert made.apis == {
        "http": (
            Route("GET", "/orders/{id}", ("orders/read",), audience=(made.client_id, "another")),
            Route("ANY", "*", guarded=False),
        )
    }
    assert address("http", HTTP).endswith(".amazonaws.com/live")
    assert address("http", HTTP.replace("StageName: live", "StageName: $default")).endswith(".amazonaws.com")


def test_a_listener_by_its_rules_in_their_order() -> None:
    made = settings(POOL + ALB)
    asks = Route("ANY", "/orders/*", ("orders/write",), audience=(made.client_id,))
    assert made.apis == {
        "alb": (Route("ANY", "/health", guarded=False), asks, asks._replace(path="/lines/*"), Route()),
    }
    assert address("alb", ALB).endswith(".elb.amazonaws.com")


@pytest.mark.parametrize(
    ("text", "change", "problem"),
    [
        (REST, ("::RestApi}", "::RestApi, Properties: {Body: {}}}"),
         "Resources.Api.Properties.Body: an API by OpenAPI is not understood here, only by its Methods"),
        (REST, ("ResourceId: !Ref One", "ResourceId: elsewhere"),
         "Resources.Read.Properties.ResourceId: this is no resource of its API"),
        (REST, ("ParentId: !Ref Orders", "ParentId: elsewhere"),
         "Resources.One.Properties.ParentId: this is no resource of its API"),
        (REST, ("AuthorizationType: NONE", "AuthorizationType: AWS_IAM"),
         "Resources.Open.Properties.AuthorizationType: AWS_IAM is not understood here"),
        (REST, ("AuthorizerId: !Ref Guard", "AuthorizerId: other"),
         "Resources.Read.Properties.AuthorizerId: this is no authorizer of this template"),
        (REST, ("[!GetAtt Pool.Arn]", "[arn:other]"),
         "Resources.Guard.Properties.ProviderARNs: arn:other is not the user pool of this template"),
        (REST, ("  Stage:", "  # Stage:"), "Resources.Api: it has no stage, so that AWS would not serve it"),
        (HTTP, ("ProtocolType: HTTP", "ProtocolType: WEBSOCKET"),
         "Resources.Api.Properties.ProtocolType: only HTTP is understood here"),
        (HTTP, ("RouteKey: $default", "RouteKey: everything"),
         "Resources.Rest.Properties.RouteKey: expected a method and a path, such as GET /, or $default"),
        (HTTP, ("AuthorizationType: JWT", "AuthorizationType: CUSTOM"),
         "Resources.Read.Properties.AuthorizationType: CUSTOM is not understood here"),
        (HTTP, ("Issuer: !GetAtt Pool.ProviderURL", "Issuer: https://other"),
         "Resources.Guard.Properties.JwtConfiguration.Issuer: https://other is not the user pool of this template"),
        (HTTP, ("  Stage:", "  # Stage:"), "Resources.Api: it has no stage, so that AWS would not serve it"),
        (ALB, ("{Issuer: !GetAtt Pool.ProviderURL, Jwks", "{Issuer: https://other, Jwks"),
         "Resources.Listener.Properties.DefaultActions[0].JwtValidationConfig.Issuer: https://other is not the user"),
        (ALB, ("- {Type: forward, Order: 2}", "- {Type: redirect, Order: 2}"),
         "Resources.Listener.Properties.DefaultActions[1]: the action redirect is not understood here"),
        (ALB, ("Actions: [{Type: forward}]", "Actions: forward"),
         "Resources.First.Properties.Actions: expected a list of mappings"),
        (ALB, ("Priority: 20", "Priority: soon"), "Resources.Later.Properties.Priority: expected a whole number"),
        (ALB, ("Values: [orders/write]}", "Values: orders/write}"),
         "Resources.Later.Properties.Actions[0].JwtValidationConfig.AdditionalClaims[0].Values: expected a list"),
        (HTTP, ("another]", "[another]]"), "Resources.Guard.Properties.JwtConfiguration.Audience[1]: expected a text"),
        (ALB, ("- Type: jwt-validation\n          JwtValidationConfig:", "- Type: jwt-validation\n          Other:"),
         "Resources.Later.Properties.Actions[0].JwtValidationConfig: expected a mapping"),
        (ALB, ("Name: scope, Format: space-separated-values", "Name: scope, Format: string-array"),
         "Resources.Later.Properties.Actions[0].JwtValidationConfig.AdditionalClaims[0]: scope as string-array is not"),
        (ALB, ("Conditions: [{Field: path-pattern, Values", "Conditions: [{Field: host-header, Values"),
         "Resources.Later.Properties.Conditions: one path-pattern is understood here, and nothing besides"),
        (ALB, ("Conditions: [{Field: path-pattern, PathPatternConfig: {Values: [/health]}}]", "Conditions: []"),
         "Resources.First.Properties.Conditions: one path-pattern is understood here, and nothing besides"),
        (ALB, ("{Values: [/health]}", "{Values: /health}"), "Resources.First.Properties.Conditions: expected a list"),
    ],
)  # fmt: skip
def test_what_is_not_understood(text: str, change: tuple[str, str], problem: str) -> None:
    assert text.count(change[0]) == 1
    [told] = problems(POOL + text.replace(*change))
    assert told.startswith(f"0.yaml: {problem}")
