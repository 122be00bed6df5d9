"""Faults on order: what the next calls get instead of, or on the way to, their proper answer.

The schema is the classes below; docs/emulator.md shows each as JSON. Nothing here waits or touches a socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from proxy.emulator.oauth import OAuthError

Target = Literal["token", "rest", "http", "alb"]
TARGETS: Final[tuple[Target, ...]] = get_args(Target)

_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})

Count = Annotated[int, Meta(ge=1, le=1_000_000)] | Literal["all"]
FieldName = Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
FieldValue = Annotated[str, Meta(pattern=r"^[\t\x20-\x7e]*$")]


class Fault(Struct, frozen=True, forbid_unknown_fields=True, tag_field="fault", kw_only=True):
    """`count`: how many calls get it, or `all` until the faults are changed."""

    count: Count = 1


class Error(Fault, frozen=True, tag="error"):
    """400 with this OAuth error. For the token endpoint alone."""

    error: OAuthError


class Status(Fault, frozen=True, tag="status"):
    """An error status with the body that belongs to it; `retry_after` in seconds or as an HTTP date."""

    status: Annotated[int, Meta(ge=400, le=599)]
    retry_after: Annotated[int, Meta(ge=0)] | FieldValue | None = None
    message: FieldValue | None = None


class Empty(Fault, frozen=True, tag="empty"):
    """200 without a body."""


class BrokenJson(Fault, frozen=True, tag="broken_json"):
    """200 with JSON that ends too early."""


class Html(Fault, frozen=True, tag="html"):
    """200 with a web page, as a wrong domain or a captive portal gives."""


class Custom(Fault, frozen=True, tag="answer"):
    """Any answer at all: a token without a type, a life of zero seconds, a redirect."""

    status: Annotated[int, Meta(ge=200, le=599)] = 200
    headers: dict[FieldName, FieldValue] = {}
    body: str = ""


class Delay(Fault, frozen=True, tag="delay"):
    """The proper answer, so many seconds late."""

    seconds: Annotated[float, Meta(ge=0.0, le=3600.0)]


class Drop(Fault, frozen=True, tag="drop"):
    """The connection is reset before the first byte of an answer."""


class Cut(Fault, frozen=True, tag="cut"):
    """The connection ends half-way through the body of the proper answer."""


GatewayFault = Status | Empty | BrokenJson | Html | Custom | Delay | Drop | Cut
TokenFault = Error | GatewayFault
AnyFault = TokenFault


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /_emulator/faults`: for each target what the next calls get, in order."""

    token: list[TokenFault] = []
    rest: list[GatewayFault] = []
    http: list[GatewayFault] = []
    alb: list[GatewayFault] = []


class PlanError(ValueError):
    """The plan cannot be used. The text says where and why."""


def parse(document: bytes | Mapping[str, Any]) -> Plan:
    """Read a plan from JSON text or from the same as Python values."""
    try:
        if isinstance(document, bytes):
            plan = msgspec.json.decode(document, type=Plan)
        else:
            plan = msgspec.convert(document, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # a ValidationError is a DecodeError
        raise PlanError(str(error)) from None
    for target in TARGETS:
        for place, fault in enumerate(getattr(plan, target)):
            framing = {name for name in getattr(fault, "headers", ()) if name.lower() in _FRAMING}
            if framing:
                names = ", ".join(sorted(framing))
                raise PlanError(f"{names} is for the emulator to set - at `$.{target}[{place}].headers`")
    return plan


class _Pending:
    __slots__ = ("fault", "left")

    def __init__(self, fault: AnyFault) -> None:
        self.fault = fault
        self.left = fault.count


class Queue:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._pending: dict[Target, deque[_Pending]] = {target: deque() for target in TARGETS}

    def replace(self, plan: Plan) -> None:
        """Forget what was pending and take `plan` instead."""
        self._pending = {target: deque(_Pending(fault) for fault in getattr(plan, target)) for target in TARGETS}

    def take(self, target: Target) -> AnyFault | None:
        """The fault of the call that has just arrived, if there is one."""
        queue = self._pending[target]
        if not queue:
            return None
        first = queue[0]
        if first.left != "all":
            first.left -= 1
            if first.left == 0:
                queue.popleft()
        return first.fault

    def show(self) -> dict[str, list[dict[str, Any]]]:
        """What is pending, in the form in which it was ordered, with what is left of each `count`."""
        return {
            target: [msgspec.to_builtins(pending.fault) | {"count": pending.left} for pending in queue]
            for target, queue in self._pending.items()
        }
