"""A token endpoint that nobody here wrote, a resource that believes nothing but its signatures, and the two joined."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import jwt
from aiohttp import web

from tests.processes import Program, lacking, require_program

HERE = Path(__file__).parent / "oidc"
INSTALLED = HERE / "node_modules" / "oidc-provider"

CLIENT_ID = "orders:/+ %&ü=id"
CLIENT_SECRET = "s3cr:/+ %&ü?#\"'=~et"  # every character here has a meaning in a URL, a form or a header
SCOPE = "mydomain.com/API_ACCESS"
OTHER_SCOPE = "mydomain.com/ADMIN"  # it exists, but the client may not have it
AUDIENCE = "urn:interop:resource"


class OidcProvider:
    """npm's oidc-provider as a process: strict client_secret_basic, RS256 access tokens."""

    def __init__(self, origin: str, session: aiohttp.ClientSession) -> None:
        self.issuer = origin
        self.token_url = f"{origin}/token"
        self._session = session

    async def jwks(self) -> dict[str, Any]:
        keys: dict[str, Any] = await self._get("/jwks")
        return keys

    async def calls(self) -> list[dict[str, Any]]:
        """Every call of its token endpoint: `status`, `authenticated_as`, `params`, `answer` and more."""
        calls: list[dict[str, Any]] = await self._get("/_seen")
        return calls

    async def tokens(self) -> list[str]:
        """Every access token that it has issued."""
        return [call["answer"]["access_token"] for call in await self.calls() if call["status"] == 200]

    async def _get(self, path: str) -> Any:
        async with self._session.get(self.issuer + path) as response:
            response.raise_for_status()
            return await response.json()


@asynccontextmanager
async def serve_provider(*, lifetime: int = 600) -> AsyncIterator[OidcProvider]:
    """`lifetime` is that of its tokens, in seconds."""
    node = require_program("node")
    if not INSTALLED.is_dir():
        lacking("npm's oidc-provider is not installed (make install)")
    settings = {
        "clients": [{"id": CLIENT_ID, "secret": CLIENT_SECRET}],
        "scope": SCOPE,
        "other_scope": OTHER_SCOPE,
        "audience": AUDIENCE,
        "lifetime": lifetime,
    }
    program = await Program.start(node, str(HERE / "server.mjs"), env={"OIDC_SETTINGS": json.dumps(settings)})
    try:
        port = json.loads(await program.printed('{"port":'))["port"]
        async with aiohttp.ClientSession() as session:
            yield OidcProvider(f"http://127.0.0.1:{port}", session)
    finally:
        code = await program.stop()
    assert code == 0, program.output


class Seen(NamedTuple):
    """One request as the resource got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    claims: dict[str, Any] | None
    """None where it was refused."""


class Resource:
    """An API that lets in whoever has a token of the provider, for this audience and scope."""

    def __init__(self, provider: OidcProvider, keys: jwt.PyJWKSet) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self._issuer = provider.issuer
        self._keys = {key.key_id: key for key in keys.keys}

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        claims = self._verify(request.headers.getall("Authorization", []))
        self.seen.append(Seen(request.method, request.raw_path, list(request.headers.items()), body, claims))
        if claims is None:
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response({"message": "Hello World!", "received": len(body)})

    def _verify(self, credentials: list[str]) -> dict[str, Any] | None:
        if len(credentials) != 1 or not credentials[0].startswith("Bearer "):
            return None
        token = credentials[0].removeprefix("Bearer ")
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._issuer,
                audience=AUDIENCE,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, KeyError):
            return None
        return claims if SCOPE in claims.get("scope", "").split() else None


@asynccontextmanager
async def serve_resource(provider: OidcProvider) -> AsyncIterator[Resource]:
    made = Resource(provider, jwt.PyJWKSet.from_dict(await provider.jwks()))
    app = web.Application(client_max_size=16 << 20)
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        made.url = f"http://{host}:{port}"
        yield made
    finally:
        await runner.cleanup()


def configuration(provider: OidcProvider, resource: Resource, *, required: bool = True, **auth: Any) -> dict[str, Any]:
    """A sidecar before the resource, at debug level, whose secret comes from the variable INTEROP_SECRET."""
    return {
        "upstreams": {
            "orders": {
                "url": resource.url,
                "required": required,
                "auth": {
                    "token_url": provider.token_url,
                    "client_id": CLIENT_ID,
                    "client_secret": {"env": "INTEROP_SECRET"},
                    "scopes": [SCOPE],
                    "wait": "10s",
                    **auth,
                },
            }
        },
        "log": {"level": "debug", "access": True},
    }
