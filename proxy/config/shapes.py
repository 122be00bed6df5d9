"""What a field of the model is, read off its annotation: the one reader that loading, schema and reference share.

It knows Python's typing and msgspec, and nothing of files, values or problems.
"""

from __future__ import annotations

import types
from collections.abc import Mapping as Dict
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from proxy.config.model import Address, Duration, Egress, FileMode, GroupId, Mapping, Size, Url, UserId, Value

NOTHING = Meta()


class Shape(NamedTuple):
    """A type, taken apart."""

    kind: Literal["mapping", "table", "list", "choice", "text", "flag", "integer", "number", "special"]
    """`mapping` has fixed keys, `table` any; `special` is one of the model's own leaves."""
    base: Any
    """The type without its annotations: a class, or for a table or list what its items are."""
    meta: Meta
    optional: bool = False
    key: Any = None
    """Of a table: the type of its keys."""
    choices: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """The rule of `proxy.config.rules` that the text must follow, or ""."""
        return str((self.meta.extra or {}).get("rule", ""))


class Field(NamedTuple):
    """One key of a mapping."""

    name: str
    type: Any
    required: bool
    default: Any
    description: str


@cache
def fields(kind: type[Mapping]) -> Dict[str, Field]:
    """The keys of a mapping of the model, by name, in the order of the model."""
    found = {}
    for item in msgspec.structs.fields(kind):
        factory = item.default_factory
        default = item.default if factory is NODEFAULT else factory()
        found[item.name] = Field(item.name, item.type, item.required, default, shape(item.type).meta.description or "")
    return found


def shape(kind: Any) -> Shape:
    """Take a type of the model apart. Raises TypeError for one that the model has no use for."""
    base, meta = _bare(kind)
    optional = False
    if get_origin(base) in (Union, types.UnionType):
        base, inner = _bare(next(item for item in get_args(base) if item is not types.NoneType))
        meta, optional = _merged((inner, meta)), True
    origin, args = get_origin(base), get_args(base)
    if origin is Literal:
        return Shape("choice", str, meta, optional, choices=args)
    if origin is tuple:
        return Shape("list", args[0], meta, optional)
    if origin is dict:
        return Shape("table", args[1], meta, optional, key=args[0])
    if base in _SPECIAL:
        return Shape("special", base, meta, optional)
    if isinstance(base, type) and issubclass(base, Mapping):
        return Shape("mapping", base, meta, optional)
    if base in _PLAIN:
        return Shape(_PLAIN[base], base, meta, optional)
    raise TypeError(f"the configuration has no way to write a {kind!r}")


_SPECIAL = (Address, Duration, Egress, FileMode, GroupId, Size, Url, UserId, Value)
_PLAIN: dict[Any, Literal["text", "flag", "integer", "number"]] = {
    str: "text",
    bool: "flag",
    int: "integer",
    float: "number",
}
_LIMITS = ("title", "description", "gt", "ge", "lt", "le", "pattern", "min_length", "max_length", "extra")


def _bare(kind: Any) -> tuple[Any, Meta]:
    """The type within Annotated, and what all its annotations say together."""
    if get_origin(kind) is not Annotated:
        return kind, NOTHING
    base, *notes = get_args(kind)
    return base, _merged(note for note in notes if isinstance(note, Meta))


def _merged(metas: Any) -> Meta:
    said: dict[str, Any] = {}
    for meta in metas:
        said |= {name: value for name in _LIMITS if (value := getattr(meta, name)) is not None}
    return Meta(**said)
