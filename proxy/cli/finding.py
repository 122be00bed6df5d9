"""Finding things: the configuration file, and by it a running sidecar's admin listener.

`wait` and `healthcheck` often run where the sidecar's secrets are not, such as in the application's container. So
only `admin.listen` is read here, and neither the rest of the file nor any secret that it names.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Final

import click

from proxy.cli.command import DEFAULT_CONFIG
from proxy.cli.probe import Target
from proxy.errors import ConfigError

DEFAULT_ADMIN: Final = "127.0.0.1:9090"
"""The default of `admin.listen`; a test holds it equal to the configuration's own."""


def config_path(named: str | None) -> str:
    """The configuration file: the one that the option or the variable names, else the usual one."""
    return named or DEFAULT_CONFIG


def admin_target(admin: str | None, config: str | None) -> Target:
    """Where the sidecar's admin listener is reached: by `--admin`, else by the configuration's `admin.listen`, else,
    where no file was named and the usual one is not there, at the default. Raises UsageError and ConfigError."""
    if admin is not None:
        try:
            return target(admin)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="'--admin'") from None
    path = config_path(config)
    listen = _admin_listen(path, optional=config is None)
    try:
        return target(listen)
    except ValueError as error:
        raise ConfigError([f"admin.listen: {error}"]) from None


def target(listen: str) -> Target:
    """The address to call for one to listen on: a wildcard address is called by loopback. Raises ValueError."""
    if listen.startswith("unix:"):
        if listen == "unix:":
            raise ValueError("expected unix:/path")
        return Target("", 0, listen.removeprefix("unix:"))
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"expected HOST:PORT or unix:/path, got {listen!r}")
    if int(port) == 0:
        raise ValueError("port 0 asks for any free port, which nobody can know beforehand; name it with --admin")
    host = host.removeprefix("[").removesuffix("]")
    return Target({"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(host, host), int(port))


def _admin_listen(path: str, *, optional: bool) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        if optional and error.errno in (errno.ENOENT, errno.ENOTDIR):
            return DEFAULT_ADMIN
        raise ConfigError([f"{path}: {os.strerror(error.errno or 0)}"]) from None

    import yaml  # Only now: a probe with --admin need not wait for it.

    try:
        read: Any = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506, TID251  a safe one
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        place = f" (line {where.line + 1})" if where else ""
        raise ConfigError([f"{path}: not valid YAML{place}"]) from None
    for key in ("admin", "listen"):
        if not isinstance(read, dict):
            raise ConfigError([f"{path}: expected a mapping that holds `{key}`"])
        if read.get(key) is None:
            return DEFAULT_ADMIN
        read = read[key]
    if isinstance(read, dict) and isinstance(read.get("unix"), str):
        read = f"unix:{read['unix']}"
    if not isinstance(read, str):
        raise ConfigError([f"admin.listen: expected HOST:PORT or unix:/path, got {read!r}"])
    return read
