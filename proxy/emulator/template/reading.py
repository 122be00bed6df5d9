"""From templates to the emulator's settings: the pool, who may ask for tokens, and the gateways that take them.

Where CloudFormation or Cognito would refuse something, this does too, since it would not be there to be served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from proxy.emulator.settings import Client, Kind, Settings, Stack
from proxy.emulator.template import apis, resources
from proxy.emulator.template.functions import Unclear
from proxy.emulator.template.template import Secrets, Template
from proxy.errors import ConfigError

_UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_SHORTEST: Final = 300
_LONGEST: Final = 86400
"""Seconds of an access token's life at Cognito."""

_FLOW: Final = "client_credentials"

_GATEWAYS: Final[dict[str, Callable[[Template, str, apis.Pool], apis.Found]]] = {
    resources.REST_API: apis.rest_api,
    resources.HTTP_API: apis.http_api,
    resources.LISTENER: apis.listener,
}


def describe(templates: Sequence[tuple[str, str, Any]], parameters: Mapping[str, str], secrets: Secrets) -> Settings:
    """What templates describe: (file, stack's name, plain data) of each, with functions in their long form.

    They are stacks of one account, made one after the other. A parameter that has neither value nor default takes the
    output of that name of an earlier one, as a person would pass it on. Raises ConfigError with every problem.
    """
    reader = _Reader(secrets)
    declared: set[str] = {"AWS::StackName", *resources.PSEUDO}
    for file, name, data in templates:
        reader.file = file
        try:
            inherited = {key: value for key, (_, value) in reader.outputs.items()}
            template = Template(name, data, given=parameters, inherited=inherited, secrets=secrets)
        except Unclear as problem:
            reader.note(problem)
            continue
        declared |= template.declared.keys()
        reader.read(template)
    reader.problems += [f"--parameter {name}: no template has it" for name in parameters if name not in declared]
    return reader.settings(parameters.get("AWS::StackName", templates[0][1]))


