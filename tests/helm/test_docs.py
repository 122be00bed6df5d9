"""What docs/kubernetes.md shows can be typed in."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.documents import blocks
from tests.helm.rig import APPLICATION, CASES, CONSUMER, LIBRARY, ROOT, documents, template, tool
from tests.processes import run_program

PAGE = ROOT / "docs" / "kubernetes.md"
TEXT = PAGE.read_text(encoding="utf-8")
QUOTED = re.compile(r"# (helm/\S+)\n(.*)", re.DOTALL)


def _values() -> list[str]:
    return [block for block in blocks(TEXT, "yaml") if not QUOTED.match(block)]


@pytest.mark.parametrize("block", [block for block in blocks(TEXT, "yaml") if QUOTED.match(block)])
def test_what_is_quoted_is_there(block: str) -> None:
    quoted = QUOTED.fullmatch(block)
    assert quoted
    source = (ROOT / quoted[1]).read_text(encoding="utf-8")
    assert textwrap.dedent(quoted[2]) in textwrap.dedent(source) or quoted[2] in source


def test_the_first_ten_minutes_quote_everything_that_the_app_adds() -> None:
    # Ten lines, and each of them is shown.
    shown = "\n".join(block for block in blocks(TEXT, "yaml") if QUOTED.match(block))
    chart = CASES["legacy-app"].path
    lines = [
        line
        for path in chart.rglob("*.yaml")
        if "charts" not in path.relative_to(chart).parts
        for line in path.read_text(encoding="utf-8").splitlines()
        if "cognito-sidecar." in line or "cognitoSidecar" in line
    ]
    assert len(lines) == 6
    assert [line for line in lines if line.strip() not in shown] == []


def test_a_chart_for_old_and_new_clusters_is_one_that_is_rendered_for_both() -> None:
    (block,) = blocks(TEXT, "gotemplate")
    source = (CONSUMER / "templates" / "pods.yaml").read_text(encoding="utf-8")
    parts = block.split("      …\n")
    assert len(parts) == 2
    assert [part for part in parts if part not in source] == []


@pytest.mark.parametrize("block", _values(), ids=range(len(_values())))
async def test_values_render_on_top_of_the_example(block: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(block, encoding="utf-8")
    case = CASES["legacy-app" if block.startswith("cognitoSidecar:") else "monitoring"]
    ran = await template("helm4", case._replace(values=(file,)))
    assert ran.code == 0, ran.stderr.decode()
    assert documents(ran.stdout.decode())


async def test_what_is_rendered_can_be_checked_without_a_cluster(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(TEXT, "sh") if "annotate --local" in block)
    chart = tmp_path / "legacy-app"
    shutil.copytree(CASES["legacy-app"].path, chart)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, path in (("helm", tool("helm4")), ("kubectl", tool("kubectl"))):
        (programs / name).symlink_to(path)
    env = {"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    ran = await run_program("sh", "-c", f"set -e; cd '{chart}'\n{block}", env=env)
    assert (ran.code, ran.stderr.decode()) == (0, "")
    assert ran.stdout.decode().startswith("orders: 127.0.0.1:8080/ -> https://abc123.")
    # And it says what no template does.
    values = (chart / "values.yaml").read_text(encoding="utf-8")
    (chart / "values.yaml").write_text(values + "        allow: [{paths: ['/a**b']}]\n", encoding="utf-8")
    ran = await run_program("sh", "-c", f"cd '{chart}'\n{block}", env=env)
    assert ran.code == 2
    assert "upstreams.orders.allow[0].paths[0]" in ran.stderr.decode()


def test_there_are_such_values() -> None:
    assert len(_values()) >= 6


def test_the_charts_say_what_is_in_them() -> None:
    readme = (LIBRARY / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(cognito-sidecar\.\w+)`", readme, re.MULTILINE))
    used = {
        name
        for name in ("legacy-app", "cronjob")
        for path in CASES[name].path.glob("templates/*")
        for name in re.findall(r'include "([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert told == used
    (least,) = blocks((APPLICATION / "README.md").read_text(encoding="utf-8"), "yaml")
    (smallest,) = CASES["smallest"].values
    assert least == smallest.read_text(encoding="utf-8")


def test_the_sizes_told_are_the_defaults() -> None:
    values = yaml.safe_load((LIBRARY / "values.yaml").read_text(encoding="utf-8"))
    requests, limits = values["resources"]["requests"], values["resources"]["limits"]
    told = f"{requests['cpu'].replace('m', ' m')} of CPU and {requests['memory'].replace('Mi', ' MiB')}"
    assert f"{told} with a limit of {limits['memory'].replace('Mi', ' MiB')}" in TEXT.replace("\n", " ")
