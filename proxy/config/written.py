"""A value of the model as a person writes it in the file: for defaults in the schema and the reference."""

from __future__ import annotations

from typing import Any

from proxy.config.model import Address, Duration, Mapping, Size
from proxy.config.scalars import write_duration, write_size


def written(value: Any) -> Any:
    """Plain data (text, numbers, lists, mappings) that loads as `value` again."""
    if isinstance(value, Duration):
        return write_duration(value)
    if isinstance(value, Size):
        text = write_size(value)
        return int(text) if text.isdecimal() else text
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, Mapping):
        return {name: written(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [written(item) for item in value]
    return value
