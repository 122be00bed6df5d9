"""Callers in Python, for machines without wrk: `python -m bench.load JSON`, where JSON says whom to call and how.

They cost as much as what they call, so requests a second say less; processor time of the contender is as good.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import uvloop

from bench.figures import percentile


class Caller(asyncio.Protocol):
    """Sends a request, takes the answer, sends the next, until the time is over."""

    def __init__(self, request: bytes, until: float, ended: asyncio.Future[bool], latencies: list[float]) -> None:
        self._request = request
        self._until = until
        self._ended = ended
        self._latencies = latencies
        self._seen = b""

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
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
        self._seen = b""
        if not head.startswith(b"HTTP/1.1 2"):
            self._end(well=False)
        elif now < self._until:
            self._send()
        else:
            self._end(well=True)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(well=False)

    def _end(self, *, well: bool) -> None:
        if not self._ended.done():
            self._ended.set_result(well)
        self._transport.close()


def request_bytes(told: dict[str, Any]) -> bytes:
    parts = urlsplit(told["url"])
    size = told["body_bytes"]
    fields = {"Host": parts.netloc, **told["headers"], **({"Content-Length": size} if size else {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{'POST' if size else 'GET'} {parts.path or '/'} HTTP/1.1\r\n{lines}\r\n{'x' * size}".encode()


async def run(told: dict[str, Any]) -> dict[str, float]:
    parts = urlsplit(told["url"])
    context = ssl.create_default_context(cafile=told["ca_file"]) if parts.scheme == "https" else None
    request = request_bytes(told)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    ends: list[asyncio.Future[bool]] = []
    until = time.perf_counter() + told["seconds"]
    for _ in range(told["connections"]):
        end: asyncio.Future[bool] = loop.create_future()
        ends.append(end)
        await loop.create_connection(
            lambda end=end: Caller(request, until, end, latencies), parts.hostname, parts.port, ssl=context
        )
    ended_well = await asyncio.gather(*ends)
    latencies.sort()
    return {
        "p50_ms": percentile(latencies, 0.5) * 1000,
        "p99_ms": percentile(latencies, 0.99) * 1000,
        "failures": ended_well.count(False),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))))
