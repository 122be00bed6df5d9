"""The sidecar, with everything on that users have on: guard, allow and header rules, limits, metrics, timeouts."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from bench.contenders.contender import Contender
from bench.processes import free_port
from bench.site import CLIENT_ID, CLIENT_SECRET, LISTEN, Site
from proxy.version import __version__


def _version() -> str:
    return f"{__version__}, Python {platform.python_version()}"


def _command(site: Site, directory: Path, port: int) -> list[str]:
    secret = directory / "client_secret"
    secret.write_text(CLIENT_SECRET)
    config = directory / "config.yaml"
    config.write_text(json.dumps(_configuration(site, secret, port)))  # JSON is YAML.
    return [sys.executable, "-m", "proxy", "run", "--config", str(config)]


def _configuration(site: Site, secret: Path, port: int) -> dict[str, object]:
    return {
        "upstreams": {
            "bench": {
                "listen": f"{LISTEN}:{port}",
                "url": site.url,
                "auth": {
                    "token_url": site.token_url,
                    "client_id": CLIENT_ID,
                    "client_secret": {"file": str(secret)},
                },
                "allow": [{"methods": ["GET"], "paths": ["/**"]}, {"methods": ["POST"], "paths": ["/post", "/up"]}],
                "headers": {"set": {"X-Served-For": "bench"}, "remove": ["X-Debug"]},
                "max_body": "1024MiB",
                "pool": {"max_connections": 256},
                "tls": {"ca_file": str(site.ca_file)},
            }
        },
        "admin": {"listen": f"{LISTEN}:{free_port()}"},
        "log": {"level": "error"},
    }


SIDECAR = Contender("sidecar", "cognito-sidecar", "run `make install`", _version, _command)
