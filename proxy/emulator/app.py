"""From a request to an answer: which endpoint it is for, which fault it gets, and what is written down about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.emulator import control, effects, oauth, secrets_manager
from proxy.emulator.answers import Answer, compact, page
from proxy.emulator.faults import AnyFault, Delay, Status
from proxy.emulator.gateways import Gateway
from proxy.emulator.outcomes import Voice, plan
from proxy.emulator.state import State
from proxy.emulator.tokens import Verdict, token_id

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105  # a path

_SMALL: Final = 1024 * 1024
"""Bytes of a token request or of a plan of faults that are read."""


class App:
    """The handler of every request."""

    def __init__(self, state: State, waits: effects.Waits) -> None:
        self._state = state
        self._waits = waits

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._dispatch(request)
        except effects.Dropped:
            return web.Response(status=500)  # the connection has ended: aiohttp finds nobody to send it to

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path == TOKEN_PATH:
            return await self._token(request)
        first, _, rest = path[1:].partition("/")
        if gateway := self._state.gateways.get(first):
            return await self._gateway(request, gateway, f"/{rest}", query)
        return effects.send(await self._own(request, path, query))

    # ------------------------------------------------------------------------------------------ token endpoint

    async def _token(self, request: web.BaseRequest) -> web.StreamResponse:
        state = self._state
        body = await effects.read_body(request, limit=_SMALL, keep=True)
        asked = oauth.Asked(
            request.method,
            request.headers.get("Content-Type", ""),
            request.headers.get("Authorization"),
            body.data,
        )
        decision = oauth.decide(asked, state.clients)
        fault = state.faults.take("token") if request.method == "POST" else None

        def proper() -> Answer:
            if decision.status == 405:
                return oauth.not_allowed(state.random)
            if decision.error is not None:
                return oauth.refused(decision.error, state.random)
            client = state.clients[decision.client_id or ""]
            return oauth.granted(state.desk.issue(client, decision.scope), client.lifetime, state.random)

        def failed(fault: Status) -> Answer:
            # What Cognito's body is on these days is not known; a client must not depend on it.
            message = fault.message or ("Too Many Requests" if fault.status == 429 else "Internal Server Error")
            return raw(fault.status, compact({"message": message}), "application/json")

        def raw(status: int, body: bytes, content_type: str) -> Answer:
            return oauth.other(status, body, content_type, state.random)

        def record(status: int | None, outcome: str) -> None:
            state.calls.token(at=state.now(), status=status, outcome=outcome, decision=decision)

        return await self._answer(request, fault, Voice(proper, failed, raw), record, unread=not body.whole)

    # ------------------------------------------------------------------------------------------------ gateways

    async def _gateway(self, request: web.BaseRequest, gateway: Gateway, path: str, query: str) -> web.StreamResponse:
        state = self._state
        body = await effects.read_body(request, limit=gateway.max_body)
        token = gateway.token(request.headers.get(state.settings.header))
        named = token_id(token) if token else None

        def proper() -> Answer:
            return self._gate(request, gateway, path, query, token, body)

        def failed(fault: Status) -> Answer:
            if fault.status == 401 and fault.message is None:
                route = gateway.route(request.method, path)
                return gateway.refused(Verdict.SIGNATURE, route.scopes if route else ())
            return gateway.failed(fault.status, fault.message)

        def raw(status: int, body: bytes, content_type: str) -> Answer:
            return Answer(status, (("Content-Type", content_type), *gateway.ids()), body, "")

        def record(status: int | None, outcome: str) -> None:
            state.calls.gateway(
                gateway.kind,
                at=state.now(),
                status=status,
                outcome=outcome,
                method=request.method,
                path=path,
                token=named,
            )

        fault = state.faults.take(gateway.kind)
        return await self._answer(request, fault, Voice(proper, failed, raw), record, unread=not body.whole)

    def _gate(
        self, request: web.BaseRequest, gateway: Gateway, path: str, query: str, token: str | None, body: effects.Body
    ) -> Answer:
        """The proper answer of a gateway: its limits, its routes, its authorizer, what is behind it."""
        state = self._state
        line = len(request.method) + len(request.raw_path) + len(" HTTP/1.1")
        if gateway.head_too_large(line, sum(len(value) for _, value in request.raw_headers)):
            return gateway.failed(431)
        if not body.whole:
            return gateway.failed(413)
        route = gateway.route(request.method, path)
        if route is None:
            return gateway.unknown_route()
        if route.guarded:
            verdict = Verdict.MISSING if token is None else gateway.judged(state.desk.verify(token, route), route)
            if verdict is not Verdict.GOOD:
                return gateway.refused(verdict, route.scopes)
        if path == "/echo" and token is not None:
            return gateway.let_in(compact(self._echo(request, path, query, token, body)))
        return gateway.let_in()

    def _echo(self, request: web.BaseRequest, path: str, query: str, token: str, body: effects.Body) -> dict[str, Any]:
        """What arrived behind the gateway. The token is named by its hash, wherever in the head it stood."""
        named = token_id(token)
        secret = {"authorization", self._state.settings.header.lower()}
        headers = []
        for raw_name, raw_value in request.raw_headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers.append([name, named if name.lower() in secret else value.replace(token, named)])
        scheme, space, _ = request.headers.get(self._state.settings.header, "").partition(" ")
        return {
            "method": request.method,
            "path": path,
            "query": query.replace(token, named),
            "scheme": scheme if space else "",
            "token_id": named,
            "headers": headers,
            "body": {"length": body.length, "sha256": body.digest},
        }

    # ------------------------------------------------------------------------------------------------- answers

    async def _answer(
        self,
        request: web.BaseRequest,
        fault: AnyFault | None,
        voice: Voice,
        record: Callable[[int | None, str], None],
        *,
        unread: bool,
    ) -> web.StreamResponse:
        """Do what is due about one call, and write it down. `unread`: there is more of its body than was read."""
        if isinstance(fault, Delay):
            await self._waits.sleep(fault.seconds)
        answer, dropped, halved = plan(fault, voice, self._state.random)
        record(None if dropped else answer.status, answer.outcome)
        if dropped:
            return effects.drop(request)
        if halved:
            return await effects.cut(request, answer)
        return effects.send(answer._replace(close=True) if unread else answer)

    # ------------------------------------------------------------------------------------------------ the rest

    async def _own(self, request: web.BaseRequest, path: str, query: str) -> Answer:
        """Discovery, the emulator's own endpoints, and the page that lists them all."""
        state = self._state
        pool = f"/{state.settings.pool_id}/.well-known/"
        target = request.headers.get("X-Amz-Target", "") if path == "/" else ""
        if target or path.startswith(control.PREFIX):
            body = await effects.read_body(request, limit=_SMALL, keep=True)
            if not body.whole:
                return page(413, {"error": "too_large", "problem": f"more than {_SMALL} bytes"})._replace(close=True)
            if target:
                return secrets_manager.answer(target, body.data, state.settings.stack, state.began)
            fields = dict(parse_qsl(query, keep_blank_values=True))
            return await control.handle(state, request.method, path.removeprefix(control.PREFIX), fields, body.data)
        documents: dict[str, Callable[[], bytes]] = {
            f"{pool}jwks.json": lambda: state.keys.jwks,
            f"{pool}openid-configuration": lambda: compact(self._discovery()),
            "/": lambda: page(200, self._index()).body,
        }
        document = documents.get(path)
        if document is None:
            problem = f"nothing is at this path; {state.origin}/ lists what there is"
            return page(404, {"error": "not_found", "problem": problem})
        if request.method not in {"GET", "HEAD"}:
            return page(405, {"error": "method_not_allowed", "problem": "GET only"}, fields=(("Allow", "GET, HEAD"),))
        return Answer(200, (("Content-Type", "application/json"),), document(), "discovery")

    def _discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, with what exists here and nothing else."""
        state = self._state
        return {
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": state.issuer,
            "jwks_uri": f"{state.origin}/{state.settings.pool_id}/.well-known/jwks.json",
            "grant_types_supported": [oauth.GRANT],
            "response_types_supported": ["token"],
            "scopes_supported": list(state.settings.scopes),
            "subject_types_supported": ["public"],
            "token_endpoint": state.origin + TOKEN_PATH,
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }

    def _index(self) -> dict[str, Any]:
        state = self._state
        return {
            "token_url": state.origin + TOKEN_PATH,
            "client_id": state.client.id,
            "scopes": list(state.client.scopes),
            "token_lifetime": state.client.lifetime,
            **self._of_template(),
            "issuer": state.issuer,
            "jwks_uri": f"{state.origin}/{state.settings.pool_id}/.well-known/jwks.json",
            "gateways": {kind: f"{state.origin}/{kind}/" for kind in state.gateways},
            "control": [control.PREFIX + name for name in control.NAMES],
        }

    def _of_template(self) -> dict[str, Any]:
        """What the index has besides where a template was read."""
        state = self._state
        if state.settings.apis is None:
            return {}
        return {
            "domain": state.settings.stack.domain,
            "clients": {
                one.id: {"scopes": one.scopes, "token_lifetime": one.lifetime} for one in state.clients.values()
            },
            "routes": {
                kind: [
                    {"route": f"{one.method} {one.path}", "scopes": one.scopes, "guarded": one.guarded}
                    for one in routes
                ]
                for kind, routes in state.settings.apis.items()
            },
        }
