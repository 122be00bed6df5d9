"""An aiohttp server with aiohttp's client: `aiohttp_program.py`, with the versions that the sidecar itself runs on."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

from bench.contenders.contender import Contender
from bench.site import CLIENT_ID, CLIENT_SECRET, Site

_PROGRAM = Path(__file__).with_name("aiohttp_program.py")


def _version() -> str:
    return f"aiohttp {version('aiohttp')}, uvloop {version('uvloop')}, Python {platform.python_version()}"


def _command(site: Site, directory: Path, port: int) -> list[str]:
    credentials = [CLIENT_ID, CLIENT_SECRET]
    return [sys.executable, str(_PROGRAM), str(port), site.url, site.token_url, *credentials, str(site.ca_file)]


AIOHTTP = Contender("aiohttp", "aiohttp server and client", "run `make install`", _version, _command)
