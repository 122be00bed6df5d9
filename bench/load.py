"""A process that is the callers: keeps N connections busy for a while, prints what it saw as JSON.

`python -m bench.load URL CONNECTIONS SECONDS [CA_FILE]`. One request at a time on each connection, as scripts do.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from urllib.parse import urlsplit

import uvloop


class Connection(asyncio.Protocol):
    """Sends a request, takes the answer, sends the next, until the time is over."""

    def __init__(self, request: bytes, until: float, ended: asyncio.Future[None], latencies: list[float]) -> None:
        self._request = request
        self._until = until
        self._ended = ended
        self._latencies = latencies
        self._seen = b""
        self._length = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]  # uvloop's is not typed

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        if self._length < 0:
            if not head.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"unexpected answer: {head[:200]!r}")
            self._length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < self._length:
            return
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
        self._seen, self._length = b"", -1
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


async def run(url: str, connections: int, seconds: float, ca_file: str | None) -> dict[str, float]:
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    began = time.perf_counter()
    ends: list[asyncio.Future[None]] = []
    for _ in range(connections):
        end: asyncio.Future[None] = loop.create_future()
        ends.append(end)
        until = began + seconds
        await loop.create_connection(
            lambda end=end, until=until: Connection(request, until, end, latencies),
            parts.hostname or "localhost",
            parts.port or 443,
            ssl=context,
        )
    await asyncio.gather(*ends)
    took = time.perf_counter() - began
    latencies.sort()
    return {
        "requests": len(latencies),
        "per_second": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    result = uvloop.run(
        run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
    )
    print(json.dumps(result))
