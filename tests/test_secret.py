"""Secrets are redacted by their types: whatever holds one shows none of it, in whichever way it is shown."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from proxy import log
from proxy.config.egress import parse_proxy, parse_setting
from proxy.config.model import Auth, Egress, Headers, RequireHeader, Url, Value
from proxy.emulator.answers import Answer as EmulatorAnswer
from proxy.emulator.client import AppClient
from proxy.emulator.oauth import Asked
from proxy.emulator.settings import Client, Settings, Stack
from proxy.forward.admission import admit
from proxy.forward.fields import make_rules
from proxy.forward.guard import make_guard
from proxy.forward.http1 import parse_request_head, parse_response_head
from proxy.forward.routes import Routes
from proxy.forward.target import split_target
from proxy.secret import Secret, Secrets
from proxy.tokens import identity
from proxy.tokens.credentials import Credentials
from proxy.tokens.endpoint import Answer, Grant, make_request
from proxy.tokens.interface import AccessToken, Recovery
from tests.config.files import load_data
from tests.config.files import upstream as upstream_data
from tests.forward.make import raw, settings, upstream
from tests.tokens.helpers import make_auth

CANARY = "c4n4ry-in-the-c0al-mine"
BASIC = b64encode(f"user:{CANARY}".encode()).decode()
SIGHTINGS = (CANARY, BASIC, b64encode(f"client:{CANARY}".encode()).decode())


def shown(thing: Any) -> str:
    """Everything by which a thing, or what holds it, is put in words or in bytes to be kept."""

    @dataclass
    class Holder:
        thing: Any

    class Pair(NamedTuple):
        thing: Any

    class Mapping(msgspec.Struct):
        thing: Any

    holders = [thing, [thing], (thing,), {"key": thing}, Holder(thing), Pair(thing), Mapping(thing), copy.copy(thing)]
    texts = [f"{holder!r} {holder!s} {holder} {holder:}" + f"{Pair(holder)!r} {[holder]}" for holder in holders]
    try:
        raise ValueError
    except ValueError as error:
        texts += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    with suppress(TypeError, AttributeError, pickle.PicklingError):
        texts.append(pickle.dumps(thing).decode(errors="replace"))
    return "\n".join(texts)


def test_a_plain_one_would_be_seen() -> None:
    """So that the tests below can fail."""

    @dataclass
    class Careless:
        key: str

    for plain in (CANARY, CANARY.encode(), (CANARY,), Careless(CANARY)):
        assert CANARY in shown(plain)


@pytest.mark.parametrize("secret", [Secret(CANARY), Secret(CANARY.encode()), Secret({"a": CANARY}), Secrets((CANARY,))])
def test_a_secret_shows_nothing(secret: Any) -> None:
    assert CANARY not in shown(secret)
    assert repr(secret) in ("<Secret>", "<Secrets>")


def test_it_is_itself_when_copied_and_is_not_pickled() -> None:
    for secret in (Secret(CANARY), Secrets((CANARY,))):
        assert copy.copy(secret) is secret
        assert copy.deepcopy([secret])[0] is secret
        for dump in (pickle.dumps, json.dumps, msgspec.json.encode):
            with pytest.raises(TypeError):
                dump(secret)


def test_it_can_be_compared_and_be_a_key() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert {Secret("a"): 1}[Secret("a")] == 1
    assert Secret("a") != "a"
    assert Value("a", "env A") == Value("a"), "where it came from is no part of it"
    several = Secrets(("a", "b"))
    assert several == Secrets(["a", "b"]) != Secrets(("a",))
    assert (several[0], several[:1], len(several), list(several)) == ("a", Secrets(("a",)), 2, ["a", "b"])
    assert {several: 1}[several] == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_line_shows_nothing(form: log.Format, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(form)
    try:
        log.logger("test").info("event", token=Secret(CANARY), value=Value(CANARY), several=[Secret(CANARY.encode())])
    finally:
        log.configure()
    err = capsys.readouterr().err
    assert "event" in err
    assert CANARY not in err


# ---------------------------------------------------------------------------- everything that holds a secret, by name

AUTH = make_auth(client_id=Value("client"), client_secret=(Value(CANARY),), extra_params={"assertion": Value(CANARY)})
KEY = RequireHeader("X-Key", Value(CANARY))
HEAD = parse_request_head(
    raw(
        f"POST /a?key={CANARY} HTTP/1.1",
        *("Host: localhost", f"Authorization: Basic {BASIC}", f"Cookie: s={CANARY}", f"X-Key: {CANARY}", "X-Key: 2"),
    )
)
FORWARDING = settings(auth=AUTH, headers=Headers(set={"X-Api-Key": Value(CANARY)}))


def _serving() -> Any:
    orders = upstream(auth=AUTH, headers=FORWARDING.headers)
    orders.head_end(AccessToken(CANARY, 1))
    return orders


def _requests(method: str) -> Any:
    return make_request(msgspec.structs.replace(AUTH, method=method), AUTH.client_secret[0])


def _admission() -> Any:
    head = parse_request_head(raw("GET / HTTP/1.1", "Host: localhost", f"Cookie: s={CANARY}"))
    return admit(head, make_guard(FORWARDING.listen, False, None), Routes([_serving()]), draining=False)


HOLDERS: dict[str, Callable[[], Any]] = {
    "a value": lambda: Value(CANARY, "env KEY"),
    "auth": lambda: AUTH,
    "an upstream's settings": lambda: FORWARDING,
    "the key that callers show": lambda: KEY,
    "an egress proxy": lambda: parse_proxy(f"http://user:{CANARY}@proxy.test:3128", "literal"),
    "egress": lambda: parse_setting(Value(f"http://user:{CANARY}@proxy.test:3128")),
    "egress of an upstream": lambda: Egress(parse_proxy(f"http://user:{CANARY}@proxy.test:3128", "literal")),
    "a client's identity": lambda: identity(AUTH),
    "credentials": lambda: Credentials((Value(CANARY), Value("other"))),
    "a call by basic": lambda: _requests("basic"),
    "a call by basic_raw": lambda: _requests("basic_raw"),
    "a call by post": lambda: _requests("post"),
    "an answer of the token endpoint": lambda: Answer(200, Secret(CANARY.encode())),
    "a grant": lambda: Grant(Secret(CANARY), 3600.0, ("a",)),
    "a token": lambda: AccessToken(CANARY, 1),
    "a recovery": lambda: Recovery("renewed", AccessToken(CANARY, 1)),
    "a guard": lambda: make_guard(FORWARDING.listen, False, KEY),
    "request rules": lambda: make_rules(FORWARDING, b"x-key"),
    "an upstream with its token": _serving,
    "a request's head": lambda: HEAD,
    "its target": lambda: split_target(HEAD.target, HEAD.method),
    "a response's head": lambda: parse_response_head(raw("HTTP/1.1 200 OK", f"Set-Cookie: s={CANARY}")),
    "an admission": _admission,
    "the emulator's settings": lambda: Settings(client_secrets=(CANARY, "other")),
    "a template's secrets": lambda: Stack(secrets=(("a", CANARY),)),
    "the emulator's client": lambda: Client(id="c", secrets=(CANARY,), scopes=("a",)),
    "the emulator's app client": lambda: AppClient("c", (CANARY,), now=1.0),
    "its live secrets": lambda: AppClient("c", (CANARY,), now=1.0).secrets[0],
    "what the emulator was asked": lambda: Asked("POST", "text/plain", f"Basic {BASIC}", CANARY.encode()),
    "what the emulator answers": lambda: EmulatorAnswer(200, (("X", CANARY),), CANARY.encode(), "success"),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_nothing_that_holds_a_secret_shows_it(name: str) -> None:
    found = shown(HOLDERS[name]())
    assert [sighting for sighting in SIGHTINGS if sighting in found] == []


def test_a_loaded_configuration_shows_none_of_its_secrets(tmp_path: Path) -> None:
    environ = {"CLIENT_ID": "client", "CLIENT_SECRET": CANARY}
    (tmp_path / "key").write_text(CANARY)
    data = {
        "upstreams": {
            "orders": upstream_data(
                headers={"set": {"X-Api-Key": {"file": "key"}}},
                egress_proxy=f"http://user:{CANARY}@proxy.test:3128",
                auth__extra_params={"assertion": {"env": "CLIENT_SECRET"}, "plain": CANARY},
            )
        },
        "require_header": {"name": "X-Key", "value": CANARY},
    }
    loaded = load_data(tmp_path, data, environ)
    assert loaded.config.upstreams["orders"].auth.extra_params["assertion"].reveal() == CANARY
    found = shown(loaded) + shown(msgspec.structs.asdict(loaded.config)) + shown(copy.deepcopy(loaded.config))
    assert [sighting for sighting in SIGHTINGS if sighting in found] == []


def test_a_dataclass_that_holds_one_may_be_taken_apart() -> None:
    @dataclass
    class Holder:
        token: AccessToken

    assert CANARY not in repr(asdict(Holder(AccessToken(CANARY, 1))))


def test_what_needs_it_gets_it() -> None:
    assert (Value(CANARY).reveal(), AccessToken(CANARY, 1).reveal()) == (CANARY, CANARY)
    url = Url("https", "login.test", 443, "/")
    auth = Auth(token_url=url, client_id=Value("client"), client_secret=(Value(CANARY),))
    call = make_request(auth, auth.client_secret[0])
    assert call.headers.reveal()["Authorization"] == f"Basic {SIGHTINGS[2]}"
