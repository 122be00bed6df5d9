"""From what YAML gave to the model, with every problem on the way: a problem never hides the next one.

A part that could not be read becomes BROKEN, so that the rest can still be built and checked. A model that
holds BROKEN anywhere is never served: `problems` is not empty then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from proxy.config import rules
from proxy.config.accounts import parse_group, parse_mode, parse_user
from proxy.config.egress import parse_setting
from proxy.config.model import (
    Address,
    Config,
    Duration,
    Egress,
    FileMode,
    GroupId,
    Size,
    UnixSocket,
    Url,
    UserId,
    Value,
)
from proxy.config.scalars import (
    A_DURATION,
    A_SIZE,
    ElsewhereError,
    InvalidError,
    file_path,
    has_control,
    parse_address,
    parse_duration,
    parse_size,
)
from proxy.config.secrets import NotReadYet, PassingError
from proxy.config.shapes import Shape, fields, shape
from proxy.config.values import Sources
from proxy.config.words import closest, got, key_name, suggest
from proxy.socketfile import Access


class _Broken:
    """Stands for a part that could not be read. Whatever is asked of it is as broken, and false."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self) -> Any:
        return self

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Iterator[Any]:
        return iter(())


BROKEN: Any = _Broken()


class Unusable(NamedTuple):
    """A value that comes from elsewhere, and cannot be had from there or cannot be used."""

    path: str
    """Of its key."""
    problem: str
    """What is wrong, on one line."""
    explanation: str
    """A name of `proxy.explanations`."""


class Walk:
    """One reading of one configuration."""

    def __init__(self, sources: Sources, name: Callable[[str], str]) -> None:
        self.problems: list[str] = []
        self.passing = 0
        """How many of the problems may pass without anything being changed in the file."""
        self.unusable: list[Unusable] = []
        """Those of the problems that are of values from elsewhere."""
        self._sources = sources
        self.name = name
        """What a person calls the key at a path: the path itself, or a command's flag."""

    def say(self, path: str, problem: str) -> None:
        self.problems.append(f"{self.name(path)}: {problem}")

    def config(self, raw: dict[Any, Any]) -> Config:
        """The whole file. Good if `problems` is empty afterwards, else only good enough for more checks."""
        config: Config = self._mapping(Config, raw, "")
        return config

    def _take(self, kind: Any, raw: Any, path: str) -> Any:
        """The value of type `kind` that `raw` stands for, or BROKEN."""
        form = shape(kind)
        if raw is None and form.optional:
            return None
        try:
            match form.kind:
                case "special":
                    return self._special(form, raw, path)
                case "list":
                    return self._list(form, raw, path)
                case "table":
                    return self._table(form, raw, path)
                case "mapping":
                    if not isinstance(raw, dict):
                        raise InvalidError(f"expected a mapping, got {got(raw)}")
                    return self._mapping(form.base, raw, path)
                case _:
                    return self._leaf(form, kind, raw)
        except NotReadYet:  # no problem; whoever loads looks after it
            return BROKEN
        except InvalidError as error:
            self.say(path, str(error))
            self.passing += isinstance(error, PassingError)
            if isinstance(error, ElsewhereError):
                self.unusable.append(Unusable(path, error.problem, error.explanation))
            return BROKEN

    def _mapping(self, kind: Any, raw: dict[Any, Any], path: str) -> Any:
        known = fields(kind)
        values: dict[str, Any] = {}
        for key, item in raw.items():
            if key not in known:
                hint, meant = _hint(key, kind)
                self.say(_join(path, key_name(key)), f"unknown key{hint}")
                if meant and meant not in raw:
                    values[meant] = BROKEN  # one mistake, one problem: it is not missing as well
            else:
                values[key] = self._take(known[key].type, item, _join(path, key))
        for field in known.values():
            if field.required and field.name not in values:
                self.say(_join(path, field.name), "required, but missing")
                values[field.name] = BROKEN
        return kind(**values)

    def _table(self, form: Shape, raw: Any, path: str) -> Any:
        if not isinstance(raw, dict):
            raise InvalidError(f"expected a mapping, got {got(raw)}")
        self._check_length(form, len(raw), path)
        table = {}
        for key, item in raw.items():
            place = _join(path, key_name(key))
            try:
                name = self._leaf(shape(form.key), form.key, key)
            except InvalidError as error:
                self.say(place, f"this key is not good: {error}")
                continue
            value = self._take(form.base, item, place)
            if value is not BROKEN:
                table[name] = value
        return table

    def _list(self, form: Shape, raw: Any, path: str) -> Any:
        item = shape(form.base)
        if not isinstance(raw, list):
            if item.base is not Value:
                raise InvalidError(f"expected a list of {_PLURALS[item.kind]}, got {got(raw)}")
            value = self._take(form.base, raw, path)
            return () if value is BROKEN else (value, *self._previous(item, raw, value))
        self._check_length(form, len(raw), path)
        # A BROKEN one keeps its place: later problems of the list name an item by the index that the file gives it.
        taken = tuple(self._take(form.base, item, f"{path}[{index}]") for index, item in enumerate(raw))
        if item.base is Value and len(raw) == 1 and taken[0] is not BROKEN:
            return (*taken, *self._previous(item, raw[0], taken[0]))
        return taken

    def _previous(self, item: Shape, raw: Any, value: Value) -> tuple[Value, ...]:
        """What goes into the second place of a list of values that has only one: its text before a rotation."""
        before = self._sources.previous(raw)
        if before is None or before == value:
            return ()
        try:
            rules.TEXTS[item.rule](before.reveal())
        except InvalidError:  # what is no longer used needs no mending
            return ()
        return (before,)

    def _check_length(self, form: Shape, length: int, path: str) -> None:
        least, most = form.meta.min_length or 0, form.meta.max_length
        if length < least or (most is not None and length > most):
            self.say(path, f"expected {least} to {most}, got {length}" if most else f"expected at least {least}")

    def _special(self, form: Shape, raw: Any, path: str) -> Any:
        if form.base is Duration:
            return self._within(form, parse_duration(raw), A_DURATION)
        if form.base is Size:
            return self._within(form, parse_size(raw), A_SIZE)
        if form.base is Address:
            return self._unix_socket(raw, path) if isinstance(raw, dict) else parse_address(raw)
        if form.base in _ON_THIS_MACHINE:
            return _ON_THIS_MACHINE[form.base](raw)
        value = self._sources.read(raw)
        try:
            if form.base is Url:
                return rules.URLS[form.rule](value.reveal())
            if form.base is Egress:
                return parse_setting(value)
            rules.TEXTS[form.rule](value.reveal())
        except InvalidError as error:
            # A value from elsewhere is named, since its text is not in the file for the reader to look at.
            kind, _, place = value.origin.partition(" ")
            if kind not in _ORIGINS:
                raise
            raise ElsewhereError(f"{_ORIGINS[kind]} {place}: {error}", "looks_wrong") from None
        return value

    def _unix_socket(self, raw: dict[Any, Any], path: str) -> Any:
        """A listen address in its long form. It is as good as its path: what is wrong beside that has been said."""
        socket: UnixSocket = self._mapping(UnixSocket, raw, path)
        access = Access(socket.mode, socket.owner, socket.group)
        return BROKEN if socket.unix is BROKEN else Address("", 0, socket.unix, access)

    def _leaf(self, form: Shape, kind: Any, raw: Any) -> Any:
        """A string, boolean, number or choice."""
        if isinstance(raw, str) and form.kind == "text":
            if form.rule == "file":
                return self._sources.file(file_path(raw))
            if form.rule:
                return rules.TEXTS[form.rule](raw)
            if form.meta.pattern and has_control(raw):
                raise InvalidError(f"expected {_noun(form)}, without control characters")
        elif form.kind in ("integer", "number") and (isinstance(raw, bool) or raw != raw):  # noqa: PLR0124 - NaN
            raise InvalidError(f"expected {_noun(form)}, got {got(raw)}")
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError:
            pass
        if isinstance(raw, str):
            if form.kind == "choice":
                raise InvalidError(f"expected {_noun(form)}{suggest(raw, form.choices)}")
            if form.kind == "text":
                raise InvalidError(f"expected {_noun(form)}")
        elif form.kind in ("integer", "number") and isinstance(raw, int | float) and abs(raw) < 1e15:
            raise InvalidError(f"expected {_noun(form)}, got {raw:g}")
        raise InvalidError(f"expected {_noun(form)}, got {got(raw, quote=form.kind == 'text')}")

    def _within(self, form: Shape, value: float, noun: str) -> Any:
        if form.meta.gt is not None and not value > form.meta.gt:
            raise InvalidError(f"expected {noun}, more than {form.meta.gt}")
        return value


