"""Files of the charts that are written from code: `--write` writes them, `--check` says which are not up to date."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def write_or_check(files: Mapping[Path, Callable[[], Any]], arguments: Sequence[str], root: Path) -> int:
    """Write each file, as JSON, or say which are not what they would be written as; an exit code.

    `root` is what their paths are told relative to.
    """
    stale = []
    for path, content in files.items():
        text = json.dumps(content(), indent=2, ensure_ascii=False) + "\n"
        if [*arguments] == ["--write"]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
    for path in stale:
        print(f"{path.relative_to(root)} is not up to date: make docs")
    return 1 if stale else 0
