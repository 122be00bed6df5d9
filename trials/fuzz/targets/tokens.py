"""A token endpoint's answer: a token that is good to use, or a TokenError, whatever came.

Input: `STATUS`, a line end, the values of Retry-After and Date with a `|` between them, a line end, the body.

Oracle: nothing but a TokenError is ever raised. A grant comes of a 200 alone whose JSON, read again, has that very
token and the type Bearer; the token is visible ASCII and at most 16 KiB, its life is between a second and a year and
not longer than `expires_in` says. An error has a known reason, one line of words, and a pause of at most five minutes
after it. Neither holds the token, the secret or the client's id, and nor do their reprs.
"""

from __future__ import annotations

import json
import re
from typing import Final

from proxy.config.model import Value
from proxy.errors import REASONS, TokenError
from proxy.secret import Secret
from proxy.tokens.backoff import PAUSES, Backoff
from proxy.tokens.endpoint import Answer, Grant, read_answer
from proxy.tokens.life import jwt_life
from tests.forward.make import SETTINGS

SECRET: Final = "hush4secret"
_AUTH: Final = SETTINGS.auth
_WALL: Final = 1_800_000_000.0
_LONGEST_PAUSE: Final = 300.0


def check(data: bytes) -> None:
    answer = _answer(data)
    try:
        grant = read_answer(answer, _AUTH, Value(SECRET), sent=_WALL, now=_WALL + 0.1)
    except TokenError as error:
        _judge_error(answer, error)
    else:
        _judge_grant(answer, grant)


def _answer(data: bytes) -> Answer:
    status, _, rest = data.partition(b"\n")
    fields, _, body = rest.partition(b"\n")
    retry_after, _, date = fields.decode("latin-1").partition("|")
    number = int(status) if re.fullmatch(rb"[1-9][0-9]{2}", status) else 200
    return Answer(number, Secret(body), retry_after or None, date or None)


def _judge_error(answer: Answer, error: TokenError) -> None:
    assert error.reason in REASONS
    assert re.fullmatch(r"[ -~]{10,300}", error.detail), "not one line of words"
    told = f"{error} {error!r} {answer._replace(retry_after=None, date=None)!r}"
    assert SECRET not in told, "the secret is in an error"
    token = _fields(answer).get("access_token")
    if isinstance(token, str) and len(token) > 12:
        assert token not in told, "the token is in an error"
    for failures in (1, 2, 40):
        backoff = Backoff().after(error.reason)._replace(failures=failures)
        pause = backoff.pause(0.5, error.retry_after)
        assert PAUSES[backoff.kind][0] / 2 <= pause <= _LONGEST_PAUSE, "it would be asked too soon, or not again"


def _judge_grant(answer: Answer, grant: Grant) -> None:
    fields, text = _fields(answer), grant.token.reveal()
    assert answer.status == 200
    assert fields["access_token"] == text
    assert str(fields["token_type"]).lower() == "bearer"
    assert re.fullmatch(r"[!-~]+", text)
    assert len(text) <= 16 * 1024
    assert 1.0 <= grant.life <= 366 * 86400.0
    given = fields.get("expires_in")
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        assert grant.life <= max(given, 1), "it would be used after its end"
    claimed = jwt_life(text, _WALL)
    assert claimed is None or grant.life <= max(claimed, 1.0)
    for scope in grant.scopes:
        assert re.fullmatch(r"[!#-\[\]-~]+", scope)
        assert SECRET not in scope, "the secret would be shown as a scope"
        assert text not in scope, "the token would be shown as a scope"
    assert text not in repr(grant) or len(text) < 12


def _fields(answer: Answer) -> dict[str, object]:
    try:
        fields = json.loads(b"" if answer.body is None else answer.body.reveal())
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
