"""The version, in one place: the package's metadata, `--version`, metrics and `/status` all take it from here."""

from __future__ import annotations

__version__ = "0.1.0"
