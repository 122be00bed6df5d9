"""The JSON Schema of the configuration file, read off the model: for editors, and for CI of those who write one.

It says what can be said of one key at a time. What lies between keys (clashes, plain http) only `load` knows.
"""

from __future__ import annotations

from typing import Any

from proxy.config.accounts import MODE_PATTERN
from proxy.config.model import (
    Address,
    Config,
    Duration,
    Egress,
    FileMode,
    GroupId,
    Mapping,
    Size,
    UnixSocket,
    Url,
    UserId,
)
from proxy.config.scalars import DURATION_PATTERN, SIZE_PATTERN
from proxy.config.shapes import Shape, fields, shape
from proxy.config.written import written

Schema = dict[str, Any]

_SOURCE: Schema = {
    "description": "where a value comes from instead of this file",
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "env": {"type": "string", "minLength": 1, "description": "the name of an environment variable"}
            },
            "required": ["env"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "file": {
                    "type": "string",
                    "minLength": 1,
                    "description": "the path of a file with the value; one trailing newline is taken off",
                }
            },
            "required": ["file"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "secrets_manager": {
                    "type": "string",
                    "minLength": 1,
                    "description": "the name or ARN of a secret in AWS Secrets Manager (with the extra `aws`)",
                },
                "key": {
                    "type": "string",
                    "minLength": 1,
                    "description": "the member that is meant, where the secret is a JSON object",
                },
                "region": {
                    "type": "string",
                    "minLength": 1,
                    "description": "the secret's region, where neither its ARN nor AWS's own settings say it",
                },
            },
            "required": ["secrets_manager"],
            "additionalProperties": False,
        },
    ],
}
# With a digit that is not 0 before the point or after it. Without a lookahead, which Go's validators do not know.
_POSITIVE_DURATION = (
    "^([0-9]{0,11}[1-9][0-9]{0,11}([.][0-9]{1,6})?|[0-9]{1,12}[.][0-9]{0,5}[1-9][0-9]{0,5})(ms|s|m|h)?$"
)
_RULE_PATTERNS = {
    "prefix": "^/",
    "path_pattern": "^/",
    "socket_path": "^/.*[^/]$",
    "host_name": "^[^/*]+$",
    "host_pattern": "^([*]|[^/*]+)$",
}


def json_schema() -> Schema:
    """The schema, JSON Schema 2020-12, of the file as it is written: durations and sizes as text, sources as such."""
    definitions: Schema = {"source": _SOURCE}
    root = _mapping(Config, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cognito-sidecar configuration",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _mapping(kind: type[Mapping], definitions: Schema) -> Schema:
    keys = fields(kind)
    properties = {}
    for name, field in keys.items():
        form = shape(field.type)
        properties[name] = {"description": field.description, **_of(form, definitions)}
        if not field.required:
            properties[name]["default"] = {} if isinstance(field.default, Mapping) else written(field.default)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required := [name for name, field in keys.items() if field.required]:
        schema["required"] = required
    return schema


def _of(form: Shape, definitions: Schema) -> Schema:
    schema = _bare(form, definitions)
    return {"anyOf": [schema, {"type": "null"}]} if form.optional else schema


def _bare(form: Shape, definitions: Schema) -> Schema:
    meta = form.meta
    match form.kind:
        case "mapping":
            return _reference(form.base, definitions)
        case "table":
            keys, items = _of(shape(form.key), definitions), _of(shape(form.base), definitions)
            table = {"type": "object", "propertyNames": keys, "additionalProperties": items}
            return table | _given(minProperties=meta.min_length, maxProperties=meta.max_length)
        case "list":
            items = _of(shape(form.base), definitions)
            array = {"type": "array", "items": items} | _given(minItems=meta.min_length, maxItems=meta.max_length)
            # One value needs no list around it, where the list holds values from anywhere.
            return {"anyOf": [items, array]} if "oneOf" in items else array
        case "special":
            return _special(form, definitions)
        case "choice":
            return {"enum": list(form.choices)}
        case "flag":
            return {"type": "boolean"}
        case "text":
            pattern = meta.pattern or _RULE_PATTERNS.get(form.rule)
            least = meta.min_length or (1 if form.rule == "file" else None)
            return {"type": "string"} | _given(pattern=pattern, minLength=least)
        case _:
            bounds = _given(minimum=meta.ge, exclusiveMinimum=meta.gt, maximum=meta.le, exclusiveMaximum=meta.lt)
            return {"type": form.kind} | bounds


def _reference(kind: type[Mapping], definitions: Schema) -> Schema:
    name = kind.__name__
    if name not in definitions:
        definitions[name] = _mapping(kind, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _special(form: Shape, definitions: Schema) -> Schema:
    if form.base is Duration:
        if form.meta.gt is None:
            return _either({"type": "number", "minimum": 0}, {"type": "string", "pattern": DURATION_PATTERN})
        return _either({"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": _POSITIVE_DURATION})
    if form.base is Size:
        return _either({"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE_PATTERN})
    if form.base is Address:
        short = {"type": "string", "pattern": "^(unix:/.+|.+:[0-9]{1,5})$"}
        return _either(short, _reference(UnixSocket, definitions))
    if form.base is FileMode:
        return {"type": "string", "pattern": MODE_PATTERN}
    if form.base in (GroupId, UserId):
        return _either({"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1})
    literal: Schema = {"type": "string"}
    if form.base is Url:
        literal["pattern"] = "^[Hh][Tt][Tt][Pp][Ss]?://[^/]"
    elif form.base is Egress:
        literal["pattern"] = "^(none|[Hh][Tt][Tt][Pp][Ss]?://[^/].*)$"
    elif form.rule not in ("header_value", "param_value"):
        literal["minLength"] = 1
    return {"oneOf": [literal, {"$ref": "#/$defs/source"}]}


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _given(**keywords: Any) -> Schema:
    return {name: value for name, value in keywords.items() if value is not None}
