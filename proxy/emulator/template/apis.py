"""The gateways of a template as routes: REST APIs, HTTP APIs, and listeners of load balancers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from proxy.emulator.routes import ANY, EVERYTHING, Route
from proxy.emulator.settings import Kind
from proxy.emulator.template import resources
from proxy.emulator.template.functions import Unclear, mappings, texts
from proxy.emulator.template.template import Template

_ROUTE_KEY: Final = re.compile(r"([A-Z]+) (/\S*)")


class Pool(NamedTuple):
    """The user pool that the gateways must trust, as they name it."""

    arn: str
    issuer: str


class Found(NamedTuple):
    """One gateway of a template."""

    kind: Kind
    where: str
    address: str
    """What its URL begins with at AWS."""
    routes: tuple[Route, ...]


def rest_api(template: Template, api: str, pool: Pool) -> Found:
    """A REST API with a COGNITO_USER_POOLS authorizer. Raises Unclear."""
    if template.get(api, "Body") is not None or template.get(api, "BodyS3Location") is not None:
        raise Unclear(template.where(api, "Body"), "an API by OpenAPI is not understood here, only by its Methods")
    paths = _paths(template, api)
    routes = []
    for name in _of_api(template, resources.REST_METHOD, "RestApiId", api):
        resource = template.text(name, "ResourceId")
        if resource not in paths:
            raise Unclear(template.where(name, "ResourceId"), "this is no resource of its API")
        route = Route(template.text(name, "HttpMethod"), paths[resource], template.texts(name, "AuthorizationScopes"))
        kind = template.get(name, "AuthorizationType", "NONE")
        if kind == "COGNITO_USER_POOLS":
            _trusts(template, _authorizer(template, name, resources.REST_AUTHORIZER), "ProviderARNs", pool.arn)
        elif kind != "NONE":
            raise Unclear(template.where(name, "AuthorizationType"), f"{kind} is not understood here")
        routes.append(route._replace(guarded=kind != "NONE"))
    deployed = [
        *(name for name in _of_api(template, resources.REST_STAGE, "RestApiId", api)),
        *(
            name
            for name in _of_api(template, resources.REST_DEPLOYMENT, "RestApiId", api)
            if template.get(name, "StageName") is not None
        ),
    ]
    if not deployed:
        raise Unclear(template.where(api), "it has no stage, so that AWS would not serve it")
    return Found(
        *("rest", template.where(api)),
        f"{resources.execute_api(template, api)}/{template.text(deployed[0], 'StageName')}",
        tuple(routes),
    )


def http_api(template: Template, api: str, pool: Pool) -> Found:
    """An HTTP API with a JWT authorizer. Raises Unclear."""
    if template.get(api, "ProtocolType") != "HTTP":
        raise Unclear(template.where(api, "ProtocolType"), "only HTTP is understood here")
    routes = []
    for name in _of_api(template, resources.HTTP_ROUTE, "ApiId", api):
        key = template.text(name, "RouteKey")
        match = _ROUTE_KEY.fullmatch(key)
        if match is None and key != "$default":
            raise Unclear(template.where(name, "RouteKey"), "expected a method and a path, such as GET /, or $default")
        method, path = (match[1], match[2]) if match else (ANY, EVERYTHING)
        route = Route(method, path, template.texts(name, "AuthorizationScopes"))
        kind = template.get(name, "AuthorizationType", "NONE")
        if kind == "JWT":
            authorizer = _authorizer(template, name, resources.HTTP_AUTHORIZER)
            token = template.mapping(authorizer, "JwtConfiguration")
            if token.get("Issuer") != pool.issuer:
                raise Unclear(
                    template.where(authorizer, "JwtConfiguration.Issuer"), _STRANGE.format(token.get("Issuer"))
                )
            where = template.where(authorizer, "JwtConfiguration.Audience")
            route = route._replace(audience=texts(token.get("Audience", []), where))
        elif kind != "NONE":
            raise Unclear(template.where(name, "AuthorizationType"), f"{kind} is not understood here")
        routes.append(route._replace(guarded=kind != "NONE"))
    stages = _of_api(template, resources.HTTP_STAGE, "ApiId", api)
    if not stages:
        raise Unclear(template.where(api), "it has no stage, so that AWS would not serve it")
    stage = template.text(stages[0], "StageName")
    address = resources.execute_api(template, api)
    return Found("http", template.where(api), address if stage == "$default" else f"{address}/{stage}", tuple(routes))


def listener(template: Template, name: str, pool: Pool) -> Found:
    """A listener of a load balancer, with its rules in the order in which they are tried. Raises Unclear."""
    own = template.text(name, "LoadBalancerArn")
    rules = [
        rule
        for rule in template.named(resources.LISTENER_RULE)
        if template.get(rule, "ListenerArn") == resources.physical(template, name)
    ]
    routes: list[Route] = []
    for rule in sorted(rules, key=lambda rule: _priority(template, rule)):
        guard = _guard(template, rule, "Actions", pool)
        routes += [guard._replace(path=path) for path in _conditions(template, rule)]
    routes.append(_guard(template, name, "DefaultActions", pool))
    balancers = [one for one in template.named(resources.LOAD_BALANCER) if resources.physical(template, one) == own]
    address = f"https://{resources.load_balancer(template, balancers[0])}" if balancers else own
    return Found("alb", template.where(name), address, tuple(routes))


_STRANGE: Final = "{} is not the user pool of this template"


def _of_api(template: Template, kind: str, key: str, api: str) -> list[str]:
    """The resources of a type that belong to one API."""
    wanted = resources.physical(template, api)
    return [name for name in template.named(kind) if template.get(name, key) == wanted]


def _paths(template: Template, api: str) -> dict[str, str]:
    """The path of each resource of a REST API, by its id."""
    paths = {template.attribute(api, "RootResourceId", template.where(api)): "/"}
    waiting = _of_api(template, resources.REST_RESOURCE, "RestApiId", api)
    while waiting:
        known = [name for name in waiting if template.text(name, "ParentId") in paths]
        if not known:
            raise Unclear(template.where(waiting[0], "ParentId"), "this is no resource of its API")
        for name in known:
            parent = paths[template.text(name, "ParentId")].rstrip("/")
            paths[resources.physical(template, name)] = f"{parent}/{template.text(name, 'PathPart')}"
        waiting = [name for name in waiting if name not in known]
    return paths


def _authorizer(template: Template, name: str, kind: str) -> str:
    """The resource that is the authorizer of a method or a route."""
    wanted = template.text(name, "AuthorizerId")
    for authorizer in template.named(kind):
        if resources.physical(template, authorizer) == wanted:
            return authorizer
    raise Unclear(template.where(name, "AuthorizerId"), "this is no authorizer of this template")


def _trusts(template: Template, authorizer: str, key: str, wanted: str) -> None:
    trusted = template.texts(authorizer, key)
    if wanted not in trusted:
        raise Unclear(template.where(authorizer, key), _STRANGE.format(", ".join(trusted) or "nothing"))


def _guard(template: Template, name: str, key: str, pool: Pool) -> Route:
    """What a listener or a rule does before it forwards."""
    route = Route(guarded=False)
    for number, action in enumerate(template.mappings(name, key)):
        where = f"{template.where(name, key)}[{number}]"
        kind = action.get("Type")
        if kind == "jwt-validation":
            route = _validation(action.get("JwtValidationConfig"), pool, f"{where}.JwtValidationConfig")
        elif kind != "forward":
            raise Unclear(where, f"the action {kind} is not understood here; jwt-validation and forward are")
    return route


def _validation(config: Any, pool: Pool, where: str) -> Route:
    if not isinstance(config, Mapping):
        raise Unclear(where, "expected a mapping")
    if config.get("Issuer") != pool.issuer:
        raise Unclear(f"{where}.Issuer", _STRANGE.format(config.get("Issuer")))
    route = Route()
    claims = f"{where}.AdditionalClaims"
    for number, claim in enumerate(mappings(config.get("AdditionalClaims", []), claims)):
        values = texts(claim.get("Values", []), f"{claims}[{number}].Values")
        match claim.get("Name"), claim.get("Format"):
            case "scope", "space-separated-values":
                route = route._replace(scopes=values)
            case "client_id", "single-string":
                route = route._replace(audience=values)
            case name, form:
                what = "scope as space-separated-values and client_id as single-string are"
                raise Unclear(f"{claims}[{number}]", f"{name} as {form} is not understood here; {what}")
    return route


def _conditions(template: Template, rule: str) -> tuple[str, ...]:
    """The path patterns of a rule."""
    where = template.where(rule, "Conditions")
    match template.mappings(rule, "Conditions"):
        case ({"Field": "path-pattern", "PathPatternConfig": {"Values": patterns}},):
            return texts(patterns, where)
        case ({"Field": "path-pattern", "Values": patterns},):
            return texts(patterns, where)
    raise Unclear(where, "one path-pattern is understood here, and nothing besides")


def _priority(template: Template, rule: str) -> int:
    """The place of a rule among those of its listener."""
    try:
        return int(template.text(rule, "Priority"))
    except ValueError:
        raise Unclear(template.where(rule, "Priority"), "expected a whole number") from None
