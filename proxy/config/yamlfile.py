"""A YAML file as plain data, and nothing else: no Python objects, no duplicate keys, no surprises in errors.

YAML's own messages quote the text around an error, which may be a secret: here every message is a fixed
sentence with line and column.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import yaml

from proxy.config.scalars import InvalidError
from proxy.config.words import key_name

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_DEEPEST = 50
"""Levels of nesting. The model has seven; the C parser crashes the process at some tens of thousands."""

_MOST_MERGED = 10_000
"""Keys that << brings in, all together. Mappings that each merge the one before would otherwise be quadratic."""

_MERGE = "tag:yaml.org,2002:merge"

_MEANT = (
    ("found undefined alias", "text that begins with * must be in quotes"),
    ("could not determine a constructor for the tag", "text that begins with ! must be in quotes"),
    ("found character", "text that begins with @, % or ` must be in quotes, and indentation is spaces, not tabs"),
    ("found a tab character", "indentation is spaces, not tabs"),
    ("mapping values are not allowed", "a colon in text must be in quotes, and keys of one mapping indented alike"),
    ("expected a single document", "one document is expected, and here a second one begins"),
    ("but found another document", "one document is expected, and here a second one begins"),
    ("found unknown escape character", "this is no escape of a double-quoted string; single quotes take \\ as it is"),
    ("found unexpected end of stream", "a quote is opened and never closed"),
    ("could not find expected ':'", "a key without a colon after it"),
    ("found unhashable key", "a key must be plain text"),
    ("found unacceptable key", "a key must be plain text"),
    ("exceeded maximum nesting", "nested too deeply"),
    ("did not find expected alphabetic or numeric", "text that begins with & or * must be in quotes"),
    ("expected alphabetic or numeric", "text that begins with & or * must be in quotes"),
)
"""How PyYAML's and libyaml's sentences begin, and what a person has to change."""


Tag = Callable[[str, Any], Any]
"""Gives what `!Name value` stands for, from the tag and the value."""


class _Loader(_Base):  # type: ignore[misc] # one of two classes, and typeshed knows only one
    """Plain data only. A key that comes twice is an error, where YAML parsers take the last one."""

    tag: Tag | None = None
    merged = 0

    def construct_local(self, suffix: str, node: Any) -> Any:
        if self.tag is None:
            return self.construct_undefined(node)
        if isinstance(node, yaml.ScalarNode):
            return self.tag(f"!{suffix}", self.construct_scalar(node))
        deep = self.construct_sequence if isinstance(node, yaml.SequenceNode) else self.construct_mapping
        return self.tag(f"!{suffix}", deep(node, deep=True))

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        # Here and not in construct_yaml_map alone, and before merge keys (<<) bring in keys that may be overridden.
        self._check_twice(node)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping

    def flatten_mapping(self, node: Any) -> None:
        """Put what << merges before a mapping's own keys, which win; of several mappings the first does.

        PyYAML's own lets the first one win up to 6.0.3, taking exponential time for mappings that merge each other, and
        the last one from 6.0.4 on.
        """
        merges = [value for key, value in node.value if key.tag == _MERGE]
        node.value = [pair for pair in node.value if pair[0].tag != _MERGE]
        super().flatten_mapping(node)  # which is left with the key "=" alone
        brought: dict[Hashable, Any] = {}
        for merge in merges:
            for source in merge.value if isinstance(merge, yaml.SequenceNode) else [merge]:
                if not isinstance(source, yaml.MappingNode):
                    raise _problem("not valid YAML: << merges mappings only", source.start_mark)
                self.flatten_mapping(source)
                for key, value in source.value:
                    name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)
                    brought.setdefault(name, (key, value))
        self.merged += len(brought)
        if self.merged > _MOST_MERGED:
            raise _problem("<< merges too much", node.start_mark)
        node.value = [*brought.values(), *node.value]

    def _check_twice(self, node: Any) -> None:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _problem(f"the key {key_name(key.value)} is there twice", key.start_mark)
                seen.add(key.value)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError):
            # 2026-13-45 and 0x_ look like a date and a number to PyYAML, and then are none.
            raise _problem("this is not what it looks like to YAML: put it in quotes", node.start_mark) from None


_Loader.add_multi_constructor("!", _Loader.construct_local)


def parse(content: bytes, *, tag: Tag | None = None) -> Any:
    """The data of a YAML file, None for an empty one. Raises InvalidError with line and column.

    `tag` reads tags of the file's own kind, such as `!Ref`. Without it they are errors.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidError(f"line {line}: the file is not UTF-8 text") from None
    try:
        _check_depth(text)
        loader = _Loader(text)
        loader.tag = tag
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        problem = error.problem or ""
        meant = next((say for begin, say in _MEANT if problem.startswith(begin)), "an error in indentation or quoting")
        raise _problem(f"not valid YAML: {meant}", error.problem_mark or error.context_mark) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        raise InvalidError(f"line {line}: a control character, which YAML does not allow") from None


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _problem("nested too deeply", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _problem(text: str, mark: Any) -> InvalidError:
    return InvalidError(f"line {mark.line + 1}, column {mark.column + 1}: {text}" if mark else text)