_ON_THIS_MACHINE: dict[Any, Callable[[object], int]] = {
    FileMode: parse_mode,
    GroupId: parse_group,
    UserId: parse_user,
}
_ORIGINS = {"env": "environment variable", "file": "file", "secrets_manager": "secret"}
"""What messages call the sources of values."""

_PLURALS = {
    "mapping": "mappings",
    "table": "mappings",
    "list": "lists",
    "text": "strings",
    "choice": "strings",
    "special": "values",
    "flag": "booleans",
    "integer": "integers",
    "number": "numbers",
}


def _noun(form: Shape) -> str:
    """What a leaf must be, in words."""
    if form.kind == "choice":
        return f"one of {', '.join(form.choices)}"
    if form.kind == "flag":
        return "true or false"
    if form.kind == "text":
        return form.meta.title or "a string"
    meta = form.meta
    limits = [(">", meta.gt), (">=", meta.ge), ("<", meta.lt), ("<=", meta.le)]
    bounds = " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
    return ("an integer" if form.kind == "integer" else "a number") + (f" {bounds}" if bounds else "")


def _hint(key: object, kind: Any) -> tuple[str, str]:
    """What an unknown key may have been meant for, in words, and its name if it belongs right here."""
    here = fields(kind)
    if isinstance(key, str) and (found := re.match(r"\w+(?=:)", key)) and found[0] in here:
        return f"; is a space missing after {found[0]}:?", found[0]
    if close := closest(key, here):
        return f"; did you mean {close}?", close
    for name, field in here.items():
        form = shape(field.type)
        if form.kind == "mapping" and key in fields(form.base):
            return f"; did you mean {name}.{key}?", ""
    return "", ""


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
