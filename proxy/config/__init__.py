"""The configuration: one YAML file, or a few flags, as typed structures that have been checked.

`load` and `from_flags` give a `Loaded` or raise ConfigError with every problem at once; `load_in_part` gives what can
be looked at where values are lacking; `proxy.config.watch` tells when to load again; `json_schema` and
`proxy.config.reference` describe the file. The structures are in `proxy.config.model`. Importing this room reads no
file and loads neither YAML nor OpenSSL.
"""

from __future__ import annotations

from typing import Any

from proxy.config.loading import certificate_files, from_flags, load, load_in_part
from proxy.config.model import Config, Loaded


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the configuration file as a person writes it."""
    from proxy.config.schema import json_schema as make  # noqa: PLC0415 - `run` has no use for it

    return make()


__all__ = ["Config", "Loaded", "certificate_files", "from_flags", "json_schema", "load", "load_in_part"]
