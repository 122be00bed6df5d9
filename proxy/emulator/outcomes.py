"""What a call gets when a fault was ordered for it: a pure choice, carried out by `app` and `effects`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.emulator import oauth
from proxy.emulator.answers import Answer, Fields, Random
from proxy.emulator.faults import AnyFault, BrokenJson, Custom, Cut, Delay, Drop, Empty, Error, Html, Status

_JSON: Final = "application/json;charset=UTF-8"
_HTML: Final = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>\n"
_BROKEN: Final = b'{"access_token":"eyJ'


class Voice(NamedTuple):
    """How an endpoint speaks."""

    proper: Callable[[], Answer]
    """What it says when nothing is wrong with it. Called at most once: it may issue a token."""
    failed: Callable[[Status], Answer]
    """An error status, in its own words."""
    raw: Callable[[int, bytes, str], Answer]
    """A status, a body and its content type, under the header fields that all its answers have."""


class Planned(NamedTuple):
    """`answer`, unless the connection is `dropped`; only half of it where `halved`."""

    answer: Answer
    dropped: bool = False
    halved: bool = False


def plan(fault: AnyFault | None, voice: Voice, random: Random) -> Planned:
    """What becomes of a call. A delay is over when this is called: a late token is as old as it looks."""
    match fault:
        case None:
            return Planned(voice.proper())
        case Delay():
            return Planned(_named(voice.proper(), fault))
        case Cut():
            return Planned(_named(voice.proper(), fault), halved=True)
        case Drop():
            return Planned(_named(voice.raw(500, b"", _JSON), fault), dropped=True)
        case _:
            return Planned(_named(_instead(fault, voice, random), fault))


def _instead(fault: Error | Status | Empty | BrokenJson | Html | Custom, voice: Voice, random: Random) -> Answer:
    """An answer in place of the proper one."""
    match fault:
        case Error():
            return oauth.refused(fault.error, random)
        case Status():
            return _with(voice.failed(fault), () if fault.retry_after is None else _retry_after(fault.retry_after))
        case Empty():
            return voice.raw(200, b"", _JSON)
        case BrokenJson():
            return voice.raw(200, _BROKEN, _JSON)
        case Html():
            return voice.raw(200, _HTML, "text/html;charset=UTF-8")
        case Custom():
            return _with(voice.raw(fault.status, fault.body.encode(), _JSON), tuple(fault.headers.items()))


def _retry_after(value: int | str) -> Fields:
    return (("Retry-After", str(value)),)


def _with(answer: Answer, fields: Fields) -> Answer:
    """`fields` added, in the place of any that have the same names."""
    names = {name.lower() for name, _ in fields}
    return answer._replace(fields=(*(field for field in answer.fields if field[0].lower() not in names), *fields))


def _named(answer: Answer, fault: AnyFault) -> Answer:
    return answer._replace(outcome=f"fault:{fault.__struct_config__.tag}")
