"""What the locks beside this file say: each package's version and hashes, and what brought it in.

For `make sbom` and for the tests that compare the locks with the documents. It reads text and the metadata of
installed packages, and installs and asks nothing.
"""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import metadata
from pathlib import Path
from typing import Final, NamedTuple, cast

from packaging.licenses import canonicalize_license_expression
from packaging.utils import NormalizedName, canonicalize_name

HERE: Final = Path(__file__).parent
PROJECT: Final = canonicalize_name("cognito-sidecar")

_ENTRY: Final = re.compile(r"^([\w.-]+)==([^\s;\\]+)(.*(?:\n[ \t].*)*)", re.MULTILINE)

_OLD_NAMES: Final = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX's identifiers for what packages said before there was License-Expression (PEP 639)."""


class Locked(NamedTuple):
    """One package in a lock."""

    version: str
    hashes: tuple[str, ...]
    """SHA-256 in hex, of each file that may be installed."""
    via: tuple[NormalizedName, ...]
    """What requires it: other packages of the lock, or the project itself."""


def lock(name: str) -> dict[NormalizedName, Locked]:
    """The packages of one lock, such as `run.txt`, in its order."""
    text = (HERE / name).read_text(encoding="utf-8")
    return {canonicalize_name(package): _locked(version, rest) for package, version, rest in _ENTRY.findall(text)}


def _locked(version: str, rest: str) -> Locked:
    pins, _, why = rest.partition("# via")
    wanted = (line.strip().removeprefix("#").split() for line in why.splitlines())
    via = (canonicalize_name(words[0]) for words in wanted if words and words[0] != "-c")
    return Locked(version, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", pins)), tuple(via))


def about(package: str) -> Message:
    """A package's metadata: its own where it is installed. Raises PackageNotFoundError."""
    if package in _ELSEWHERE:
        told = Message()
        for name, value in _ELSEWHERE[package].items():
            told[name] = value
        return told
    return cast(Message, metadata(package))


_ELSEWHERE: Final = {
    "async-timeout": {"License-Expression": "Apache-2.0", "Summary": "Timeout context manager for asyncio programs"}
}
"""Packages that are in a lock for other Pythons than the one that reads it."""


def licence(package: str) -> str:
    """The licence of a package as an SPDX expression, from its metadata.

    Raises PackageNotFoundError, and InvalidLicenseExpression where the metadata's words are not known here.
    """
    told = about(package)
    said = told["License-Expression"]
    if not said:
        prefix = "License :: OSI Approved :: "
        classified = [one.removeprefix(prefix) for one in told.get_all("Classifier") or () if one.startswith(prefix)]
        # Several classifiers stand for a choice.
        said = " OR ".join(sorted(_OLD_NAMES.get(one, one) for one in classified))
    return canonicalize_license_expression(said or _OLD_NAMES.get(told["License"], told["License"]))
