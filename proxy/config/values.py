"""Where values come from: literal text, the environment, files, Secrets Manager. It remembers what it read.

Secrets Manager itself is not asked here: what was read there is handed in. No message of this module holds the text
of a value; it names the variable, the file or the secret.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping

from proxy.config import secrets as manager
from proxy.config.model import SecretRef, Value
from proxy.config.scalars import ElsewhereError, InvalidError, file_path
from proxy.config.secrets import NotReadYet, Secrets
from proxy.config.words import got, suggest

MAX_FILE = 1 << 20
"""Bytes of a configuration or secret file. More is a mistake, such as a log file or /dev/zero."""

A_VALUE = "a string, {env: NAME}, {file: PATH} or {secrets_manager: ID}"
_KINDS = ("env", "file", "secrets_manager")
_VARIABLE = "[A-Za-z_][A-Za-z0-9_.-]{0,127}"


def read_bytes(path: str) -> bytes:
    """The content of a small file. Raises InvalidError with the reason in words; the caller names the file."""
    try:
        # Opening a FIFO that nobody writes to would wait for ever without O_NONBLOCK.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                os.set_blocking(file.fileno(), True)
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise InvalidError(f"cannot be read: {reason(error)}") from None
    if len(content) > MAX_FILE:
        raise InvalidError("cannot be read: it is larger than 1 MiB")
    return content


def reason(error: Exception) -> str:
    """The operating system's words for what failed, without path and number."""
    strerror = getattr(error, "strerror", None)
    return strerror[0].lower() + strerror[1:] if isinstance(strerror, str) and strerror else "not a valid path"


class Sources:
    """Reads values, and keeps account of files, secrets and all content for the fields of `Loaded`."""

    def __init__(self, environ: Mapping[str, str], base: str, secrets: Secrets) -> None:
        self._environ = environ
        self._held = secrets
        self._base = base
        """The directory that relative paths are relative to."""
        self._digest = hashlib.sha256()
        self._files: dict[str, None] = {}
        self._variables: dict[str, None] = {}
        self._secrets: dict[SecretRef, None] = {}
        self._missing: dict[SecretRef, None] = {}

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        """The secrets of Secrets Manager that values are in."""
        return tuple(self._secrets)

    @property
    def missing(self) -> tuple[SecretRef, ...]:
        """Those of them that have not been read yet."""
        return tuple(self._missing)

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(self._files)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that values were read from."""
        return tuple(self._variables)

    @property
    def hash(self) -> str:
        """The first 12 hex digits of a SHA-256 over everything that was read so far, in order."""
        return self._digest.hexdigest()[:12]

    def file(self, path: str) -> str:
        """Note that the configuration depends on a file, and return its absolute path. The file need not exist."""
        full = os.path.abspath(os.path.join(self._base, path))
        self._files[full] = None
        return full

    def note(self, content: bytes) -> None:
        """Count content into the hash. Its length goes first, so that two values cannot pass for one."""
        self._digest.update(len(content).to_bytes(8, "big") + content)

    def read(self, raw: object) -> Value:
        """The value that `raw` (text, or a mapping that names one source) stands for. Raises InvalidError.

        Of its kinds, NotReadYet is no problem of the configuration, ElsewhereError is not one of its text, and
        PassingError one that time may solve.
        """
        value = self._read(raw)
        self.note(value.reveal().encode("utf-8", "surrogatepass"))
        return value

    def previous(self, raw: object) -> Value | None:
        """What the value was before its last rotation. Only Secrets Manager knows of any; `raw` has been read."""
        if not isinstance(raw, dict) or "secrets_manager" not in raw:
            return None
        value = manager.previous(manager.parse(raw, self._environ), self._held)
        if value is not None:
            self.note(value.reveal().encode("utf-8", "surrogatepass"))
        return value

    def _read(self, raw: object) -> Value:
        if isinstance(raw, str):
            return Value(raw)
        if not isinstance(raw, dict):
            raise InvalidError(f"expected {A_VALUE}, got {got(raw, quote=True)}")
        if "secrets_manager" in raw:
            return self._from_manager(raw)
        for key in raw:
            if key not in _KINDS:
                # It is not shown: of a value in braces, as templates have them, YAML makes a key.
                raise InvalidError(f"unknown key{suggest(key, _KINDS)}; a value has {' or '.join(_KINDS)}")
        if len(raw) != 1:
            raise InvalidError(f"expected one of the keys {', '.join(_KINDS)}, got " + ("several" if raw else "none"))
        [(kind, name)] = raw.items()
        if not isinstance(name, str) or not name:
            what = "environment variable" if kind == "env" else "file"
            raise InvalidError(f"{kind}: expected the name of a{'n' * (kind == 'env')} {what}")
        return self._from_environ(name) if kind == "env" else self._from_file(name)

    def _from_environ(self, name: str) -> Value:
        if not re.fullmatch(_VARIABLE, name):
            raise InvalidError("env: expected the plain name of an environment variable, such as CLIENT_ID")
        text = self._environ.get(name)
        if text is None:
            raise ElsewhereError(f"environment variable {name} is not set", "variable_not_set")
        self._variables[name] = None
        return Value(text, f"env {name}")

    def _from_manager(self, raw: dict[object, object]) -> Value:
        source = manager.parse(raw, self._environ)
        self._secrets[source.ref] = None
        try:
            return manager.current(source, self._held)
        except NotReadYet:
            self._missing[source.ref] = None
            raise

    def _from_file(self, name: str) -> Value:
        path = self.file(file_path(name))
        try:
            text = read_bytes(path).decode("utf-8-sig")
        except InvalidError as error:
            raise ElsewhereError(f"file {path} {error}", "file_unreadable") from None
        except UnicodeDecodeError:
            raise ElsewhereError(f"file {path} is not UTF-8 text", "looks_wrong") from None
        # Editors and `echo` end a file with a line break that is no part of the secret.
        text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
        return Value(text, f"file {path}")
