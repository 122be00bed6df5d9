"""The Grafana dashboard: what a person looks at when an alert has fired, and on other days.

`python -m helm.dashboard --write` writes the chart's files/dashboard.json, `--check` says whether it is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from helm.grafana import Json, annotation, dashboard, source_variable, variable
from helm.panels import at_a_glance, connections, program, requests, tokens
from helm.promql import sidecar
from helm.writing import write_or_check

HERE: Final = Path(__file__).parent


def page() -> Json:
    """The whole dashboard."""
    loaded = sidecar("config_reloads_total", 'result="success"')
    chosen = 'namespace=~"$namespace", job=~"$job"'
    return dashboard(
        "cognito-sidecar",
        "cognito-sidecar",
        "Tokens, requests and alerts of cognito-sidecar. Alerts and what to do: docs/runbook.md.",
        [at_a_glance(), tokens(), requests(), connections(), program()],
        [
            source_variable(),
            variable("namespace", "Namespace", "cognito_sidecar_build_info", of="namespace"),
            variable("job", "Job", 'cognito_sidecar_build_info{namespace=~"$namespace"}', of="job"),
            variable("instance", "Instance", f"cognito_sidecar_build_info{{{chosen}}}", of="instance"),
            variable("upstream", "Upstream", f"cognito_sidecar_token_usable{{{chosen}}}", of="upstream"),
        ],
        [
            annotation(
                "Configuration loaded",
                f"sum by (instance) (increase({loaded}[1m])) > 0",
                "{{instance}}",
            )
        ],
    )


FILES: Final = {HERE / "cognito-sidecar" / "files" / "dashboard.json": page}


def main(arguments: list[str]) -> int:
    """Write the file, or say that it is not what it would be written as."""
    return write_or_check(FILES, arguments, HERE.parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