class _Reader:
    """Goes through templates, and keeps what it finds and every problem."""

    def __init__(self, secrets: Secrets) -> None:
        self.file = ""
        self.problems: list[str] = []
        self.outputs: dict[str, tuple[str, str]] = {}
        self._secrets = secrets
        self._pool_id = ""
        self._pool: apis.Pool | None = None
        self._domains: list[tuple[str, str]] = []
        """The domain and what the URL of its token endpoint begins with."""
        self._scopes: set[str] = set()
        self._clients: list[Client] = []
        self._gateways: dict[Kind, apis.Found] = {}
        self._kept: list[tuple[str, str]] = []

    def note(self, problem: object) -> None:
        self.problems.append(f"{self.file}: {problem}")

    def read(self, template: Template) -> None:
        """Everything in one template that the emulator serves."""
        for problem in template.problems:
            self.note(problem)
        readers: list[tuple[str, Callable[[Template, str], None]]] = [
            (resources.POOL, self._user_pool),
            (resources.DOMAIN, self._domain),
            (resources.RESOURCE_SERVER, self._resource_server),
            (resources.CLIENT, self._client),
            (resources.SECRET, self._secret),
            *((kind, self._gateway) for kind in _GATEWAYS),
        ]
        for kind, reader in readers:
            for name in template.named(kind):
                try:
                    reader(template, name)
                except Unclear as problem:
                    self.note(problem)
        self.outputs |= template.outputs()

    def settings(self, stack: str) -> Settings:
        """The whole. Raises ConfigError with every problem so far, and with what is missing."""
        able = [client for client in self._clients if client.may_ask]
        if not self.problems:
            if self._pool is None:
                self.note(f"there is no {resources.POOL}")
            if not self._domains:
                self.note(f"there is no {resources.DOMAIN}, and without one there is no token endpoint")
            if not able:
                self.note(f"no {resources.CLIENT} may use {_FLOW}")
        if self.problems or self._pool is None:
            raise ConfigError(self.problems)
        [(domain, address), *_] = self._domains
        return Settings(
            pool_id=self._pool_id,
            client_id=able[0].id,
            client_secrets=able[0].secrets,
            scopes=able[0].scopes,
            token_lifetime=able[0].token_lifetime,
            more_clients=tuple(client for client in self._clients if client is not able[0]),
            apis={kind: found.routes for kind, found in self._gateways.items()},
            stack=Stack(
                name=stack,
                domain=domain,
                outputs=tuple((name, *output) for name, output in self.outputs.items()),
                addresses=(
                    (address, "domain"),
                    (self._pool.issuer, "issuer"),
                    *((found.address, kind) for kind, found in self._gateways.items()),
                ),
                secrets=tuple(self._kept),
            ),
        )

    # --------------------------------------------------------------------------------------------- who asks for tokens

    def _user_pool(self, template: Template, name: str) -> None:
        if self._pool is not None:
            raise Unclear(template.where(name), "a second user pool; the emulator has one")
        self._pool_id = resources.physical(template, name)
        self._pool = apis.Pool(*(template.attribute(name, key, template.where(name)) for key in ("Arn", "ProviderURL")))

    def _known_pool(self, template: Template, name: str) -> apis.Pool:
        if self._pool is None:
            raise Unclear(template.where(name), f"there is no {resources.POOL} in this template or in one before it")
        return self._pool

    def _in_pool(self, template: Template, name: str) -> None:
        self._known_pool(template, name)
        if template.text(name, "UserPoolId") != self._pool_id:
            raise Unclear(template.where(name, "UserPoolId"), "this is not the user pool that the emulator has")

    def _domain(self, template: Template, name: str) -> None:
        self._in_pool(template, name)
        domain = template.text(name, "Domain")
        # One with dots is a name of one's own, which needs a certificate.
        host = domain if "." in domain else f"{domain}.auth.{template.pseudo['AWS::Region']}.amazoncognito.com"
        self._domains.append((host, f"https://{host}"))

    def _resource_server(self, template: Template, name: str) -> None:
        self._in_pool(template, name)
        scopes = template.mappings(name, "Scopes")
        identifier = template.text(name, "Identifier")
        self._scopes |= {f"{identifier}/{scope.get('ScopeName')}" for scope in scopes}

    def _client(self, template: Template, name: str) -> None:
        self._in_pool(template, name)
        flows = template.texts(name, "AllowedOAuthFlows")
        scopes = template.texts(name, "AllowedOAuthScopes")
        secret = _true(template.get(name, "GenerateSecret"))
        if _FLOW in flows:
            self._check_machine(template, name, flows=flows, scopes=scopes, secret=secret)
        client_id = resources.physical(template, name)
        self._clients.append(
            Client(
                name=name,
                id=client_id,
                secrets=(self._secrets(client_id),) if secret else (),
                scopes=scopes,
                token_lifetime=_lifetime(template, name),
                may_ask=_FLOW in flows and _true(template.get(name, "AllowedOAuthFlowsUserPoolClient")),
            )
        )

    def _check_machine(
        self, template: Template, name: str, *, flows: tuple[str, ...], scopes: tuple[str, ...], secret: bool
    ) -> None:
        """What Cognito asks of a client that may use client_credentials."""
        if not secret:
            raise Unclear(
                template.where(name, "GenerateSecret"), f"Cognito allows {_FLOW} to clients with a secret only"
            )
        if len(flows) > 1:
            raise Unclear(template.where(name, "AllowedOAuthFlows"), f"Cognito allows no other flow beside {_FLOW}")
        where = template.where(name, "AllowedOAuthScopes")
        if not scopes:
            raise Unclear(where, f"Cognito asks for at least one, to use {_FLOW}")
        if unknown := [scope for scope in scopes if scope not in self._scopes]:
            raise Unclear(where, f"no {resources.RESOURCE_SERVER} has {', '.join(unknown)}")

    def _secret(self, template: Template, name: str) -> None:
        value = template.get(name, "SecretString")
        if isinstance(value, str):
            self._kept.append((resources.physical(template, name), value))

    # -------------------------------------------------------------------------------------------------- who takes them

    def _gateway(self, template: Template, name: str) -> None:
        found = _GATEWAYS[template.type(name)](template, name, self._known_pool(template, name))
        if (other := self._gateways.get(found.kind)) is not None:
            raise Unclear(found.where, f"a second gateway of its kind, besides {other.where}; the emulator has one")
        self._gateways[found.kind] = found


def _lifetime(template: Template, name: str) -> int:
    """Seconds that a client's access tokens live."""
    where = template.where(name, "AccessTokenValidity")
    unit = str(template.mapping(name, "TokenValidityUnits").get("AccessToken", "hours"))
    if unit not in _UNITS:
        raise Unclear(template.where(name, "TokenValidityUnits"), f"AccessToken: {unit} is none of {', '.join(_UNITS)}")
    try:
        seconds = int(template.get(name, "AccessTokenValidity", 0)) * _UNITS[unit] or 3600
    except (TypeError, ValueError):
        raise Unclear(where, "expected a whole number") from None
    if not _SHORTEST <= seconds <= _LONGEST:
        raise Unclear(where, f"Cognito's tokens live from 5 minutes to a day, and this is {seconds} seconds")
    return seconds


def _true(value: Any) -> bool:
    return value is True or value == "true"
