"""What is installed: the locks hold what the project requires, and the page of dependencies tells the truth of them."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from itertools import chain
from typing import Any

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from requirements.locks import HERE, PROJECT, Locked, licence, lock

LOCKS = ["run.txt", "aws.txt", "redis.txt", "dev.txt", "proof.txt", "kubernetes.txt", "helm.txt", "bench.txt", "uv.txt"]
PAGE = HERE.parent / "docs" / "dependencies.md"


@cache
def _project() -> dict[str, Any]:
    return tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))


def _required(name: str) -> list[Requirement]:
    """What a lock file, or with "" all of them together, must hold."""
    project = _project()
    groups = project["dependency-groups"]
    extras = project["project"]["optional-dependencies"]
    lines = {
        "run.txt": project["project"]["dependencies"],
        "aws.txt": project["project"]["dependencies"] + extras["aws"],
        "redis.txt": project["project"]["dependencies"] + extras["redis"],
        "dev.txt": project["project"]["dependencies"] + project["build-system"]["requires"] + groups["dev"],
        "proof.txt": groups["proof"],
        "kubernetes.txt": _listed("kubernetes.in"),
        "helm.txt": _listed("helm.in"),
        "bench.txt": _listed("bench.in"),
        "uv.txt": _listed("uv.in"),
    }
    return [Requirement(line) for line in lines.get(name) or chain(*lines.values())]


def _listed(name: str) -> list[str]:
    """What a list beside the locks asks for, without its comments."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in (line.partition("#")[0].strip() for line in lines) if line]


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_holds_what_the_project_requires(name: str) -> None:
    locked = lock(name)
    for required in _required(name):
        version = locked[canonicalize_name(required.name)].version
        assert required.specifier.contains(version), f"{required} is locked as {version}: make lock"
    assert [package for package, one in locked.items() if not one.hashes] == []


@pytest.mark.parametrize(
    ("name", "other"),
    [
        *(("run.txt", other) for other in ("dev.txt", "aws.txt", "redis.txt")),
        *((one, "proof.txt") for one in ("aws.txt", "redis.txt", "dev.txt")),
    ],
)
def test_users_and_developers_get_the_same_files(name: str, other: str) -> None:
    one, two = lock(name), lock(other)
    assert {package for package in one.keys() & two.keys() if one[package][:2] != two[package][:2]} == set()


@pytest.mark.parametrize("whole", ["aws.txt", "redis.txt", "dev.txt"])
def test_a_lock_that_is_installed_alone_is_complete(whole: str) -> None:
    assert lock("run.txt").keys() - lock(whole).keys() == set()


@pytest.mark.parametrize("name", [*(f"requirements/{name}" for name in LOCKS), "tests/interop/oidc/package-lock.json"])
def test_locks_name_no_registry(name: str) -> None:
    # Whoever installs decides where from. A host in a lock would be asked even where another one is configured.
    text = (HERE.parent / name).read_text(encoding="utf-8")
    assert re.findall(r'--(?:extra-)?index-url|--find-links|^.* @ \S+://.*$|"resolved"', text, re.MULTILINE) == []


# ------------------------------------------------------------------------------------- what is said of each of them


class Row(dict[str, str]):
    """A line of a table of the page, by its column's title."""


def _tables() -> dict[str, dict[NormalizedName, Row]]:
    """The rows of the tables of packages, by the heading above and the package's name."""
    found: dict[str, dict[NormalizedName, Row]] = {}
    for part in re.split(r"^#+ ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("|")]
        if rows and rows[0][0] == "package":
            titles = rows[0]
            found[part.splitlines()[0]] = {
                canonicalize_name(row[0].strip("`")): Row(zip(titles, row, strict=True)) for row in rows[2:]
            }
    return found


def _with_extras() -> dict[NormalizedName, Locked]:
    """The program with all of its extras."""
    return lock("aws.txt") | lock("redis.txt")


def _shipped() -> dict[NormalizedName, Row]:
    tables = _tables()
    return tables["The program"] | tables["What these bring with them"] | tables["Extras"]


def test_every_dependency_is_accounted_for() -> None:
    named = set(chain(*_tables().values()))
    required = {canonicalize_name(one.name) for one in _required("")} | _with_extras().keys()
    assert required - named == set(), "docs/dependencies.md has a line for each dependency"
    assert named - required - {"oidc-provider"} == set(), "docs/dependencies.md names what is not used"


def test_programs_and_images_from_elsewhere_are_accounted_for() -> None:
    """Those that CI installs, and those that the image is built on."""
    installed = (HERE.parent / ".ci" / "run").read_text(encoding="utf-8")
    listed = re.findall(r"for program in ([\w -]+); do|lacking\+=\(([\w-]+)\)", installed)
    images = re.findall(r"(?m)^ARG PYTHON=(\S+)$", (HERE.parent / "Dockerfile").read_text(encoding="utf-8"))
    needed = {*" ".join(chain(*listed)).split(), *images}
    assert {"buildah", "prometheus", "python3-venv"} < needed
    told = re.search(r"(?m)^## The image$.*", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert told is not None
    assert {*re.findall(r"(?m)^\| `([^`]+)` \|", told[0])} == needed


def test_every_line_says_why_and_who_looks_after_it() -> None:
    lines = [row for table in _tables().values() for row in table.values()]
    assert [row["package"] for row in lines if not (row["why"] and row["licence"] and row["upkeep"])] == []


def test_what_ships_is_all_there_and_nothing_else() -> None:
    tables = _tables()
    run, extras = lock("run.txt"), _with_extras()
    direct = {package for package, one in run.items() if PROJECT in one.via}
    assert tables["The program"].keys() == direct
    assert tables["What these bring with them"].keys() == run.keys() - direct
    assert tables["Extras"].keys() == extras.keys() - run.keys()


def test_the_page_says_who_brings_a_package_in() -> None:
    told = {
        package: [canonicalize_name(name) for name in re.findall("`([^`]+)`", row["brought by"])]
        for package, row in _shipped().items()
        if row.get("brought by")
    }
    indirect = {package: [*one.via] for package, one in _with_extras().items() if PROJECT not in one.via}
    assert told == indirect


def test_the_page_says_the_licence_that_the_package_says() -> None:
    told = {package: canonicalize_license_expression(row["licence"]) for package, row in _shipped().items()}
    assert told == {package: licence(package) for package in _with_extras()}


@pytest.mark.parametrize(("package", "expression"), [("aiosignal", "Apache-2.0"), ("uvloop", "Apache-2.0 OR MIT")])
def test_words_from_before_licence_expressions_are_understood(package: str, expression: str) -> None:
    assert licence(package) == expression
