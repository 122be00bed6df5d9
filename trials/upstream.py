"""The upstream of a trial, as a process: `python -m trials.upstream '{"port": 8000, "keys": FILE, "records": FILE}'`.

It answers as `trials.asks` says, lets in only who brings a token that a key in `keys` has signed (left out: anyone),
and writes what it saw to `records` (left out: nothing): a JSON line for each arrival, each body and each answer, at
once, so that nothing is missing when it is killed. No token is written down, only who issued it and until when.

`keys` is `{"keys": [JWK, …], "live": [KID, …]}` and may be replaced at any time; a token of a key that is not live is
refused, as after a rotation. Prints `ready` when it listens.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

import jwt

from trials.asks import ID_FIELD, Ask, answer_body, event, read_target, request_body

BODY_FIELD: Final = "X-Ask-Body"
"""How many bytes the request's body has, whatever frames it."""
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LOOKS: Final = 10
_BETWEEN_LOOKS: Final = 0.05
_PIECE: Final = 16 * 1024
_ZEROS: Final = bytes(4 * _PIECE)

Record = Callable[[str, dict[str, Any]], None]


class Head(NamedTuple):
    """A request's head. The sidecar is the only caller, so what it would never write is not looked for."""

    method: str
    target: str
    fields: dict[str, list[str]]

    def first(self, name: str) -> str:
        return self.fields.get(name.lower(), [""])[0]


def read_head(data: bytes) -> Head:
    first, *lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.lower(), []).append(value.strip())
    return Head(method, target, fields)


