"""What is rendered is what each version of Kubernetes takes, and what those who look for weaknesses let pass."""

from __future__ import annotations

import asyncio
import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from tests.helm.rig import CASES, Document, rendered, run, written
from tests.processes import Finished

VERSIONS: Final = [f"1.{minor}" for minor in range(25, 38)]
BEFORE_NATIVE: Final = {"1.25", "1.26", "1.27", "1.28"}
WITHOUT_SIDECAR: Final = {"namespace", "smallest", "everything", "monitoring", "consumer-before-1.29"}
"""Cases without a native sidecar: they are for every version."""

OF_OPERATORS: Final = {"PodMonitor", "PrometheusRule", "ServiceMonitor"}
"""Kinds that are not Kubernetes' own."""


async def _all(*, native: bool = True) -> dict[str, list[Document]]:
    """What all cases render to; without `native` those that the versions before it are for, as for the oldest."""
    cases = {name: case for name, case in CASES.items() if native or name in WITHOUT_SIDECAR}
    found = await asyncio.gather(
        *(rendered(case, *(() if native else ("--kube-version=1.25.0",))) for case in cases.values())
    )
    return dict(zip(cases, found, strict=True))


async def _validate(documents: dict[str, list[Document]]) -> list[str]:
    checker = Path(__file__).with_name("validate.py")
    code, stdout, stderr = await run("python", str(checker), stdin=json.dumps(documents).encode())
    assert code == 0, stderr.decode()
    return list(json.loads(stdout))


async def test_each_version_of_kubernetes_takes_them() -> None:
    old, new = await _all(native=False), await _all()
    by_version = {
        version: [
            document
            for documents in (old if version in BEFORE_NATIVE else new).values()
            for document in documents
            if document["kind"] not in OF_OPERATORS
        ]
        for version in VERSIONS
    }
    assert all(len(documents) > 20 for documents in by_version.values())
    assert await _validate(by_version) == []


async def test_a_version_without_native_sidecars_does_not() -> None:
    # Otherwise the test above could not fail.
    refused = await _validate({"1.27": await rendered(CASES["legacy-app"])})
    assert len(refused) == 1
    assert "'restartPolicy' was unexpected" in refused[0]


# -------------------------------------------------------------------------------------------------- weaknesses

NO_CPU_LIMIT = "a throttled proxy is latency for every request; a node's share is held by the request"
BY_TAG = "which digest is for whoever builds the image to say: image.digest"
IF_NOT_PRESENT = "a tag is a release, which does not change"
ENDS = "it runs to its end, and nothing waits for it"

EXCEPTIONS: Final = {
    ("CKV_K8S_11", "*"): NO_CPU_LIMIT,
    ("CKV_K8S_43", "*"): BY_TAG,
    ("CKV_K8S_15", "*"): IF_NOT_PRESENT,
    ("CKV_K8S_8", "Pod.shop.*-ready"): ENDS,
    ("CKV_K8S_9", "Pod.shop.*-ready"): ENDS,
    ("CKV2_K8S_6", "*"): "callers are the Deployment's concern: a test pod and an example listen to nobody",
}
"""What checkov finds and what stays, with the reason: by the number of its check and the object."""

OF_TESTS: Final = {"consumer", "consumer-before-1.29", "plain", "kustomize"}
"""Their own containers are bare on purpose, to leave room for what they show; the sidecar in them is the same."""


async def test_checkov_finds_nothing_that_is_not_meant(tmp_path: Path) -> None:
    for name, documents in (await _all()).items():
        if name not in OF_TESTS:
            (tmp_path / f"{name}.yaml").write_text(written(documents), encoding="utf-8")
    ran = await run(
        "checkov",
        *("--directory", str(tmp_path), "--framework", "kubernetes", "--skip-download"),
        *("--output", "json", "--quiet", "--compact", "--soft-fail"),
    )
    assert ran.code == 0, ran.stderr.decode()
    found = _findings(ran)
    unmeant = [f for f in found if not any(f[0] == check and fnmatch(f[1], name) for check, name in EXCEPTIONS)]
    assert unmeant == []
    idle = [one for one in EXCEPTIONS if not any(f[0] == one[0] and fnmatch(f[1], one[1]) for f in found)]
    assert idle == [], "exceptions for nothing"


def _findings(ran: Finished) -> list[tuple[str, str, str]]:
    report = json.loads(ran.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 200
    return [(one["check_id"], one["resource"], one["check_name"]) for one in report["results"]["failed_checks"]]
