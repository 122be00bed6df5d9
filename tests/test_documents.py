"""What every Markdown file says of the program and of its neighbours is so: links, commands, options, keys, names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

from proxy.cli.root import COMMANDS, root
from proxy.errors import KINDS
from tests.documents import ROOT, leads_somewhere

PAGES: Final = sorted(path for pattern in ("*.md", "docs/**/*.md", "helm/**/*.md") for path in ROOT.glob(pattern))

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CALL = re.compile(r"cognito-sidecar (\w+)((?:[^|;&>`\n\\]|\\\n)*)")
_METRIC = re.compile(r"\bcognito_sidecar_[a-z_]+")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """What stands in the text as code."""
    return _SPAN.findall(prose(page))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def every(*, but: str = "") -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", [page for page in PAGES if named(page) != but], ids=named)


def test_there_are_pages() -> None:
    assert {"README.md", "SECURITY.md", "docs/walkthrough.md", "docs/reference/commands.md"} <= {*map(named, PAGES)}


@every()
def test_each_link_leads_somewhere(page: Path) -> None:
    targets = [target for target in _LINK.findall(_SPAN.sub("", prose(page))) if not target.startswith("https://")]
    assert [target for target in targets if not leads_somewhere(target, page)] == []


@every()
def test_each_row_of_a_table_has_its_columns(page: Path) -> None:
    """A `|` ends a cell, in code too, unless a backslash is before it (GitHub Flavored Markdown, "Tables")."""
    wrong, columns = [], 0
    for line in prose(page).splitlines():
        found = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if columns and found and found != columns:
            wrong.append(line)
        columns = (columns or found) if found else 0
    assert wrong == []


@every()
def test_each_command_and_each_of_its_options_exists(page: Path) -> None:
    assert [*unknown(page.read_text(encoding="utf-8"))] == []


def unknown(text: str) -> Iterator[str]:
    """Calls in a text that the program would not take."""
    calls = [*_CALL.findall(text), *(tuple(span.split(" ", 1)) for span in _SPAN.findall(text) if " " in span)]
    for name, rest in calls:
        if name not in COMMANDS:
            continue
        command = root.get_command(click.Context(root), name)
        assert command is not None
        known = {option for param in command.params for option in param.opts} | {"--help"}
        yield from (f"{name} {option}" for option in re.findall(r"(?<![\w-])--[a-z-]+", rest) if option not in known)


def test_an_option_that_does_not_exist_is_found() -> None:
    assert [*unknown("`check --all`, `cognito-sidecar run --config x --verbose | less --raw`")] == [
        "run --verbose",
        "check --all",
    ]


@cache
def keys() -> frozenset[str]:
    """Every key of the configuration, with those that it is in: `auth`, `auth.tls`, `auth.tls.ca_file`."""

    def below(value: Any, path: str) -> Iterator[str]:
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield f"{path}{key}"
            yield from below(inner, f"{path}{key}.")

    example = yaml.safe_load((ROOT / "config.example.yaml").read_text(encoding="utf-8"))
    [upstream] = example.pop("upstreams").values()
    return frozenset([*below(example, ""), *below(upstream, "")])


@every()
def test_each_key_of_the_configuration_exists(page: Path) -> None:
    groups = "|".join(sorted({key.partition(".")[0] for key in keys() if "." in key}))
    written = re.compile(rf"(?:upstreams\.\w+\.)?((?:{groups})(?:\.[a-z_]+)+)(?:: .*)?")
    found = [match[1] for span in spans(page) if (match := written.fullmatch(span))]
    assert [key for key in found if key not in keys() and not key.endswith((".yaml", ".md", ".py"))] == []


@every(but="docs/metrics.md")
def test_each_metric_is_described(page: Path) -> None:
    described = {*_METRIC.findall((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"))}
    found = {re.sub(r"_(bucket|sum|count)$", "", name) for name in _METRIC.findall(page.read_text(encoding="utf-8"))}
    assert {name for name in found if not name.endswith("_")} - described == set()


@every()
def test_each_environment_variable_is_read(page: Path) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "proxy").rglob("*.py"))
    found = {*re.findall(r"\bCOGNITO_SIDECAR_[A-Z_]+", page.read_text(encoding="utf-8"))}
    assert {name for name in found if name not in sources} == set()


def test_each_answer_of_the_sidecars_own_is_in_the_troubleshooting() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert {name for name in KINDS if f"| `{name}` |" not in text} == set()
