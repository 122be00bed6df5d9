"""Filling HTML templates. Whatever goes into one is escaped, unless it is `Html` already: forgetting is safe.

The templates are the files in `page/`, in the form of `string.Template`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from string import Template

FOLDER = Path(__file__).with_name("page")


class Html(str):
    """Text that is HTML: made here and in the templates only, never from what came from outside."""

    __slots__ = ()


@cache
def file(name: str) -> str:
    """A file of the page, read once."""
    return (FOLDER / name).read_text("utf-8")


@cache
def _template(text: str) -> Template:
    return Template(text)


def fill(template: str, **fields: object) -> Html:
    """`template` with each `$name` replaced by that field, escaped where it is not `Html`."""
    return Html(_template(template).substitute({name: _safe(value) for name, value in fields.items()}))


def join(parts: Iterable[Html]) -> Html:
    """Parts one after the other."""
    return Html("".join(parts))


def _safe(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value), quote=True)
