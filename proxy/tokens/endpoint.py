"""The token endpoint's language: what is asked in one call, and what its answer means (RFC 6749 §4.4, §5).

All but `Endpoint.obtain` is pure. No text of an answer goes into an error, a log line or a page but an error code
that is a plain word; and no answer, however odd, is anything worse than a TokenError.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Final, NamedTuple, Protocol, TypeGuard
from urllib.parse import quote_plus, urlencode

from proxy.clock import Clock, Reading
from proxy.config.model import Auth, Value
from proxy.errors import Reason, TokenError
from proxy.explanations import TOKEN
from proxy.secret import Secret
from proxy.tokens.backoff import parse_retry_after
from proxy.tokens.life import jwt_life, token_life

LONGEST_TOKEN = 16 * 1024
"""Characters."""
BODY_STATUSES: Final = frozenset({200, 400, 401})
"""The statuses whose bodies mean something here; a transport need not read any other body."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
_WORD = re.compile(r"[a-z_]{1,40}")
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 §3.3
_LONGEST_SCOPES = 4096
_LEAST_PIECE = 8
"""Characters of a credential that say something of it."""

_NAMED: Final[tuple[Reason, ...]] = (
    "invalid_client",
    "invalid_scope",
    "unauthorized_client",
    "invalid_grant",
    "invalid_request",
    "unsupported_grant_type",
)
"""The errors of RFC 6749 §5.2, which are reasons themselves."""
_ERRORS: Final[dict[str, tuple[Reason, str]]] = {
    **{name: (name, TOKEN[name].meaning) for name in _NAMED},
    # Three that are known from elsewhere.
    "slow_down": ("throttled", "the token endpoint asks for fewer calls (slow_down)"),
    "temporarily_unavailable": ("server_error", "the token endpoint is out of service for now"),
    "server_error": ("server_error", "the token endpoint reports an error of its own"),
}


class Answer(NamedTuple):
    """What came back from the token endpoint."""

    status: int
    body: Secret[bytes] | None
    """Unpacked. Empty where `status` is not in BODY_STATUSES; None where it is too large or cannot be unpacked."""
    retry_after: str | None = None
    """The Retry-After field as it came."""
    date: str | None = None
    """The Date field as it came."""


class Grant(NamedTuple):
    """A token as the endpoint gave it, checked."""

    token: Secret[str]
    life: float
    """Seconds, from the moment before the request was sent."""
    scopes: tuple[str, ...]


class Call(NamedTuple):
    """What one call of the token endpoint says."""

    headers: Secret[dict[str, str]]
    form: Secret[bytes]


class Obtained(NamedTuple):
    """A grant, and how it came."""

    grant: Grant
    sent: Reading
    """The moment before its request was sent."""
    secret: Value | None
    """The one that the endpoint took; None where it was asked by another sidecar, which shares its token."""


class Transport(Protocol):
    """The way to the token endpoint."""

    async def post(self, call: Call) -> Answer:
        """One POST. Raises TokenError: connection, tls, timeout, malformed_response or credentials."""


class Endpoint:
    """One client at one token endpoint."""

    def __init__(self, auth: Auth, transport: Transport, clock: Clock) -> None:
        self._auth = auth
        self._transport = transport
        self._clock = clock

    async def obtain(self, secret: Value) -> Grant:
        """One call. Raises TokenError."""
        call = make_request(self._auth, secret)
        sent = self._clock.read().wall
        answer = await self._transport.post(call)
        return read_answer(answer, self._auth, secret, sent=sent, now=self._clock.read().wall)


def make_request(auth: Auth, secret: Value) -> Call:
    """The header fields and the form of one call. Raises TokenError (credentials) for what cannot be sent."""
    try:
        return _make_request(auth, auth.client_id.reveal(), secret.reveal())
    except UnicodeEncodeError:
        # Raised below, outside of the handler: the UnicodeEncodeError quotes what it could not encode.
        pass
    raise TokenError("credentials", "the client id, the secret or a field of extra_params is not text in UTF-8")


def _make_request(auth: Auth, client_id: str, secret: str) -> Call:
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    # Ours come last and win: no field may be there twice (RFC 6749 §3.2).
    form = {name: value.reveal() for name, value in auth.extra_params.items()}
    form["grant_type"] = "client_credentials"
    if auth.scopes:
        form["scope"] = " ".join(auth.scopes)
    if auth.method == "post":
        form["client_id"] = client_id
        form["client_secret"] = secret
    elif auth.method == "basic":
        # RFC 6749 §2.3.1: each is form-encoded before they are joined, a space to "+".
        headers["Authorization"] = _basic(f"{quote_plus(client_id)}:{quote_plus(secret)}")
    elif ":" in client_id:
        raise TokenError("credentials", "a client id with a colon cannot be sent with the method basic_raw")
    else:
        headers["Authorization"] = _basic(f"{client_id}:{secret}")
    return Call(Secret(headers), Secret(urlencode(form).encode("ascii")))


