"""What an emulated user pool, its app client and the gateways behind it are like. Data and its rules, nothing else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from proxy.emulator.routes import Route
from proxy.errors import ConfigError
from proxy.secret import Secrets

DEFAULT_POOL_ID: Final = "eu-central-1_Emulator1"
DEFAULT_CLIENT_ID: Final = "localemulatorclient0000001"
# Known to everyone on purpose: it opens nothing but this emulator, and a CI job can be written with it.
DEFAULT_CLIENT_SECRET: Final = "emulator_secret_for_this_machine_only"  # noqa: S105
DEFAULT_SCOPE: Final = "mydomain.com/API_ACCESS"

LOCAL: Final = "local"
COGNITO: Final = "cognito"

MAX_SECRETS: Final = 2
"""Live secrets of one app client at a time (API reference, AddUserPoolClientSecret)."""

_POOL_ID = re.compile(r"[\w-]+_[0-9A-Za-z]+")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3
_PATH = re.compile(r"/[\x21\x22\x24-\x3e\x40-\x7e]*")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


Kind = Literal["rest", "http", "alb"]
"""The gateways, by the first segment of their paths."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One app client of the pool."""

    id: str
    secrets: Sequence[str]
    scopes: tuple[str, ...]
    token_lifetime: int = 3600
    may_ask: bool = True
    """Whether client_credentials is among its flows."""
    name: str = ""
    """What a template calls it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "secrets", Secrets(self.secrets))


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What a CloudFormation stack tells of itself beyond what it serves."""

    name: str = "emulator"
    domain: str | None = None
    """The host of the token endpoint at AWS."""
    outputs: tuple[tuple[str, str, str], ...] = ()
    """Name, description and value of each."""
    addresses: tuple[tuple[str, str], ...] = ()
    """URLs at AWS, and the name of what stands for each here: `domain`, `issuer` or a `Kind`."""
    secrets: Sequence[tuple[str, str]] = ()
    """What is in Secrets Manager: id and content of each."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "secrets", Secrets(self.secrets))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One user pool with its app clients. A value that cannot be used is a `ConfigError` that names them all."""

    pool_id: str = DEFAULT_POOL_ID
    """`region_XXXXXXXXX`, as Cognito writes it."""
    client_id: str = DEFAULT_CLIENT_ID
    """Cognito's are 26 lowercase letters and digits; any text without control characters will do here."""
    client_secrets: Sequence[str] = (DEFAULT_CLIENT_SECRET,)
    """The live secrets, the oldest first: one or two."""
    scopes: tuple[str, ...] = (DEFAULT_SCOPE,)
    """What the app client may ask for, and gets when it asks for nothing."""
    token_lifetime: int = 3600
    """Seconds, at least 1. Cognito itself allows 5 minutes to 24 hours; tests like shorter ones."""
    issuer: str = LOCAL
    """`local`: the emulator's own origin, so that JWKS discovery works; `cognito`: the real service's; or a URL."""
    required_scopes: tuple[str, ...] | None = None
    """Any one of these lets a caller in at the gateways. None: the first of `scopes`. Empty: no scope is asked for,
    and a REST API then takes every token for an ID token and refuses it, as the real one does."""
    routes: tuple[str, ...] = ("*",)
    """Paths that the REST and HTTP APIs have, for every method; `*` is every path. An ALB has no routes."""
    more_clients: tuple[Client, ...] = ()
    """App clients besides the one that the fields above describe."""
    apis: Mapping[Kind, tuple[Route, ...]] | None = None
    """The gateways that there are, with their routes. None: all three, as `required_scopes` and `routes` say."""
    stack: Stack = Stack()
    header: str = "Authorization"
    """The header in which the gateways look for the token."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "client_secrets", Secrets(self.client_secrets))
        if problems := _problems(self):
            raise ConfigError([f"emulator.{problem}" for problem in problems])

    @property
    def region(self) -> str:
        return self.pool_id.partition("_")[0]

    @property
    def clients(self) -> tuple[Client, ...]:
        """Every app client, the first one first."""
        first = Client(
            id=self.client_id,
            secrets=self.client_secrets,
            scopes=self.scopes,
            token_lifetime=self.token_lifetime,
        )
        return (first, *self.more_clients)

    @property
    def served(self) -> Mapping[Kind, tuple[Route, ...]]:
        """The gateways that there are, with their routes."""
        if self.apis is not None:
            return self.apis
        route = Route(scopes=self.needed, audience=(self.client_id,))
        paths = tuple(route._replace(path=path) for path in self.routes)
        return {"rest": paths, "http": paths, "alb": (route,)}

    @property
    def needed(self) -> tuple[str, ...]:
        """The scopes that the gateways ask for; any one passes."""
        return self.scopes[:1] if self.required_scopes is None else self.required_scopes

    def issuer_at(self, origin: str) -> str:
        """The `iss` claim of tokens made at `origin` (Developer guide, "Understanding the access token")."""
        if self.issuer == LOCAL:
            return f"{origin}/{self.pool_id}"
        if self.issuer == COGNITO:
            return f"https://cognito-idp.{self.region}.amazonaws.com/{self.pool_id}"
        return self.issuer


def _problems(settings: Settings) -> list[str]:
    found: list[str] = []
    if not _POOL_ID.fullmatch(settings.pool_id):
        found.append("pool_id: expected a region and an id, such as eu-central-1_Emulator1")
    if not 1 <= len(settings.client_id) <= 128 or _CONTROL.search(settings.client_id):
        found.append("client_id: expected 1 to 128 characters without control characters")
    if not 1 <= len(settings.client_secrets) <= MAX_SECRETS:
        found.append("client_secrets: expected one or two")
    # The secrets are not quoted, here or anywhere else.
    if any(not secret or _CONTROL.search(secret) for secret in settings.client_secrets):
        found.append("client_secrets: expected text without control characters, not empty")
    if not settings.scopes:
        found.append("scopes: expected at least one")
    for key, scopes in (("scopes", settings.scopes), ("required_scopes", settings.required_scopes or ())):
        bad = [scope for scope in scopes if not _SCOPE.fullmatch(scope)]
        found += [f"{key}: {scope!r} is not a name without spaces, such as {DEFAULT_SCOPE}" for scope in bad]
    if isinstance(settings.token_lifetime, bool) or not isinstance(settings.token_lifetime, int):
        found.append("token_lifetime: expected whole seconds")
    elif settings.token_lifetime < 1:
        found.append("token_lifetime: expected at least 1 second")
    if settings.issuer not in {LOCAL, COGNITO} and not settings.issuer.startswith(("https://", "http://")):
        found.append("issuer: expected local, cognito or a URL")
    if any(route != "*" and not _PATH.fullmatch(route) for route in settings.routes):
        found.append("routes: expected paths that begin with a slash, or *")
    if not _FIELD_NAME.fullmatch(settings.header):
        found.append("header: expected the name of a header")
    return found


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine alone. A name other than `localhost` may be anybody's, so it does not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
