"""Builds the image for real, without a registry: on a stand-in for Python's own image, from packages on this machine.

The stand-in is a minimal Debian with the Python that runs the tests, under the name that the Dockerfile asks for; so
what is tried is every step of the Dockerfile, and not the base's version. It is kept by the builder's storage and
made anew only when this file or that Python changes. The packages are those of the locks, hash by hash, handed in as
a mirror by the `pip` secret, as a team with a mirror of its own does it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.processes import lacking, require_program, run_program

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = "localhost/cognito-sidecar:test"
_PATIENCE: Final = 540.0
_LIBRARIES: Final = "libssl3,libffi8,zlib1g,libbz2-1.0,liblzma5,libexpat1,libsqlite3-0,ca-certificates"
_PODMAN: Final = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")


class Layer(NamedTuple):
    """One layer of an image, the newest first."""

    size: str
    made_by: str


class Builder:
    """buildah and podman, as root, in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid():
            lacking("building the image without a service takes root")
        for program in ("buildah", "podman", "runc", "debootstrap"):
            require_program(program)
        self._folder = folder
        self._policy = folder / "policy.json"
        self._policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))

    async def build(self, *arguments: str) -> str:
        """Build the image on the stand-in; `arguments` are more of the builder's. What the builder said."""
        await self._stand_in()
        mirror = await self._mirror()
        pip = self._folder / "pip.conf"
        pip.write_text("[global]\nno-index = true\nfind-links = /mirror\n")
        return await _said(
            *("buildah", "bud", "--layers", "--isolation", "chroot", "--format", "docker", "--pull-never"),
            *("--signature-policy", str(self._policy), "--timestamp", "0"),
            *("--secret", f"id=pip,src={pip}", "--volume", f"{mirror}:/mirror:ro"),
            *("--tag", IMAGE, *arguments, str(ROOT)),
        )

    async def layers(self) -> list[Layer]:
        told = await _said(*_PODMAN, "history", "--format", "{{.Size}}\t{{.CreatedBy}}", IMAGE)
        return [Layer(*line.split("\t", 1)) for line in told.splitlines() if not line.startswith("0 B")]

    async def labels(self) -> dict[str, str]:
        told = await _said(*_PODMAN, "image", "inspect", "--format", "{{json .Labels}}", IMAGE)
        return dict(json.loads(told))

    def command(self, config: Path, *arguments: str) -> tuple[str, ...]:
        """What runs the image as strictly as a cluster does: read-only, unprivileged, without any capability."""
        return (
            *_PODMAN,
            *("run", "--rm", "--no-healthcheck", "--network", "host", "--read-only", "--cap-drop", "all"),
            *("--user", "10001:10001", "--security-opt", "no-new-privileges"),
            # Less than the machine's own: without privileges nobody can raise them.
            *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"),
            *("--volume", f"{config}:/etc/cognito-sidecar:ro", IMAGE, *arguments),
        )

    async def _stand_in(self) -> None:
        name = f"localhost/{_base_name()}"
        recipe = _recipe()
        known = await run_program("buildah", "inspect", "--type", "image", name)
        if known.code == 0 and recipe in known.stdout.decode():
            return
        root = self._folder / "root"
        own = Path(sys.base_prefix) != Path("/usr")
        packages = _LIBRARIES if own else f"{_LIBRARIES},python3,python3-venv,python3-pip"
        await _said("debootstrap", "--variant=minbase", f"--include={packages}", _release(), str(root))
        local = root / "usr" / "local"
        if own:
            _copy_python(local)
        else:
            (local / "bin" / "python").symlink_to("/usr/bin/python3")
            for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
                marker.unlink()
        await _said("chroot", str(root), "ldconfig")
        container = (await _said("buildah", "from", "--signature-policy", str(self._policy), "scratch")).strip()
        await _said("buildah", "add", "--quiet", container, str(root), "/")
        path = "/usr/local/bin:/usr/bin:/bin"
        await _said("buildah", "config", "--env", f"PATH={path}", "--label", f"recipe={recipe}", container)
        await _said("buildah", "commit", "--rm", "--quiet", "--signature-policy", str(self._policy), container, name)
        shutil.rmtree(root)

    async def _mirror(self) -> Path:
        mirror = self._folder / "mirror"
        for lock in ("run", "aws", "redis", "build"):
            await _said(
                *(
                    sys.executable,
                    "-m",
                    "pip",
                    "--disable-pip-version-check",
                    "download",
                    "--quiet",
                    "--require-hashes",
                ),
                *("--no-deps", "--only-binary", ":all:", "--dest", str(mirror)),
                *("--requirement", str(ROOT / "requirements" / f"{lock}.txt")),
            )
        return mirror


def _base_name() -> str:
    found = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "the Dockerfile names its base image"
    return found[1]


def _recipe() -> str:
    """Changes when the stand-in has to be made anew."""
    return hashlib.sha256(Path(__file__).read_bytes() + sys.version.encode()).hexdigest()[:16]


def _release() -> str:
    """This machine's own: its Python fits the libraries of no other."""
    found = re.search(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(encoding="utf-8"))
    return found[1] if found else "stable"


def _copy_python(local: Path) -> None:
    """This Python, with pip and without everything else that was installed into it, to `local`."""
    prefix, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    for library in prefix.glob("lib/libpython*.so*"):
        shutil.copy(library, local / "lib", follow_symlinks=False)
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*")
    shutil.copytree(prefix / "lib" / version, local / "lib" / version, symlinks=True, ignore=left_out)
    packages = local / "lib" / version / "site-packages"
    shutil.copytree(prefix / "lib" / version / "site-packages" / "pip", packages / "pip")
    shutil.copy(prefix / "bin" / version, local / "bin")
    for name in ("python3", "python"):
        (local / "bin" / name).symlink_to(version)
    pip = local / "bin" / "pip"
    pip.write_text("#!/usr/local/bin/python\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n")
    pip.chmod(0o755)


async def _said(*command: str) -> str:
    """Run a command that must succeed; its standard output."""
    code, stdout, stderr = await run_program(*command, patience=_PATIENCE)
    assert code == 0, f"{command[:3]} ended with {code}:\n{stdout.decode()[-4000:]}\n{stderr.decode()[-4000:]}"
    return stdout.decode()
