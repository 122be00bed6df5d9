"""Nothing is installed whose hash is not in a lock: the way `make` takes, with a lock that somebody tampered with."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from requirements.locks import HERE
from tests.processes import require_program, run_program

ROOT = HERE.parent


def _toy(folder: Path) -> str:
    """A package made on the spot, and the SHA-256 of its one file."""
    info = "toy-1.dist-info"
    files = {
        "toy.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    wheel = folder / "toy-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{name},sha256={digest},{len(text)}")
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.mark.parametrize("lock", ["dev.txt", "proof.txt"])
async def test_make_refuses_what_is_not_in_the_lock(tmp_path: Path, lock: str) -> None:
    make = require_program("make")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("requirements", "proxy"):
        (tmp_path / folder).mkdir()
    (tmp_path / "proxy" / "version.py").touch()
    good = _toy(tmp_path)
    venv = tmp_path / "venv"
    created = await run_program(sys.executable, "-m", "venv", str(venv))
    assert created.code == 0, created.stderr.decode()
    target = ".installed"
    if lock == "proof.txt":
        # As if the first half had been installed already.
        (tmp_path / "requirements" / "dev.txt").touch()
        (venv / ".installed").touch()
        target = ".proof"

    async def install(line: str) -> tuple[int, str]:
        (tmp_path / "requirements" / lock).write_text(f"{line}\n")
        env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}
        ran = await run_program(make, "-C", str(tmp_path), f"VENV={venv}", f"{venv}/{target}", env=env)
        return ran.code, ran.stderr.decode()

    def installed() -> bool:
        return any(venv.glob("lib/*/site-packages/toy.py"))

    wrong = f"{int(good[0], 16) ^ 1:x}{good[1:]}"
    code, said = await install(f"toy==1 --hash=sha256:{wrong}")
    assert code != 0
    assert "DO NOT MATCH THE HASHES" in said
    assert not installed()
    code, said = await install("toy==1")
    assert code != 0
    assert "Hashes are required" in said
    assert not installed()
    # Only so does it show that it was the hash: with the right one, the package is installed.
    _, said = await install(f"toy==1 --hash=sha256:{good}")
    assert installed(), said


def _installs(text: str) -> list[str]:
    return re.findall(r".*\bpip\b.*\binstall\b.*|.*\$\(\w*PIP\) (?:install|download).*", text)


@pytest.mark.parametrize("name", ["Makefile", ".ci/run"])
def test_every_installation_goes_by_a_lock(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    for line in _installs(text):
        locked = "--require-hashes" in line and "--no-deps" in line
        local = "--no-index" in line and "--no-build-isolation" in line
        assert locked or local, line


def test_node_packages_have_hashes_too() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "npm ci " in makefile
    assert "npm install" not in makefile
    lock = json.loads((ROOT / "tests" / "interop" / "oidc" / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")] == []
