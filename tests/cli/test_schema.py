"""`schema`: a JSON Schema that tools can read."""

from __future__ import annotations

import json

from proxy.config import json_schema
from tests.cli.conftest import Run


def test_schema_is_json_and_the_configurations_own(command: Run) -> None:
    outcome = command("schema")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out) == json_schema()
