"""How the three kinds of gateway answer. Tables and pure functions; who is let in is decided in `tokens`.

Sources: API Gateway developer guide ("Gateway response types", "Troubleshooting issues with HTTP API JWT
authorizers", quotas), Elastic Load Balancing guide ("Verify JWTs using an Application Load Balancer").
docs/emulator.md says which of these texts nobody has confirmed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from proxy.emulator.answers import Answer, Fields, Random, compact, gateway_id, request_id
from proxy.emulator.routes import Pick, Route, by_resource, by_route, by_rule
from proxy.emulator.settings import Kind
from proxy.emulator.tokens import Verdict

HELLO: Final = b'{"message": "Hello World!"}'
MAX_BODY: Final = 10 * 1024 * 1024
MAX_HEAD: Final = 10_240
"""Bytes of the request line and all header values, at API Gateway."""
ALB_MAX_LINE: Final = 16 * 1024
ALB_MAX_HEAD: Final = 64 * 1024


class Gateway(ABC):
    """What the three have in common. Each answer is made anew, because each carries ids of its own."""

    kind: Kind
    max_body: int | None = MAX_BODY
    pick: Pick

    def __init__(self, routes: tuple[Route, ...], random: Random) -> None:
        self.routes = routes
        self._random = random

    def route(self, method: str, path: str) -> Route | None:
        """The route that a request is for; None where there is none."""
        return type(self).pick(self.routes, method, path)

    def token(self, value: str | None) -> str | None:
        """The token in the value of the authorization header, with or without `Bearer`; None where there is none."""
        if not value:
            return None
        scheme, space, rest = value.partition(" ")
        return rest.strip() if space and scheme.lower() == "bearer" else value

    def judged(self, verdict: Verdict, route: Route) -> Verdict:
        """The last word about a token that was looked at."""
        return verdict

    def head_too_large(self, line: int, values: int) -> bool:
        """Whether a request line and header values of so many bytes are refused."""
        return line + values > MAX_HEAD

    def let_in(self, body: bytes = HELLO) -> Answer:
        return Answer(200, (("Content-Type", "application/json"), *self.ids()), body, Verdict.GOOD.value)

    @abstractmethod
    def ids(self) -> Fields:
        """The header fields that name the request."""

    @abstractmethod
    def refused(self, verdict: Verdict, scopes: tuple[str, ...] = ()) -> Answer:
        """No, because of the token; `scopes` are those of the route."""

    @abstractmethod
    def unknown_route(self) -> Answer:
        """There is no such path, or not with this method."""

    @abstractmethod
    def failed(self, status: int, message: str | None = None, *, outcome: str | None = None) -> Answer:
        """An error that has nothing to do with the token; `message` where it is not the usual one."""


class RestApi(Gateway):
    """A REST API whose methods have a COGNITO_USER_POOLS authorizer with scopes."""

    kind = "rest"
    pick = staticmethod(by_resource)

    _USUAL: Final = {
        401: ("UnauthorizedException", "Unauthorized"),
        403: ("ForbiddenException", "Forbidden"),
        413: ("RequestTooLargeException", "HTTP content length exceeded 10485760 bytes."),
        429: ("TooManyRequestsException", "Too Many Requests"),
        431: ("RequestTooLargeException", "Request Header Fields Too Large"),
        500: ("InternalServerErrorException", "Internal server error"),
        502: ("InternalServerErrorException", "Internal server error"),
        503: ("ServiceUnavailableException", "Service Unavailable"),
        504: ("InternalServerErrorException", "Endpoint request timed out"),
    }
    _BY_MESSAGE: Final = {
        "Missing Authentication Token": "MissingAuthenticationTokenException",
        "Limit Exceeded": "LimitExceededException",
    }

    def ids(self) -> Fields:
        return (("x-amzn-RequestId", request_id(self._random)), ("x-amz-apigw-id", gateway_id(self._random)))

    def judged(self, verdict: Verdict, route: Route) -> Verdict:
        # Without scopes on the method the authorizer takes any token for an ID token, and an access token is none.
        return Verdict.SCOPE if verdict is Verdict.GOOD and not route.scopes else verdict

    def refused(self, verdict: Verdict, scopes: tuple[str, ...] = ()) -> Answer:
        message = "The incoming token has expired" if verdict is Verdict.EXPIRED else "Unauthorized"
        return self.failed(401, message, outcome=verdict.value)

    def unknown_route(self) -> Answer:
        return self.failed(403, "Missing Authentication Token", outcome="unknown_route")

    def failed(self, status: int, message: str | None = None, *, outcome: str | None = None) -> Answer:
        phrase = _phrase(status)
        error, usual = self._USUAL.get(status) or ("".join(filter(str.isalpha, phrase)) + "Exception", phrase)
        message = message or usual
        # The one refusal that is plain text: it comes from in front of the API, and no API can change it.
        plain = status == 413
        fields = (
            ("Content-Type", "text/plain" if plain else "application/json"),
            ("x-amzn-ErrorType", self._BY_MESSAGE.get(message, error)),
            *self.ids(),
        )
        body = message.encode() if plain else compact({"message": message})
        return Answer(status, fields, body, outcome or f"status_{status}")


class HttpApi(Gateway):
    """An HTTP API whose routes have a JWT authorizer with scopes."""

    kind = "http"
    pick = staticmethod(by_route)

    _DESCRIPTIONS: Final = {
        Verdict.MALFORMED: "token contains an invalid number of segments",
        Verdict.EXPIRED: "the token has expired",
        Verdict.AUDIENCE: "the token does not have a valid audience",
        Verdict.ISSUER: "the token does not have a valid issuer",
        Verdict.NOT_YET: "the token is not valid yet",
    }
    # A gateway knows nothing of revocation: what this emulator revokes looks like a token it never signed.
    _OTHERWISE: Final = "the token has an invalid signature"

    def ids(self) -> Fields:
        return (("apigw-requestid", gateway_id(self._random)),)

    def refused(self, verdict: Verdict, scopes: tuple[str, ...] = ()) -> Answer:
        if verdict is Verdict.SCOPE:
            return self.failed(403, outcome=verdict.value)
        challenge = "Bearer"
        if verdict is not Verdict.MISSING:
            description = self._DESCRIPTIONS.get(verdict, self._OTHERWISE)
            challenge = f'Bearer scope="{" ".join(scopes)}" error="invalid_token" error_description="{description}"'
        return self._error(401, "Unauthorized", verdict.value, (("www-authenticate", challenge),))

    def unknown_route(self) -> Answer:
        return self.failed(404, outcome="unknown_route")

    def failed(self, status: int, message: str | None = None, *, outcome: str | None = None) -> Answer:
        return self._error(status, message or _phrase(status), outcome or f"status_{status}")

    def _error(self, status: int, message: str, outcome: str, extra: Fields = ()) -> Answer:
        fields = (("Content-Type", "application/json"), *extra, *self.ids())
        return Answer(status, fields, compact({"message": message}), outcome)


class LoadBalancer(Gateway):
    """An ALB listener whose rule has the action jwt-validation, with the scope as an additional claim."""

    kind = "alb"
    pick = staticmethod(by_rule)
    max_body = None

    _TITLES: Final = {401: "Authorization Required", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}

    def token(self, value: str | None) -> str | None:
        # A bare token is not read at all here, unlike at the other two.
        scheme, _, rest = (value or "").partition(" ")
        return rest.strip() or None if scheme.lower() == "bearer" else None

    def head_too_large(self, line: int, values: int) -> bool:
        return line > ALB_MAX_LINE or line + values > ALB_MAX_HEAD

    def ids(self) -> Fields:
        return ()

    def refused(self, verdict: Verdict, scopes: tuple[str, ...] = ()) -> Answer:
        return self.failed(401, outcome=verdict.value)

    def unknown_route(self) -> Answer:
        return self.failed(404, outcome="unknown_route")

    def failed(self, status: int, message: str | None = None, *, outcome: str | None = None) -> Answer:
        status = 400 if status == 431 else status  # an ALB calls a head that is too large a bad request
        title = f"{status} {message or self._TITLES.get(status) or _phrase(status)}"
        lines = (
            "<html>",
            f"<head><title>{title}</title></head>",
            "<body>",
            f"<center><h1>{title}</h1></center>",
            "</body>",
            "</html>",
            "",
        )
        fields = (("Server", "awselb/2.0"), ("Content-Type", "text/html"))
        return Answer(status, fields, "\r\n".join(lines).encode(), outcome or f"status_{status}")


def _phrase(status: int) -> str:
    if status == 413:
        return "Request Entity Too Large"  # Python 3.13 calls it Content Too Large
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def make_all(apis: Mapping[Kind, tuple[Route, ...]], random: Random) -> dict[str, Gateway]:
    """Those that have routes, by the first segment of their paths."""
    known = (RestApi, HttpApi, LoadBalancer)
    return {gateway.kind: gateway(apis[gateway.kind], random) for gateway in known if gateway.kind in apis}
