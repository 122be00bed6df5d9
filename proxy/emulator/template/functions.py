"""CloudFormation's intrinsic functions, those that are understood here: Ref, Fn::Sub, Fn::GetAtt and Fn::Join.

Pure: what a name stands for is asked of a `Names`. Source: CloudFormation template reference, "Intrinsic function
reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

_SHORT: Final = {"!Ref": "Ref", "!Condition": "Condition"}
"""Short forms that do not stand for `Fn::` and their own name."""

_UNDERSTOOD: Final = "Ref, Fn::Sub, Fn::GetAtt and Fn::Join"

_PLACEHOLDER: Final = re.compile(r"\$\{(!?)([^{}]*)\}")


class Unclear(Exception):
    """Something that cannot be read here. The text is `its.place: what is wrong`."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


class Names(Protocol):
    """What the names in a template stand for."""

    def ref(self, name: str, where: str) -> Any: ...

    def attribute(self, name: str, attribute: str, where: str) -> str: ...


NO_VALUE: Final = object()
"""What `Ref: AWS::NoValue` stands for: the property is not there."""


def long_form(tag: str, value: Any) -> dict[str, Any]:
    """`!Ref X` as `{Ref: X}`, and so on: YAML's short form of any function, understood or not."""
    name = _SHORT.get(tag, f"Fn::{tag.removeprefix('!')}")
    if name == "Fn::GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


def resolve(written: Any, names: Names, where: str) -> Any:
    """The value of something in a template, with every function in it carried out. Raises Unclear."""
    if isinstance(written, Mapping):
        if len(written) == 1:
            [(name, argument)] = written.items()
            if name == "Ref" or (isinstance(name, str) and name.startswith("Fn::")):
                return _call(name, argument, names, where)
        items = ((key, resolve(value, names, f"{where}.{key}")) for key, value in written.items())
        return {key: value for key, value in items if value is not NO_VALUE}
    if isinstance(written, list):
        values = (resolve(value, names, f"{where}[{number}]") for number, value in enumerate(written))
        return [value for value in values if value is not NO_VALUE]
    return written


def _call(name: str, argument: Any, names: Names, where: str) -> Any:
    if name == "Ref" and isinstance(argument, str):
        return names.ref(argument, where)
    if name == "Fn::GetAtt":
        return _attribute(argument, names, where)
    if name == "Fn::Join":
        return _join(argument, names, where)
    if name == "Fn::Sub":
        return _sub(argument, names, where)
    if name == "Ref":
        raise Unclear(where, "Ref takes a name")
    raise Unclear(where, f"{name} is not understood here; {_UNDERSTOOD} are")


def _attribute(argument: Any, names: Names, where: str) -> str:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise Unclear(where, "Fn::GetAtt takes the name of a resource and an attribute")
    return names.attribute(parts[0], parts[1], where)


def _join(argument: Any, names: Names, where: str) -> str:
    if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):
        raise Unclear(where, "Fn::Join takes a delimiter and a list")
    values = resolve(argument[1], names, where)
    if not isinstance(values, list):
        raise Unclear(where, "Fn::Join takes a delimiter and a list")
    return argument[0].join(text(value, where) for value in values)


def _sub(argument: Any, names: Names, where: str) -> str:
    pattern, own = argument, {}
    if isinstance(argument, list) and len(argument) == 2:
        pattern, own = argument
    if not isinstance(pattern, str) or not isinstance(own, Mapping):
        raise Unclear(where, "Fn::Sub takes a text, or a text and a mapping")

    def value(match: re.Match[str]) -> str:
        literal, name = match[1], match[2].strip()
        if literal:
            return "${" + match[2] + "}"
        if name in own:
            return text(resolve(own[name], names, f"{where}.{name}"), where)
        resource, dot, attribute = name.partition(".")
        return text(names.attribute(resource, attribute, where) if dot else names.ref(name, where), where)

    return _PLACEHOLDER.sub(value, pattern)


def text(value: Any, where: str) -> str:
    """A value as CloudFormation writes it into a text: true for True. Raises Unclear for what is no single value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise Unclear(where, "expected a text")


def texts(value: Any, where: str) -> tuple[str, ...]:
    """A list of such values. Raises Unclear."""
    if not isinstance(value, list):
        raise Unclear(where, "expected a list")
    return tuple(text(one, f"{where}[{number}]") for number, one in enumerate(value))


def mappings(value: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """A list of mappings. Raises Unclear."""
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise Unclear(where, "expected a list of mappings")
    return tuple(value)
