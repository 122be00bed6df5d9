"""Writing configuration files for tests, and reading what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from proxy.config import Loaded, load
from proxy.errors import ConfigError

SECRET = "s3cr3t-that-nobody-may-see"
ENVIRON = {"CLIENT_ID": "the-id", "CLIENT_SECRET": SECRET}


def upstream(**changes: Any) -> dict[str, Any]:
    """A good upstream, but for the changes. `auth__scopes=…` changes a key of a mapping within."""
    good: dict[str, Any] = {
        "listen": "127.0.0.1:8080",
        "url": "https://api.example.com/dev",
        "auth": {
            "token_url": "https://login.example.com/oauth2/token",
            "client_id": {"env": "CLIENT_ID"},
            "client_secret": {"env": "CLIENT_SECRET"},
        },
    }
    for name, value in changes.items():
        *way, last = name.split("__")
        place = good
        for step in way:
            if not isinstance(place.get(step), dict):
                place[step] = {}
            place = place[step]
        place[last] = value
    return good


def write(folder: Path, data: object, name: str = "config.yaml") -> Path:
    """Write data as YAML, or text as it is."""
    path = folder / name
    path.write_text(
        data if isinstance(data, str) else yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    return path


def load_data(folder: Path, data: object, environ: Mapping[str, str] = ENVIRON) -> Loaded:
    return load(str(write(folder, data)), environ=environ)


def problems(folder: Path, data: object, environ: Mapping[str, str] = ENVIRON) -> tuple[str, ...]:
    """The problems of a configuration, () for a good one."""
    try:
        load_data(folder, data, environ)
    except ConfigError as error:
        found = error
    else:
        return ()
    assert str(found).splitlines() == list(found.problems), "each problem is one line"
    return found.problems


def upstream_problems(folder: Path, **changes: Any) -> list[str]:
    """The problems of one changed upstream, without the path that leads to it."""
    return [
        problem.removeprefix("upstreams.orders.")
        for problem in problems(folder, {"upstreams": {"orders": upstream(**changes)}})
    ]
