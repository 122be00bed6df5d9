"""`make sbom` tells what the locks hold, in a form that others' programs accept."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from proxy.version import __version__
from requirements import sbom as making
from requirements.locks import HERE, lock
from requirements.sbom import OUTPUTS, sbom

LOCKS = sorted(OUTPUTS.values())


@pytest.fixture(scope="module", params=LOCKS)
def made(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """A lock's name, and the document for it. `sbom` has validated it against CycloneDX's own schema."""
    return request.param, json.loads(_sbom(request.param))


_sbom = cache(sbom)


def test_the_main_component_is_this_program(made: tuple[str, dict[str, Any]]) -> None:
    _, document = made
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    main = document["metadata"]["component"]
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (main["name"], main["version"], main["type"]) == (project["name"], __version__, "application")
    assert [entry["license"]["id"] for entry in main["licenses"]] == [project["license"]]


def test_components_are_what_the_lock_holds(made: tuple[str, dict[str, Any]]) -> None:
    name, document = made
    locked = lock(name)
    assert {one["name"]: one["version"] for one in document["components"]} == {
        package: entry.version for package, entry in locked.items()
    }
    for component in document["components"]:
        [distribution] = component["externalReferences"]
        hashes = {one["content"] for one in distribution["hashes"] if one["alg"] == "SHA-256"}
        assert hashes == set(locked[component["name"]].hashes)
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert component["licenses"][0]["expression"]
        assert component["description"]


def test_who_requires_whom(made: tuple[str, dict[str, Any]]) -> None:
    name, document = made
    plain = {
        re.sub(r"pkg:pypi/(.*)@.*", r"\1", one["ref"]): {
            re.sub(r"pkg:pypi/(.*)@.*", r"\1", ref) for ref in one["dependsOn"]
        }
        for one in document["dependencies"]
    }
    assert plain.keys() == lock(name).keys() | {"cognito-sidecar"}
    assert plain["aiosignal"] == {"frozenlist", "typing-extensions"}
    assert {"aiohttp", "pyjwt", "uvloop"} <= plain["cognito-sidecar"]
    assert ("boto3" in plain["cognito-sidecar"]) is (name == "aws.txt")
    # Each package has a way from the program to it.
    reached, ahead = set(), {"cognito-sidecar"}
    while ahead:
        reached |= ahead
        ahead = set().union(*(plain[one] for one in ahead)) - reached
    assert reached == plain.keys()


def test_the_same_locks_give_the_same_bytes() -> None:
    first = _sbom("run.txt")
    assert sbom("run.txt") == first
    assert str(HERE.parent) not in first


def test_a_document_that_breaks_the_schema_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(making, "_from_lock", lambda _: {"metadata": {"component": {}}, "components": []})
    with pytest.raises(ValueError, match="not valid CycloneDX"):
        sbom("run.txt")
