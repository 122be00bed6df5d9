"""The emulator's own endpoints under `/_emulator/`: faults, rotations, revocation, and what was asked so far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from proxy.emulator import outputs
from proxy.emulator.answers import Answer, page
from proxy.emulator.client import AppClient, LimitExceeded
from proxy.emulator.faults import PlanError, parse
from proxy.emulator.keys import make_pair
from proxy.emulator.state import State

PREFIX: Final = "/_emulator/"

_FLAGS: Final = {"true": True, "1": True, "": True, "false": False, "0": False}


class _BadRequest(Exception):
    """The text says what was wrong with the request."""


async def handle(state: State, method: str, name: str, query: Mapping[str, str], body: bytes) -> Answer:
    """Answer `method` on `/_emulator/{name}`."""
    actions = _ACTIONS.get(name)
    if actions is None:
        known = ", ".join(PREFIX + known for known in _ACTIONS)
        return _problem(404, "not_found", f"the emulator's own endpoints are {known}")
    action = actions.get(method)
    if action is None:
        allowed = ", ".join(actions)
        return _problem(405, "method_not_allowed", f"{PREFIX}{name} takes {allowed}", (("Allow", allowed),))
    try:
        return await action(state, query, body)
    except _BadRequest as error:
        return _problem(400, "invalid_request", str(error))
    except PlanError as error:
        return _problem(400, "invalid_faults", str(error))
    except LimitExceeded as error:
        return _problem(400, "limit_exceeded", str(error))


def _problem(status: int, error: str, problem: str, fields: tuple[tuple[str, str], ...] = ()) -> Answer:
    return page(status, {"error": error, "problem": problem}, fields=fields)


def _flag(query: Mapping[str, str], name: str, *others: str) -> bool:
    if unknown := set(query) - {name, *others}:
        takes = " and ".join([f"{name}=true", *others])
        raise _BadRequest(f"unknown parameter {', '.join(sorted(unknown))}; this endpoint takes {takes}")
    value = query.get(name, "false").lower()
    if value not in _FLAGS:
        raise _BadRequest(f"{name}: expected true or false")
    return _FLAGS[value]


async def _show_faults(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    return page(200, state.faults.show())


async def _put_faults(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    state.faults.replace(parse(body))
    return page(200, state.faults.show())


async def _clear_faults(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    state.faults.replace(parse({}))
    return page(200, state.faults.show())


async def _show_calls(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    return page(200, state.calls.show())


async def _reset_calls(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    state.calls.reset()
    return page(200, state.calls.show())


async def _rotate_keys(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    return page(200, await rotate_keys(state, keep_old=_flag(query, "keep_old")))


async def rotate_keys(state: State, *, keep_old: bool) -> dict[str, Any]:
    """New signing keys, made on a thread because that takes a while. Tokens of keys not kept are refused."""
    pair = await asyncio.to_thread(make_pair, state.make_key)
    state.keys.rotate(pair, keep_old=keep_old)
    state.desk.keys_changed()
    return {"kids": state.keys.kids, "signing_kid": pair.access_tokens.kid}


def _client(state: State, query: Mapping[str, str]) -> AppClient:
    """The app client that `client_id` names, else the first."""
    name = query.get("client_id", state.client.id)
    if name not in state.clients:
        raise _BadRequest(f"client_id: there is {', '.join(state.clients)}")
    return state.clients[name]


async def _rotate_secret(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    revoke_old, client = _flag(query, "revoke_old", "client_id"), _client(state, query)
    secret = client.add(state.random, now=state.now(), revoke_old=revoke_old)
    return page(
        200,
        {
            "client_id": client.id,
            "client_secret_id": secret.id,
            "client_secret": secret.value.reveal(),
            "live": [live.id for live in client.secrets],
        },
    )


async def _revoke_secret(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    client = _client(state, query)
    revoked = client.revoke_oldest()
    return page(200, {"revoked": revoked.id, "live": [live.id for live in client.secrets]})


async def _revoke_tokens(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    return page(200, {"revoked": state.desk.revoke_all()})


async def _show_stack(state: State, query: Mapping[str, str], body: bytes) -> Answer:
    return page(200, outputs.stacks(state.settings, state.places))


_Action = Callable[[State, Mapping[str, str], bytes], Awaitable[Answer]]

_ACTIONS: Final[dict[str, dict[str, _Action]]] = {
    "faults": {"GET": _show_faults, "PUT": _put_faults, "DELETE": _clear_faults},
    "calls": {"GET": _show_calls, "DELETE": _reset_calls},
    "rotate-keys": {"POST": _rotate_keys},
    "rotate-secret": {"POST": _rotate_secret},
    "revoke-secret": {"POST": _revoke_secret},
    "revoke-tokens": {"POST": _revoke_tokens},
    "stack": {"GET": _show_stack},
}

NAMES: Final = tuple(_ACTIONS)
"""The last segments of the control endpoints' paths."""
