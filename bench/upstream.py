"""A process that is all of the world around the sidecar: an HTTPS upstream with a fixed answer, and a token endpoint.

Prints its two ports as JSON. `python -m bench.upstream CERT KEY`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

import uvloop

BODY = b'{"message": "Hello World!"}\n'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
_TOKEN = json.dumps({"access_token": "t" * 900, "expires_in": 3600, "token_type": "Bearer"}).encode()
_GRANT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_TOKEN) + _TOKEN


class Fixed(asyncio.Protocol):
    """Gives the same answer to each request head that arrives; requests have no body that contains an empty line."""

    def __init__(self, answer: bytes, *, heads_only: bool) -> None:
        self._answer = answer
        self._heads_only = heads_only
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        count = self._seen.count(b"\r\n\r\n")
        if count:
            self._seen = self._seen.rpartition(b"\r\n\r\n")[2] if self._heads_only else b""
            self._transport.write(self._answer * count)  # type: ignore[attr-defined]  # uvloop's is not typed


async def serve(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    api = await loop.create_server(lambda: Fixed(_ANSWER, heads_only=True), "127.0.0.1", 0, ssl=context, backlog=1024)
    token = await loop.create_server(lambda: Fixed(_GRANT, heads_only=False), "127.0.0.1", 0)
    ports = {"api": api.sockets[0].getsockname()[1], "token": token.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2]))
