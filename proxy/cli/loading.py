"""The configuration for commands that run to an end: whole, with the values it names elsewhere."""

from __future__ import annotations

import os

from proxy import config as configuration
from proxy.aws import load_once
from proxy.cli.finding import config_path
from proxy.config.loading import Part
from proxy.config.model import Loaded


def load_config(named: str | None) -> Loaded:
    """The file that the option or the variable names, else the usual one. Secrets in Secrets Manager are read once.

    Raises ConfigError.
    """
    path = config_path(named)
    return load_once(lambda secrets: configuration.load(path, environ=os.environ, secrets=secrets))


def load_config_in_part(named: str | None) -> Part:
    """The same for a command that has something to say where values cannot be read. Raises ConfigError."""
    path = config_path(named)
    return load_once(lambda secrets: configuration.load_in_part(path, environ=os.environ, secrets=secrets))
