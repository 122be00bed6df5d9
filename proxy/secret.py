"""What may be shown to nobody but the one it is for: a type that no repr, log line, format or pickle gets through.

Secrets live in attributes of these types and are revealed where they are sent, so that whoever prints, logs or dumps
an object that holds one, however deep, prints `<secret>`. Nobody has to remember it. Bytes that are on their way to a
socket, and what is between two lines of one function, are plain: that is as far as a type reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, NoReturn, TypeVar, overload

T = TypeVar("T")
Kind = TypeVar("Kind", bound=type)


def _named(self: object) -> str:
    return f"<{type(self).__name__}>"


def _refuse(self: object, protocol: Any) -> NoReturn:
    # copy.copy and pickle come here, as does whatever sends objects to another process.
    raise TypeError(f"a {type(self).__name__} is not for copying elsewhere")


def _itself(self: T, memo: object = None) -> T:
    return self


def unshown(kind: Kind) -> Kind:
    """A class whose instances are shown by their class's name alone, and are not pickled. For named tuples that hold a
    whole message of somebody else's, whose parts are read too often to be wrapped one by one."""
    for name, method in (
        *(("__repr__", _named), ("__reduce_ex__", _refuse)),
        *(("__copy__", _itself), ("__deepcopy__", _itself)),
    ):
        setattr(kind, name, method)
    return kind


@unshown
class Secret(Generic[T]):
    """One secret: text, bytes, or a mapping of them."""

    __slots__ = ("_content",)

    def __init__(self, content: T) -> None:
        self._content = content

    def reveal(self) -> T:
        """What it holds, for the one place that sends or compares it."""
        return self._content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._content == self._content

    def __hash__(self) -> int:
        return hash(self._content)


@unshown
class Secrets(Sequence[T]):
    """Several of them, where each is plain to whoever takes it out."""

    __slots__ = ("_contents",)

    def __init__(self, contents: Iterable[T]) -> None:
        self._contents = tuple(contents)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Secrets[T]: ...

    def __getitem__(self, index: int | slice) -> T | Secrets[T]:
        return Secrets(self._contents[index]) if isinstance(index, slice) else self._contents[index]

    def __len__(self) -> int:
        return len(self._contents)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secrets) and other._contents == self._contents

    def __hash__(self) -> int:
        return hash(self._contents)
