"""The alerts as plain data, their samples, and Prometheus' own programs to judge them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from tests.admin.test_metrics import TABLE
from tests.processes import Finished, require_program, run_program

ROOT: Final = Path(__file__).parents[2]
ALERTS: Final = ROOT / "helm" / "cognito-sidecar" / "files" / "alerts.yaml"
SAMPLES: Final = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
RUNBOOK: Final = ROOT / "docs" / "runbook.md"

METRIC: Final = re.compile(r"cognito_sidecar_\w+")
LABELS: Final = {f"cognito_sidecar_{name}": labels for name, _, labels in TABLE} | {
    f"cognito_sidecar_{name}_{part}": labels
    for name, kind, labels in TABLE
    if kind == "histogram"
    for part in ("count", "bucket")
}
"""Of every metric that can be asked for."""

TARGET_LABELS: Final = frozenset({"namespace", "job", "pod", "instance"})
"""What Prometheus puts on every series of a target."""

Rule = dict[str, Any]


def rules() -> list[Rule]:
    """Every rule of the file, in its order. Two of one name differ in severity."""
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def names() -> list[str]:
    """The alerts' names, each once."""
    return list(dict.fromkeys(rule["alert"] for rule in rules()))


async def promtool(*arguments: str, stdin: bytes = b"") -> Finished:
    return await run_program(require_program("promtool"), *arguments, stdin=stdin)