def _basic(pair: str) -> str:
    return "Basic " + b64encode(pair.encode()).decode("ascii")


def read_answer(answer: Answer, auth: Auth, secret: Value, *, sent: float, now: float) -> Grant:
    """What an answer means: by its status first, because anything may answer in an endpoint's place.

    `sent` and `now` are Unix time: when the call was made, and when it was answered. Raises TokenError.
    """
    retry_after = parse_retry_after(answer.retry_after, now)
    status = answer.status
    if status == 200:
        return _read_grant(answer, auth, secret, sent)
    if status == 429:
        raise TokenError("throttled", "the token endpoint asks for fewer calls (429)", retry_after=retry_after)
    if 500 <= status <= 599:
        raise TokenError("server_error", f"the token endpoint failed with status {status}", retry_after=retry_after)
    if status in (400, 401):
        reason, detail = _read_error(answer, auth, secret)
        raise TokenError(reason, detail, retry_after=retry_after)
    hint = {
        403: ": a firewall or a proxy may have answered in its place",
        404: ": token_url may be wrong",
        405: ": token_url may be wrong",
        407: ": a proxy answered in its place",
    }.get(status, "")
    if 300 <= status <= 399:
        hint = " and points elsewhere, which is not followed: token_url must be the endpoint's own address"
    raise TokenError("malformed_response", f"the token endpoint answers {status}{hint}", retry_after=retry_after)


def _read_error(answer: Answer, auth: Auth, secret: Value) -> tuple[Reason, str]:
    """The reason and the words for a 400 or 401. A code that RFC 6749 does not know is no OAuth error to us."""
    fields = _json_object(answer.body)
    code = None if fields is None else fields.get("error")
    if isinstance(code, str) and code in _ERRORS:
        return _ERRORS[code]
    named = f" with the error {code}, which RFC 6749 does not name" if _quotable(code, auth, secret) else ""
    return "malformed_response", f"the token endpoint answers {answer.status}{named or ' without an OAuth error'}"


def _read_grant(answer: Answer, auth: Auth, secret: Value, sent: float) -> Grant:
    """The token of a 200, checked before anybody uses it."""
    fields = _json_object(answer.body)
    if fields is None:
        problem = "is too large or cannot be unpacked" if answer.body is None else "is not a JSON object"
        raise TokenError("malformed_response", f"the token endpoint's answer {problem}")
    text, kind, granted = fields.get("access_token"), fields.get("token_type"), fields.get("scope")
    if not isinstance(text, str) or not text:
        code = fields.get("error")
        named = f" but the error {code}" if _quotable(code, auth, secret) else ""
        raise TokenError("malformed_response", f"the token endpoint's answer has no access_token{named}")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError("malformed_response", "the token endpoint's answer has no token_type Bearer")
    if len(text) > LONGEST_TOKEN:
        raise TokenError("malformed_response", "the token is longer than 16 KiB")
    if not may_be_sent(text):
        raise TokenError("malformed_response", "the token holds characters that no header field may carry")
    scopes = auth.scopes
    # Scopes are shown in /status: an endpoint that puts a credential there is not believed.
    if is_scopes(granted) and not _tells(granted, text, auth, secret):
        scopes = tuple(granted.split(" "))
    return Grant(Secret(text), token_life(fields.get("expires_in"), jwt_life(text, sent)), scopes)


def may_be_sent(token: str) -> bool:
    """Whether a header field may carry it, as it is."""
    return len(token) <= LONGEST_TOKEN and _TOKEN.fullmatch(token) is not None


def is_scopes(granted: object) -> TypeGuard[str]:
    return isinstance(granted, str) and len(granted) <= _LONGEST_SCOPES and _SCOPES.fullmatch(granted) is not None


def _tells(scopes: str, token: str, auth: Auth, secret: Value) -> bool:
    """True for scopes that hold a credential in a form in which it travels, or a piece of one."""
    client_id, plain = auth.client_id.reveal(), secret.reveal()
    pairs = (f"{client_id}:{plain}", f"{quote_plus(client_id)}:{quote_plus(plain)}")
    hidden = (token, plain, quote_plus(plain), *(_basic(pair).removeprefix("Basic ") for pair in pairs))
    pieces = [scope for scope in scopes.split(" ") if len(scope) >= _LEAST_PIECE]
    return any(one in scopes or any(piece in one for piece in pieces) for one in hidden)


def _json_object(body: Secret[bytes] | None) -> dict[str, object] | None:
    try:
        fields = json.loads(b"" if body is None else body.reveal())
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _quotable(code: object, auth: Auth, secret: Value) -> bool:
    """True for an error code that may be shown: a plain word that holds no part of what we sent."""
    if not isinstance(code, str) or not _WORD.fullmatch(code):
        return False
    return not any(code in text or text in code for text in (secret.reveal(), auth.client_id.reveal()) if text)
