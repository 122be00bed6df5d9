"""Helm and kubectl for the tests: what there is to render, and what comes of it as plain data.

The programs are those that `make helm-tools` unpacks; no cluster and no registry is asked for anything.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import yaml

from requirements.programs import PROGRAMS
from tests.processes import Finished, lacking, run_program

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ROOT / ".kubernetes"
CHARTS: Final = ROOT / "helm"
LIBRARY: Final = CHARTS / "cognito-sidecar-lib"
APPLICATION: Final = CHARTS / "cognito-sidecar"
EXAMPLES: Final = CHARTS / "examples"
CONSUMER: Final = Path(__file__).parent / "consumer"
VALUES: Final = Path(__file__).parent / "values"

Helm = Literal["helm3", "helm4"]
HELMS: Final[tuple[Helm, ...]] = ("helm3", "helm4")

NAMESPACE: Final = "shop"
"""Of every release here."""

Document = dict[str, Any]


class Case(NamedTuple):
    """Something to render: a chart with values, or a kustomization, or manifests as they are."""

    path: Path
    values: tuple[Path, ...] = ()
    release: str = "demo"
    settings: tuple[tuple[str, str], ...] = ()
    """As for --set-json: paths of values, and JSON."""

    def having(self, **settings: str) -> Case:
        """The same with other values on top: `a__b="1"` is `a.b: 1`."""
        given = ((name.replace("__", "."), value) for name, value in settings.items())
        return self._replace(settings=(*self.settings, *given))


CASES: Final[dict[str, Case]] = {
    "legacy-app": Case(EXAMPLES / "legacy-app"),
    "cronjob": Case(EXAMPLES / "cronjob"),
    "plain": Case(EXAMPLES / "plain" / "legacy-app.yaml"),
    "kustomize": Case(EXAMPLES / "kustomize" / "overlay"),
    "namespace": Case(APPLICATION, (EXAMPLES / "namespace" / "values.yaml",), release="orders-api"),
    "shared-tokens": Case(APPLICATION, (EXAMPLES / "shared-tokens" / "values.yaml",), release="orders-api"),
    "smallest": Case(APPLICATION, (VALUES / "smallest.yaml",), release="cognito-sidecar"),
    "everything": Case(APPLICATION, (VALUES / "everything.yaml",)),
    "monitoring": Case(APPLICATION, (VALUES / "monitoring.yaml",)),
    "consumer": Case(CONSUMER),
    "consumer-before-1.29": Case(CONSUMER).having(cognitoSidecar__native="false", workerSidecar__native="false"),
}
"""Every example, and what the examples leave out. Each has a file in golden/."""

CHART_CASES: Final = [name for name, case in CASES.items() if (case.path / "Chart.yaml").exists()]


def tool(name: str) -> str:
    """The path of a program of `make helm-tools`."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        lacking(f"{name} is here for Linux on x86-64 only")
    path = TOOLS / ("bin" if name in PROGRAMS else "venv/bin") / name
    if not path.exists():
        lacking(f"{name} is not there: make helm-tools")
    return str(path)


async def run(name: str, *arguments: str, stdin: bytes = b"") -> Finished:
    """Run Helm, kubectl or a checker to its end; it sees nobody's configuration, cache or cluster."""
    with tempfile.TemporaryDirectory() as home:
        places = {f"HELM_{what}_HOME": home for what in ("CACHE", "CONFIG", "DATA")}
        env = {**places, "HOME": home, "KUBECONFIG": "/dev/null"}
        return await run_program(tool(name), *arguments, env=env, stdin=stdin, patience=55)


async def template(helm: Helm, case: Case, *arguments: str) -> Finished:
    """What `helm template` says of a case. The same question is asked once."""
    question = (
        helm,
        *("template", case.release, str(case.path), "--namespace", NAMESPACE),
        *(f"--values={path}" for path in case.values),
        *(f"--set-json={name}={value}" for name, value in case.settings),
        *arguments,
    )
    if question not in _answers:
        _answers[question] = await run(*question)
    return _answers[question]


_answers: Final[dict[tuple[str, ...], Finished]] = {}


async def rendered(case: Case, *arguments: str, helm: Helm = "helm4") -> list[Document]:
    """The manifests of a case, by kind and name. One that is refused fails the test."""
    if case.path.suffix == ".yaml":
        return documents(case.path.read_text(encoding="utf-8"))
    if (case.path / "kustomization.yaml").exists():
        code, stdout, stderr = await run("kubectl", "kustomize", str(case.path))
    else:
        code, stdout, stderr = await template(helm, case, *arguments)
    assert code == 0, stderr.decode()
    return documents(stdout.decode())


async def refusal(case: Case, *arguments: str, helm: Helm = "helm4") -> str:
    """Why a case is not rendered."""
    code, _, stderr = await template(helm, case, *arguments)
    assert code != 0, "it was rendered"
    return stderr.decode()


def documents(text: str) -> list[Document]:
    """The documents of a YAML text that hold anything, in an order that no version of Helm changes."""
    found = [document for document in yaml.safe_load_all(text) if document]
    return sorted(found, key=lambda document: (document["kind"], document["metadata"]["name"]))


def written(found: Iterable[Document]) -> str:
    """Documents as a file of golden/ has them."""
    return yaml.dump_all(found, Dumper=_Plain, sort_keys=False, width=120, explicit_start=True)


class _Plain(yaml.SafeDumper):
    """YAML without anchors, and with text of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Plain, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def pods(found: Iterable[Document]) -> list[Document]:
    """The spec of every pod that documents describe."""
    specs = []
    for document in found:
        spec = document.get("spec", {})
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if document["kind"] == "Pod":
            specs.append(spec)
        elif "template" in spec:
            specs.append(spec["template"]["spec"])
    return specs


def of_helm_test(document: Document) -> bool:
    """Whether it is there for `helm test` alone."""
    return bool(document["metadata"].get("annotations", {}).get("helm.sh/hook") == "test")


def sidecar(pod: Document) -> Document:
    """The sidecar's container of a pod."""
    containers = [*pod.get("initContainers", ()), *pod["containers"]]
    (container,) = (one for one in containers if one["name"] == "cognito-sidecar")
    return dict(container)


def writable(pod: Document) -> set[str]:
    """Where the sidecar of a pod can write: mounts of volumes that are the pod's own and empty at first."""
    empty = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    mounts = sidecar(pod)["volumeMounts"]
    return {mount["mountPath"] for mount in mounts if mount["name"] in empty and not mount.get("readOnly")}


def configurations(found: Iterable[Document]) -> list[str]:
    """The text of every configuration of a sidecar among documents."""
    return [document["data"]["config.yaml"] for document in found if "config.yaml" in document.get("data", {})]
