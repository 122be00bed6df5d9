"""The Python part of the world around a contender: `python -m bench.upstream CERT KEY`.

The token endpoint, which wants the client's credentials; the peer of long bodies (`bench.streams`); and an HTTPS
upstream of small answers for machines without nginx. Whoever asks an upstream without the token gets 401.
Prints its ports as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from collections.abc import Callable

import uvloop

from bench.site import CLIENT_ID, CLIENT_SECRET, LARGE_BYTES, LISTEN, SMALL, TOKEN, basic
from bench.streams import serve_streams

Answer = Callable[[bytes, bytes], bytes]
"""From a request's head, its first line first, and its body to a whole response."""


def response(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_SMALL = response(SMALL)
_LARGE = response(b"x" * LARGE_BYTES)
_GRANT = response(json.dumps({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}).encode())
_REFUSED = response(b"{}", "401 Unauthorized")
_BASIC = f"\r\nauthorization: {basic()}\r\n".lower().encode()
_FORM = {f"client_id={CLIENT_ID}".encode(), f"client_secret={CLIENT_SECRET}".encode()}
_BEARER = f"\r\nauthorization: bearer {TOKEN}\r\n".lower().encode()


class Requests(asyncio.Protocol):
    """Reads requests with or without a Content-Length, and answers each when it is whole."""

    def __init__(self, answer: Answer, seen: Counter[str] | None = None) -> None:
        self._answer = answer
        if seen is not None:
            seen["connections"] += 1
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while (end := self._seen.find(b"\r\n\r\n") + 4) > 3:
            head = self._seen[: end - 2]
            length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            whole = end + int(length or 0)
            if len(self._seen) < whole:
                return
            body, self._seen = self._seen[end:whole], self._seen[whole:]
            self._transport.write(self._answer(head, body))  # type: ignore[attr-defined]  # uvloop's is not typed


def api(seen: Counter[str]) -> Answer:
    def answer(head: bytes, body: bytes) -> bytes:
        seen["requests"] += 1
        if _BEARER not in head.lower():
            return _REFUSED
        return _LARGE if head.startswith(b"GET /10k ") else _SMALL

    return answer


def token_endpoint(seen: Counter[str]) -> Answer:
    def answer(head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /requests "):
            return response(json.dumps([seen["requests"], seen["connections"]]).encode())
        # Envoy sends its credentials in the body, all others in the header.
        known = _BASIC in head.lower() or set(body.split(b"&")) >= _FORM
        return _GRANT if known else _REFUSED

    return answer


async def serve(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    seen: Counter[str] = Counter()
    small = await loop.create_server(lambda: Requests(api(seen), seen), LISTEN, 0, ssl=context, backlog=1024)
    token = await loop.create_server(lambda: Requests(token_endpoint(seen)), LISTEN, 0)
    ports = {
        "api": small.sockets[0].getsockname()[1],
        "token": token.sockets[0].getsockname()[1],
        "streams": serve_streams(context),
    }
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2]))
