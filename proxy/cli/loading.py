"""The configuration for commands that run to an end: whole, with the values it names elsewhere."""

from __future__ import annotations

import os

from proxy import config as configuration
from proxy.aws import load_once
from proxy.cli.finding import config_path
from proxy.config.model import Loaded


def load_config(named: str | None) -> Loaded:
    """The file that the option or the variable names, else the usual one. Secrets in Secrets Manager are read once.

    Raises ConfigError.
    """
    path = config_path(named)
    return load_once(lambda secrets: configuration.load(path, environ=os.environ, secrets=secrets))
