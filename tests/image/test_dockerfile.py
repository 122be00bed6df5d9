"""The Dockerfile as a text: what a linter says of it, and what no linter knows."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from proxy.version import __version__
from tests.processes import require_program, run_program

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FINAL = TEXT.rpartition("\nFROM ")[2]


async def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    code, stdout, stderr = await run_program(str(hadolint), "--no-color", str(ROOT / "Dockerfile"))
    assert (code, stdout, stderr) == (0, b"", b"")


def test_everything_comes_from_a_lock_or_from_here() -> None:
    commands = re.findall(r"pip (?:--python \S+ )?(?:wheel|install)(?:[^\\&|]|\\\n)*", TEXT)
    assert len(commands) == 5
    for command in commands:
        assert "--no-deps" in command
        assert "--require-hashes" in command or "--no-index" in command


def test_dependencies_come_before_code() -> None:
    assert TEXT.index("--requirement") < TEXT.index("COPY proxy")
    assert FINAL.index("--from=dependencies") < FINAL.index("--from=program")


@pytest.mark.parametrize(
    "line",
    [
        "USER 10001:10001",
        "STOPSIGNAL SIGTERM",
        'ENTRYPOINT ["cognito-sidecar"]',
        'CMD ["run"]',
        'CMD ["cognito-sidecar", "healthcheck"]',
    ],
)
def test_the_last_stage_says(line: str) -> None:
    assert line in FINAL


def test_the_last_stage_runs_nothing() -> None:
    assert "RUN" not in FINAL


async def test_make_names_it_by_its_version_as_the_charts_ask_for_it(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n", encoding="utf-8")
    docker.chmod(0o755)
    require_program("make")
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    code, stdout, stderr = await run_program("make", "-C", str(ROOT), "image", "ARGS=--build-arg EXTRAS=aws", env=path)
    assert (code, stderr) == (0, b"")
    told = stdout.decode().splitlines()
    given = told[told.index("build") : told.index(".") + 1]
    assert given[1:5] == ["--tag", "cognito-sidecar", "--tag", f"cognito-sidecar:{__version__}"]
    assert f"VERSION={__version__}" in given
    assert any(re.fullmatch("REVISION=([0-9a-f]{40,})?", word) for word in given)
    assert given[-3:] == ["--build-arg", "EXTRAS=aws", "."]
    assert {word.partition("=")[0] for word in given if "=" in word} <= set(
        re.findall(r"^ARG (\w+)", TEXT, re.MULTILINE)
    )


def test_the_base_is_a_python_that_the_project_supports() -> None:
    version = re.search(r"^ARG PYTHON=python:(3\.\d+)-slim$", TEXT, re.MULTILINE)
    assert version
    assert f'Python :: {version[1]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_builder_gets_nothing_but_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        word.partition("/")[0]
        for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert copied == let_in