class Doorman:
    """Who is let in: verdicts about tokens, by the keys in a file, or about their form alone where there is none."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._written = -1
        self._keys: dict[str, jwt.PyJWK] = {}
        self._live: set[str] = set()
        self._examined: dict[str, dict[str, Any]] = {}
        """By token, what does not change about it."""

    def verdict(self, credentials: list[str]) -> dict[str, Any]:
        """`verdict` is `valid` or says what is wrong; of a token that can be read also `kid`, `exp` and `jti`."""
        scheme, _, token = credentials[0].partition(" ") if credentials else ("", "", "")
        if len(credentials) != 1 or scheme != "Bearer" or not token:
            return {"verdict": f"no token: {len(credentials)} credentials" if len(credentials) != 1 else "no token"}
        if self._path is not None:
            self._look_at_keys(self._path)
        told = self._examined.get(token) or self._examine(token)
        if told["verdict"] == "signed":
            self._examined[token] = told
            if self._path is not None and told["kid"] not in self._live:
                return {**told, "verdict": "revoked key"}
            return {**told, "verdict": "valid" if told["exp"] > time.time() else "expired"}
        return told

    def _examine(self, token: str) -> dict[str, Any]:
        try:
            told = {"kid": jwt.get_unverified_header(token).get("kid")}
            claims = jwt.decode(token, options={"verify_signature": False})
            told |= {"exp": claims["exp"], "jti": claims.get("jti")}
            if self._path is not None:
                if told["kid"] not in self._keys:
                    return told | {"verdict": "unknown key"}
                key = self._keys[told["kid"]]
                jwt.decode(token, key, algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False})
        except (jwt.PyJWTError, KeyError) as error:
            return {"verdict": f"forged: {type(error).__name__}"}
        return told | {"verdict": "signed"}

    def _look_at_keys(self, path: str) -> None:
        written = os.stat(path).st_mtime_ns
        if written != self._written:
            with open(path, encoding="utf-8") as file:
                told = json.load(file)
            self._written = written
            self._keys = {key["kid"]: jwt.PyJWK(key) for key in told["keys"]}
            self._live = set(told["live"])


class Upstream:
    """Accepts connections and answers what is asked on them."""

    def __init__(self, doorman: Doorman, record: Record) -> None:
        self._doorman = doorman
        self._record = record
        self._numbers = itertools.count(1)
        self._refused_once: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        number = next(self._numbers)
        try:
            for nth in itertools.count(1):
                head = read_head(await reader.readuntil(b"\r\n\r\n"))
                if not await self._request(head, reader, writer, {"connection": number, "nth": nth}):
                    return
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _request(
        self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: dict[str, int]
    ) -> bool:
        """One exchange. Whether another may follow on this connection."""
        ask = read_target(head.target)
        told = await self._verdict(head)
        if ask is None:
            await _drain(_body(head, reader))
            status, body = ("200 OK", b"ok") if told["verdict"] == "valid" else ("401 Unauthorized", b"no")
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n%b" % (status.encode(), body))
            return True
        ask = ask._replace(method=head.method, body=int(head.first(BODY_FIELD) or 0))
        self._record("arrival", {"id": ask.id, "method": ask.method, **place, **told})
        if head.first(ID_FIELD) != ask.id:
            self._record("mixed", {"id": ask.id, "other": head.first(ID_FIELD)})
        if ask.kind == "eof":
            return False
        if ask.kind != "early":
            await self._take_body(ask, head, reader)
        refused = told["verdict"] != "valid"
        if ask.kind == "once401" and not refused and ask.id not in self._refused_once:
            self._refused_once.add(ask.id)
            refused = True
        if refused:
            self._record("answer", {"id": ask.id, "status": 401})
            writer.write(_head("401 Unauthorized", ask, ["Content-Length: 0"]))
            if ask.kind == "early":
                await self._take_body(ask, head, reader)
            return True
        if ask.kind == "socket":
            self._record("answer", {"id": ask.id, "status": 101})
            await _echo(ask, head, reader, writer)
            return False
        self._record("answer", {"id": ask.id, "status": 200})
        goes_on = await _answer(ask, writer)
        if ask.kind == "early":
            await self._take_body(ask, head, reader)
        return goes_on

    async def _verdict(self, head: Head) -> dict[str, Any]:
        """What the doorman says. Like a gateway, it looks for the keys anew before it refuses one that is new to it."""
        told = self._doorman.verdict(head.fields.get("authorization", []))
        for _ in range(_LOOKS):
            if told["verdict"] != "unknown key":
                break
            await asyncio.sleep(_BETWEEN_LOOKS)
            told = self._doorman.verdict(head.fields.get("authorization", []))
        return told

    async def _take_body(self, ask: Ask, head: Head, reader: asyncio.StreamReader) -> None:
        """Read the body to its end, and note whether it is the one that belongs to this ask."""
        expected, at, right = request_body(ask), 0, True
        async for piece in _body(head, reader):
            right = right and expected[at : at + len(piece)] == piece
            at += len(piece)
        if ask.body or at:
            self._record("body", {"id": ask.id, "right": right and at == len(expected), "length": at})


async def _body(head: Head, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Piece by piece. A body that ends too early raises IncompleteReadError."""
    if head.first("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return
    left = int(head.first("content-length") or 0)
    while left:
        piece = await reader.read(min(left, 64 * 1024))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        yield piece


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    async for _ in pieces:
        pass


def _head(status: str, ask: Ask, fields: list[str]) -> bytes:
    # The second is the sidecar's own, and must not pass.
    lines = [f"HTTP/1.1 {status}", f"{ID_FIELD}: {ask.id}", "X-Sidecar-Error: forged", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _answer(ask: Ask, writer: asyncio.StreamWriter) -> bool:
    """The answer that was asked for. Whether the connection stays."""
    if ask.kind == "late":
        await asyncio.sleep(ask.seconds)
    if ask.kind == "long":
        await _answer_long(ask, writer)
        return True
    body = answer_body(ask)
    fields = [f"Content-Length: {len(body)}"]
    if ask.kind == "events":
        fields = ["Content-Type: text/event-stream", "Transfer-Encoding: chunked"]
    elif ask.kind == "chunked":
        fields = ["Transfer-Encoding: chunked"]
    elif ask.kind == "close":
        fields.append("Connection: close")
    writer.write(_head("200 OK", ask, fields))
    if ask.method == "HEAD":
        return ask.kind != "close"
    if ask.kind == "cut":
        body = body[: len(body) // 2]
    for piece, pause in _pieces(ask, body):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if ask.kind in ("chunked", "events") else piece)
        await writer.drain()
        if pause:
            await asyncio.sleep(pause)
    if ask.kind in ("chunked", "events"):
        writer.write(b"0\r\n\r\n")
    # Of nothing, a half is the whole.
    return not (ask.kind == "close" or (ask.kind == "cut" and ask.size))


async def _answer_long(ask: Ask, writer: asyncio.StreamWriter) -> None:
    """Zeros, always the same ones; and little of them waits in the system for who does not take them."""
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
    writer.write(_head("200 OK", ask, [f"Content-Length: {ask.size}"]))
    for at in range(0, 0 if ask.method == "HEAD" else ask.size, len(_ZEROS)):
        writer.write(memoryview(_ZEROS)[: ask.size - at])
        await writer.drain()


def _pieces(ask: Ask, body: bytes) -> list[tuple[bytes, float]]:
    """The body in pieces, each with the pause that follows it."""
    if ask.kind == "events":
        return [(event(ask.id, number), ask.seconds / ask.size) for number in range(ask.size)]
    if ask.kind == "slow":
        step = max(1, len(body) // 10)
        return [(body[at : at + step], ask.seconds / 10) for at in range(0, len(body), step)]
    return [(body[at : at + _PIECE], 0.0) for at in range(0, len(body), _PIECE)]


async def _echo(ask: Ask, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak WebSocket as far as the handshake, then give back what comes; frames are the callers' business."""
    digest = hashlib.sha1((head.first("sec-websocket-key") + _GUID).encode(), usedforsecurity=False).digest()
    accept = base64.b64encode(digest).decode()
    writer.write(
        _head(
            "101 Switching Protocols",
            ask,
            ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"],
        )
    )
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()


def recorder(path: str | None) -> Record:
    """Writes each line with one call of the system, so that a kill cannot take it back or cut it in two."""
    if path is None:
        return lambda what, told: None
    descriptor, pid = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), os.getpid()

    def record(what: str, told: dict[str, Any]) -> None:
        line = json.dumps({"what": what, "at": time.time(), "process": pid, **told})
        os.write(descriptor, line.encode() + b"\n")

    return record


async def run(told: dict[str, Any]) -> None:
    upstream = Upstream(Doorman(told.get("keys")), recorder(told.get("records")))
    # Not with a socket of its own: to one that was not made for TCP by name, asyncio leaves Nagle's algorithm on.
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", told["port"], backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
