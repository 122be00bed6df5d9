"""`make sbom`: what the program ships with, as CycloneDX documents (JSON, specification 1.6) in `build/`.

    sbom.cdx.json       the program: run.txt
    sbom-aws.cdx.json   the program with the extra `aws`: aws.txt
    sbom-redis.cdx.json the program with the extra `redis`: redis.txt

cyclonedx-py reads the lock, hashes included. What no lock says is added here: the program's own version, licences
and descriptions from the installed packages' metadata, and who requires whom. From the same locks come the same
bytes, so that two documents can be compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from proxy.version import __version__
from requirements.locks import HERE, PROJECT, about, licence, lock

OUTPUTS: Final = {"sbom.cdx.json": "run.txt", "sbom-aws.cdx.json": "aws.txt", "sbom-redis.cdx.json": "redis.txt"}


def sbom(name: str) -> str:
    """The document for one lock, validated. Raises ValueError for one that breaks the schema."""
    document = _with_what_no_lock_says(_from_lock(name), name)
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise ValueError(f"not valid CycloneDX: {error}")
    return text


def _from_lock(name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--sv", "1.6", "--output-reproducible"]
    project = ["--pyproject", str(HERE.parent / "pyproject.toml"), str(HERE / name)]
    # Its warning that nothing depends on anything is met below.
    ran = subprocess.run([*command, *project], capture_output=True, check=False)
    if ran.returncode:
        raise ValueError(ran.stderr.decode(errors="replace"))
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def _with_what_no_lock_says(document: dict[str, Any], name: str) -> dict[str, Any]:
    locked = lock(name)
    refs = {package: f"pkg:pypi/{package}@{one.version}" for package, one in locked.items()}
    refs[PROJECT] = f"pkg:pypi/{PROJECT}@{__version__}"
    document["metadata"]["component"] |= {
        "bom-ref": refs[PROJECT],
        "purl": refs[PROJECT],
        "version": __version__,
    }
    for component in document["components"]:
        package = component["name"]
        component |= {
            "bom-ref": refs[package],
            "description": about(package)["Summary"],
            "licenses": [{"expression": licence(package), "acknowledgement": "declared"}],
        }
    document["dependencies"] = [
        {"ref": ref, "dependsOn": sorted(refs[one] for one, entry in locked.items() if package in entry.via)}
        for package, ref in sorted(refs.items())
    ]
    return document


def main() -> None:
    """Write all documents into the directory that is given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for output, name in OUTPUTS.items():
        (folder / output).write_text(sbom(name), encoding="utf-8")
        print(f"{folder / output}: {len(lock(name))} packages")


if __name__ == "__main__":
    main()
