"""Callers that nobody here wrote. Each knows only a local URL, and has no credentials."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import requests

from tests.processes import PATIENCE, require_program, run_program


class Answer(NamedTuple):
    """What a caller got."""

    status: int
    body: bytes


Caller = Callable[[str, bytes | None, Path], Awaitable[Answer]]
"""Takes a URL, a body to POST (None: GET), and a directory for files."""


async def curl(url: str, body: bytes | None, directory: Path) -> Answer:
    received = directory / "curl.out"
    command = [require_program("curl"), "--disable", "--silent", "--show-error", "--max-time", str(PATIENCE)]
    command += ["--output", str(received), "--write-out", "%{http_code}"]
    if body is not None:
        command += ["--header", "Content-Type: application/octet-stream", "--data-binary", "@-"]
    code, stdout, stderr = await run_program(*command, url, stdin=body or b"")
    assert code == 0, stderr.decode()
    return Answer(int(stdout), received.read_bytes())


async def wget(url: str, body: bytes | None, directory: Path) -> Answer:
    command = [require_program("wget"), "--no-config", "--no-verbose", "--server-response", "--content-on-error"]
    command += ["--tries=1", f"--timeout={PATIENCE}", "--output-document=-"]
    if body is not None:
        sent = directory / "wget.in"
        sent.write_bytes(body)
        command += ["--header=Content-Type: application/octet-stream", f"--post-file={sent}"]
    _, stdout, stderr = await run_program(*command, url)
    status = re.search(rb"HTTP/1\.1 ([0-9]{3})", stderr)
    assert status is not None, stderr.decode()
    return Answer(int(status[1]), stdout)


async def python_urllib(url: str, body: bytes | None, directory: Path) -> Answer:
    def call() -> Answer:
        asked = urllib.request.Request(url, data=body, headers={"Content-Type": "application/octet-stream"})
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE) as response:
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as response:
            with response:
                return Answer(response.code, response.read())

    return await asyncio.to_thread(call)


async def python_requests(url: str, body: bytes | None, directory: Path) -> Answer:
    def call() -> Answer:
        with requests.Session() as session:
            response = session.request("GET" if body is None else "POST", url, data=body, timeout=PATIENCE)
            return Answer(response.status_code, response.content)

    return await asyncio.to_thread(call)


CALLERS: Final[dict[str, Caller]] = {
    "curl": curl,
    "wget": wget,
    "urllib": python_urllib,
    "requests": python_requests,
}
