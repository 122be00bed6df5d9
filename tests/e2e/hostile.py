"""A token endpoint and an upstream that do their worst with the credentials that they are sent. Raw bytes."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

GIVEN = "given.0123456789abcdef.fedcba9876543210"
"""The token that the hostile endpoint gives, where it gives one."""


class Call(NamedTuple):
    """What the hostile side was sent."""

    path: str
    credential: str
    """What stands after Basic or Bearer."""

    @property
    def secret(self) -> str:
        """The client's, out of Basic."""
        return unquote_plus(b64decode(self.credential).decode().partition(":")[2])


Speaks = Callable[[Call], bytes]


def message(status: str, body: str = "", *fields: str) -> bytes:
    """A response, its body closed by its length."""
    content = body.encode()
    head = "\r\n".join((f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(content)}", "", ""))
    return head.encode() + content


def _json(status: str, **fields: Any) -> bytes:
    return message(status, json.dumps(fields), "Content-Type: application/json")


def _grant(**fields: Any) -> bytes:
    return _json("200 OK", **{"access_token": GIVEN, "token_type": "Bearer", "expires_in": 3600, **fields})


ENDPOINT: Mapping[str, Speaks] = {
    "description": lambda c: _json("400 Bad", error="invalid_client", error_description=f"{c.secret} {c.credential}"),
    "code": lambda c: _json("400 Bad", error=c.secret),
    "code-half": lambda c: _json("401 No", error=c.secret[: len(c.secret) // 2]),
    "code-basic": lambda c: _json("400 Bad", error=c.credential),
    "code-200": lambda c: _json("200 OK", error=c.secret, error_uri=f"http://x/{c.credential}"),
    "phrase": lambda c: message(f"400 {c.secret} {c.credential}"),
    "challenge": lambda c: message("401 No", "", f'WWW-Authenticate: Basic realm="{c.secret}"'),
    "redirect": lambda c: message("302 Found", "", f"Location: http://127.0.0.1:1/?{c.credential}={c.secret}"),
    "retry-after": lambda c: message("503 Later", c.secret, f"Retry-After: {c.secret}"),
    "forbidden": lambda c: message("403 No", f"{c.secret} {c.credential}"),
    "page": lambda c: message("200 OK", f"<html>{c.secret} {c.credential} {GIVEN}", "Content-Type: text/html"),
    "no-type": lambda c: _json("200 OK", access_token=GIVEN),
    "odd-type": lambda c: _grant(token_type=GIVEN),
    "token-with-a-space": lambda c: _grant(access_token=f"{GIVEN} {c.secret}"),
    "token-with-a-line": lambda c: _grant(access_token=f"{GIVEN}\r\nX-Secret: {c.secret}"),
    "token-too-long": lambda c: _grant(access_token=GIVEN * 1000),
    "token-in-a-list": lambda c: _grant(access_token=[GIVEN, c.secret]),
    "answer-too-long": lambda c: _grant(padding=GIVEN * 100_000),
    "not-json": lambda c: message("200 OK", f'{{"access_token": "{GIVEN}", "secret": {c.secret!r}'),
    "not-gzip": lambda c: message("200 OK", f"{GIVEN} {c.secret}", "Content-Encoding: gzip"),
    "cut": lambda c: _grant()[:-20],
    "not-http": lambda c: f"{c.secret} {GIVEN}\r\n\r\n".encode(),
    "bad-status": lambda c: f"HTTP/1.1 {c.secret} {GIVEN}\r\n\r\n".encode(),
    "bad-field": lambda c: message("200 OK", "", f"no field: at all {c.secret}", f"{c.credential}"),
    "bad-length": lambda c: f"HTTP/1.1 200 OK\r\nContent-Length: {c.secret}\r\n\r\n".encode(),
    "bad-chunk": lambda c: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{c.secret}\r\n{GIVEN}".encode(),
    "head-too-long": lambda c: message("200 OK", "", f"X: {c.secret * 2000}"),
    "hangs-up": lambda c: b"",
    # These give a token, and say too much beside it.
    "scope-secret": lambda c: _grant(scope=c.secret.replace(" ", "").replace('"', "")),
    "scope-basic": lambda c: _grant(scope=f"openid {c.credential}"),
    "scope-token": lambda c: _grant(scope=f"openid {GIVEN}"),
    "life": lambda c: _grant(expires_in=c.secret),
    "more": lambda c: _grant(refresh_token=GIVEN, id_token=GIVEN, client_secret=c.secret),
    "cookie": lambda c: message(
        "200 OK", _grant().decode().partition("\r\n\r\n")[2], f"Set-Cookie: token={GIVEN}", "Content-Type: text/json"
    ),
}
"""By the first segment of its path."""

UPSTREAM: Mapping[str, Speaks] = {
    "phrase-bad": lambda c: f"HTTP/1.1 2x0 {c.credential}\r\n\r\n".encode(),
    "not-http": lambda c: f"{c.credential}\r\n\r\n".encode(),
    "bad-field": lambda c: f"HTTP/1.1 200 OK\r\nno field {c.credential}\r\n\r\n".encode(),
    "folded": lambda c: f"HTTP/1.1 200 OK\r\nX: a\r\n {c.credential}\r\n\r\n".encode(),
    "lengths": lambda c: message("200 OK", "", f"Content-Length: {c.credential}"),
    "coding": lambda c: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {c.credential}\r\n\r\n".encode(),
    "head-too-long": lambda c: message("200 OK", "", *[f"X: {c.credential}"] * 400, "X: " + "x" * 66_000),
    "switch": lambda c: f"HTTP/1.1 101 {c.credential}\r\nUpgrade: {c.credential}\r\n\r\n".encode(),
    "hangs-up": lambda c: b"",
}
"""What it answers that the sidecar does not pass on: every one of them ends in the sidecar's own words."""

ECHOES: Mapping[str, Speaks] = {
    "body": lambda c: message("200 OK", c.credential),
    "phrase": lambda c: message(f"200 {c.credential}"),
    "field": lambda c: message("200 OK", "", f"X-Echo: {c.credential}"),
    "cookie": lambda c: message("200 OK", "", f"Set-Cookie: token={c.credential}"),
    "location": lambda c: message("302 Found", "", f"Location: /next?token={c.credential}"),
    "refusal": lambda c: message("401 Unauthorized", "", f'WWW-Authenticate: Bearer realm="{c.credential}"'),
    "early-hint": lambda c: f"HTTP/1.1 103 Early Hints\r\nLink: </{c.credential}>\r\n\r\n".encode() + message("200 OK"),
    "cut-chunk": lambda c: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n{c.credential}\r\n".encode()
    ),
}
"""What it answers that goes on as it came: it may tell its own callers what it was sent, and it has it anyway."""


class Hostile:
    """One raw server: `say` of the first segment of each request's path. `calls` has all that came."""

    def __init__(self, say: Mapping[str, Speaks]) -> None:
        self.calls: list[Call] = []
        self.port = 0
        self._say = say

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
            await reader.readexactly(int(fields.get("Content-Length", 0)))
            call = Call(head.split(" ")[1], fields.get("Authorization", " ").split(" ")[-1])
            self.calls.append(call)
            writer.write(self._say[call.path.split("/")[1].partition("?")[0]](call))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def hostile(say: Mapping[str, Speaks]) -> AsyncIterator[Hostile]:
    """On a free port of loopback; each connection has one request."""
    server = Hostile(say)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
